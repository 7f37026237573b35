// probe-echo PORT: a TCP echo server for guests of any kind: statically linked, a process per connection.
#include <netinet/in.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

namespace {

[[noreturn]] void serve(int connection) {
  static char buffer[65536];
  ssize_t n;
  while ((n = read(connection, buffer, sizeof buffer)) > 0)
    for (ssize_t done = 0; done < n;) {
      const ssize_t written = write(connection, buffer + done, static_cast<size_t>(n - done));
      if (written <= 0) _exit(1);
      done += written;
    }
  _exit(0);
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 2) return 2;
  signal(SIGCHLD, SIG_IGN);
  const int listener = socket(AF_INET6, SOCK_STREAM, 0);
  const int on = 1;
  setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
  sockaddr_in6 any{};
  any.sin6_family = AF_INET6;
  any.sin6_port = htons(static_cast<unsigned short>(atoi(argv[1])));
  if (bind(listener, reinterpret_cast<sockaddr*>(&any), sizeof any) != 0 || listen(listener, 16) != 0) return 1;
  for (;;) {
    const int connection = accept(listener, nullptr, nullptr);
    if (connection < 0) continue;
    if (fork() == 0) {
      close(listener);
      serve(connection);
    }
    close(connection);
  }
}
