// vz-criu-hook: criu's action script. Tells the vzctl that runs criu (abstract socket $VESSEL_HOOK) which stage has
// come and waits for its word; a vzctl that died is a "no", so that a dump lets the container go on and a restore is
// undone.
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

int main() {
  const char* name = getenv("VESSEL_HOOK");
  const char* action = getenv("CRTOOLS_SCRIPT_ACTION");
  const char* init = getenv("CRTOOLS_INIT_PID");
  sockaddr_un address{};
  if (!name || !action || strlen(name) + 2 > sizeof address.sun_path || strlen(action) > 100) return 1;
  address.sun_family = AF_UNIX;
  memcpy(address.sun_path + 1, name, strlen(name));
  const auto length = static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + 1 + strlen(name));
  const int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
  if (fd < 0 || connect(fd, reinterpret_cast<sockaddr*>(&address), length) != 0) return 1;
  char message[160] = {};
  strcpy(message, action);
  if (init && strlen(init) < 20) strcat(strcat(message, " "), init);
  if (send(fd, message, strlen(message), MSG_NOSIGNAL) < 0) return 1;
  char answer = 1;
  return recv(fd, &answer, 1, 0) == 1 ? answer : 1;
}
