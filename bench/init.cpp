// Every program of the benchmark's guest. As /sbin/init it tells when its first instruction ran (CLOCK_MONOTONIC in
// nanoseconds, into /started) and waits for a signal that means power off; as anything else ("true", "sh -c true") it
// succeeds at once.
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <initializer_list>

namespace {

void tell_start_time() {
  timespec now{};
  clock_gettime(CLOCK_MONOTONIC, &now);
  char text[21];
  char* at = text + sizeof text;
  *--at = '\n';
  for (long long ns = now.tv_sec * 1'000'000'000LL + now.tv_nsec; ns; ns /= 10)
    *--at = static_cast<char>('0' + ns % 10);
  const int fd = open("/started", O_WRONLY | O_CREAT | O_TRUNC, 0644);
  (void)!write(fd, at, static_cast<size_t>(text + sizeof text - at));
  close(fd);
}

bool named(const char* path, const char* name) {
  const char* slash = strrchr(path, '/');
  return strcmp(slash ? slash + 1 : path, name) == 0;
}

}  // namespace

int main(int argc, char** argv) {
  if (argc < 1 || !named(argv[0], "init")) return 0;
  tell_start_time();
  for (const int sig : {SIGRTMIN + 4, SIGRTMIN + 3, SIGPWR, SIGTERM}) signal(sig, [](int) { _exit(0); });
  for (;;) pause();
}
