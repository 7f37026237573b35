// vz-supervisor PID PROGRAM ARGUMENTS...: the parent of one container's init. Waits for it, then becomes
// "PROGRAM ARGUMENTS... WAIT_STATUS", which cleans up or starts anew. Holds no policy and, linked statically and
// without the C++ library, next to no memory: there is one per running container.
#include <errno.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

namespace {

// No printf: its tables would be most of our memory.
void print_decimal(char* out, unsigned value) {
  char digits[12];
  int n = 0;
  do digits[n++] = static_cast<char>('0' + value % 10);
  while (value /= 10);
  while (n) *out++ = digits[--n];
  *out = 0;
}

}  // namespace

int main(int argc, char** argv) {
  constexpr int kMost = 16;
  if (argc < 3 || argc > kMost) return 2;
  const pid_t init = atoi(argv[1]);
  int status = 0;
  while (waitpid(init, &status, 0) < 0)
    if (errno != EINTR) return 1;
  char* args[kMost];
  char number[12];
  print_decimal(number, static_cast<unsigned>(status));
  int n = 0;
  for (int i = 2; i < argc; ++i) args[n++] = argv[i];
  args[n++] = number;
  args[n] = nullptr;
  execv(args[0], args);
  return 127;
}
