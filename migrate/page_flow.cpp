#include "migrate/page_flow.h"

#include <poll.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <utility>

#include "base/log.h"
#include "checkpoint/criu.h"
#include "checkpoint/page_store.h"
#include "migrate/pump.h"
#include "state/moves.h"
#include "sys/files.h"

namespace vz::migrate {

namespace {

using namespace std::chrono_literals;
constexpr int kConnectMs = 10000;

Result<sockaddr_un> address_in(const std::string& images) {
  const std::string path = images + "/pages.sock";
  sockaddr_un a{};
  a.sun_family = AF_UNIX;
  if (path.size() >= sizeof a.sun_path) return fail(Code::invalid, "'{}' is too long", path);
  std::memcpy(a.sun_path, path.data(), path.size());
  return a;
}

Result<sys::UniqueFd> make_socket() {
  sys::UniqueFd fd(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
  return fd ? Result<sys::UniqueFd>(std::move(fd)) : fail_sys(errno, "socket");
}

bool is_released(const runtime::Host& host, config::CtId id, const std::string& move) {
  const auto record = state::load_move(host.paths, id, move);
  return record && record->state == state::MoveState::released;
}

Result<void> pass_on(const runtime::Host& host, const runtime::Container& ct, const std::string& move, int connection,
                     int daemon, std::string_view criu) {
  ::setsid();
  const auto passed = checkpoint::store_pages(connection, daemon, criu);
  if (passed || !is_released(host, ct.id, move)) return passed;
  log::error("CT {}: the source was lost before all of its memory was here ({}); it is killed", ct.id,
             passed.error().text);
  TRY_AS(const cgroups::Group group, runtime::group_of(ct));
  TRY(group.kill(10s));
  return passed;
}

}  // namespace

Result<void> PageFlow::listen(const std::string& images) {
  images_ = images;
  TRY_AS(const sockaddr_un address, address_in(images));
  TRY_AS(listener_, make_socket());
  if (::bind(listener_.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0 ||
      ::listen(listener_.get(), 1) != 0)
    return fail_sys(errno, "listen for memory");
  return {};
}

Result<void> PageFlow::begin(const runtime::Host& host, const runtime::Container& ct, const std::string& move) {
  pollfd p{listener_.get(), POLLIN, 0};
  const sys::UniqueFd connection(
      ::poll(&p, 1, kConnectMs) > 0 ? ::accept4(listener_.get(), nullptr, nullptr, SOCK_CLOEXEC) : -1);
  if (!connection) return fail(Code::peer, "the connection for memory did not come");
  int ends[2];
  if (::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) != 0) return fail_sys(errno, "socketpair");
  sys::UniqueFd its(ends[0]);
  const sys::UniqueFd ours(ends[1]);
  TRY_AS(const std::string program, checkpoint::criu_program(host));
  TRY_AS(const std::string criu, checkpoint::criu_version(program));
  TRY(daemon_.start(host, images_, its.get(), ours.get()));
  its.reset();  // its end here is when the daemon ends
  TRY_AS(keeper_, sys::fork_process());
  if (keeper_.pid == 0) ::_exit(pass_on(host, ct, move, connection.get(), ours.get(), criu) ? 0 : 1);
  return {};
}

Result<void> PageFlow::finish() {
  pollfd p[2] = {{daemon_.pidfd(), POLLIN, 0}, {keeper_.pidfd.get(), POLLIN, 0}};
  while (::poll(p, 2, -1) < 0 && errno == EINTR) {
  }
  if (!p[0].revents) {
    TRY_AS(const sys::ExitStatus kept, sys::wait_child(keeper_.pid));
    if (!kept.ok()) {
      TRY(checkpoint::end_lazy_pages(images_));  // of a CT that was killed
      return fail(Code::peer, "memory does not come any more ({})", kept.text());
    }
  }
  return daemon_.finish();
}

Result<void> connect_pages(const std::string& images) {
  TRY_AS(const sockaddr_un address, address_in(images));
  TRY_AS(const sys::UniqueFd socket, make_socket());
  if (::connect(socket.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0)
    return fail_sys(errno, "connect to the receiver");
  return pump({0, 1}, {socket.get(), socket.get()});
}

}  // namespace vz::migrate
