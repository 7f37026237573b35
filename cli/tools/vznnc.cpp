// vznnc: a program with a TCP connection of this host to itself; vznnc(8).
#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <iterator>
#include <optional>

#include "base/log.h"
#include "base/strings.h"
#include "cli/tool.h"
#include "sys/process.h"
#include "sys/unique_fd.h"

namespace vz::cli {

namespace {

constexpr int kNetwork = 220, kNotRun = 127;
constexpr Option kOptions[] = {{"listen", false, 'l'}, {"connect", false, 'c'}, {"port", true, 'p'},
                               {"fd", true, 'f'},      {"help", false, 'h'},    {"version"}};
constexpr const char* kUsage =
    "Usage: vznnc -l|-c -p PORT [-f FD] [--] COMMAND [ARGUMENT...]\n"
    "Runs COMMAND with a TCP connection of this host to itself as its standard input and output.\n"
    "  -l, --listen     wait for it\n"
    "  -c, --connect    make it\n"
    "  -p, --port PORT  of 127.0.0.1\n"
    "  -f, --fd FD      as this descriptor\n"
    "  -h, --help, --version\n";

// Who waits for a connection ends with those who wait for it.
Result<void> wait_for_peer(int listener) {
  for (;;) {
    pollfd fds[] = {{listener, POLLIN, 0}, {STDIN_FILENO, 0, 0}, {STDOUT_FILENO, 0, 0}};
    if (::poll(fds, std::size(fds), -1) < 0 && errno != EINTR) return fail_sys(errno, "wait for a connection");
    if ((fds[1].revents | fds[2].revents) & (POLLHUP | POLLERR))
      return fail(Code::cancelled, "standard input or output has gone");
    if (fds[0].revents) return {};
  }
}

Result<sys::UniqueFd> listen_at(const sockaddr_in& address) {
  sys::UniqueFd listener{::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)};
  const int on = 1;
  if (!listener || ::setsockopt(listener.get(), SOL_SOCKET, SO_REUSEADDR, &on, sizeof on) != 0 ||
      ::bind(listener.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0 ||
      ::listen(listener.get(), 1) != 0)
    return fail_sys(errno, "listen at port {}", ntohs(address.sin_port));
  TRY(wait_for_peer(listener.get()));
  sys::UniqueFd peer{::accept4(listener.get(), nullptr, nullptr, SOCK_CLOEXEC)};
  if (!peer) return fail_sys(errno, "accept at port {}", ntohs(address.sin_port));
  return peer;
}

Result<sys::UniqueFd> connect_to(const sockaddr_in& address) {
  sys::UniqueFd peer{::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)};
  if (!peer || ::connect(peer.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0)
    return fail_sys(errno, "connect to port {}", ntohs(address.sin_port));
  return peer;
}

// Under its new numbers only, without close-on-exec.
Result<void> pass_on(const sys::UniqueFd& peer, std::optional<uint64_t> fd) {
  std::vector<int> places = {STDIN_FILENO, STDOUT_FILENO};
  if (fd) places = {static_cast<int>(*fd)};
  for (const int place : places)
    if (::dup2(peer.get(), place) < 0) return fail_sys(errno, "descriptor {}", place);
  return {};
}

// A descriptor of its number already is passed on as it is by dup2(2), and would be closed.
Result<sys::UniqueFd> above(sys::UniqueFd fd, std::optional<uint64_t> place) {
  if (!place || static_cast<uint64_t>(fd.get()) != *place) return fd;
  sys::UniqueFd other{::fcntl(fd.get(), F_DUPFD_CLOEXEC, static_cast<int>(*place) + 1)};
  if (!other) return fail_sys(errno, "copy a descriptor");
  return other;
}

Result<int> run(const Parsed& options) {
  if (options.has("listen") == options.has("connect")) return fail(Code::usage, "Use either -l or -c");
  TRY_AS(const auto port, number_option(options, "port", 1));
  TRY_AS(const auto place, number_option(options, "fd"));
  if (!port || *port > UINT16_MAX) return fail(Code::usage, "A port expected, -p 1 to 65535");
  if (place && *place > 1000) return fail(Code::usage, "Invalid --fd '{}'", *place);
  if (options.rest.empty()) return fail(Code::usage, "A command expected; see vznnc --help");
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(static_cast<uint16_t>(*port));
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  TRY_AS(sys::UniqueFd connected, options.has("listen") ? listen_at(address) : connect_to(address));
  TRY_AS(const sys::UniqueFd peer, above(std::move(connected), place));
  TRY(pass_on(peer, place));
  log::error("{}", printable(sys::exec(options.rest).text));
  return kNotRun;
}

}  // namespace

}  // namespace vz::cli

int main(int argc, char** argv) {
  using namespace vz::cli;
  return run_tool(
      {.name = "vznnc", .usage = kUsage, .options = kOptions, .run = run, .words_last = true, .failed = kNetwork}, argc,
      argv);
}
