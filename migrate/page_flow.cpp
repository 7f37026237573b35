#include "migrate/page_flow.h"

#include <fcntl.h>
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

// What the keeper tells, in this order.
enum News : char { kConnected = 'c', kAllHere = 'w', kServed = 's' };

Result<void> tell_news(int fd, News what) { return sys::write_all(fd, {reinterpret_cast<const char*>(&what), 1}); }

Result<void> kill(const runtime::Container& ct) {
  TRY_AS(const cgroups::Group group, runtime::group_of(ct));
  return group.kill(10s);
}

bool waited_for_end(int fd, int ms) {
  pollfd p{fd, 0, 0};
  return ::poll(&p, 1, ms) > 0;
}

Result<void> keep(const runtime::Host& host, const runtime::Container& ct, const std::string& move, int listener,
                  int daemon, sys::UniqueFd news, std::string_view criu) {
  sys::detach({listener, daemon, news.get()});
  pollfd p{listener, POLLIN, 0};
  const sys::UniqueFd connection(::poll(&p, 1, kConnectMs) > 0 ? ::accept4(listener, nullptr, nullptr, SOCK_CLOEXEC)
                                                               : -1);
  if (!connection) return fail(Code::peer, "the connection for memory did not come");
  TRY(tell_news(news.get(), kConnected));
  const auto kept =
      checkpoint::store_pages(connection.get(), daemon, criu, [&] { return tell_news(news.get(), kAllHere); });
  if (kept) return tell_news(news.get(), kServed);
  if (is_released(host, ct.id, move))
    log::error("CT {}: part of its memory was lost on the way ({}); it is killed", ct.id, kept.error().text);
  // A restore, too, would wait for ever for a page that does not come, and may not have begun yet.
  news.reset();
  do (void)kill(ct);
  while (!waited_for_end(daemon, 100));
  return kept;
}

}  // namespace

Result<void> PageFlow::listen(const runtime::Host& host, const runtime::Container& ct, const std::string& move,
                              const std::string& images) {
  if (wanted()) return fail(Code::peer, "'pages' out of turn");
  host_ = &host;
  ct_ = &ct;
  images_ = images;
  TRY_AS(const std::string program, checkpoint::criu_program(host));
  TRY_AS(const std::string criu, checkpoint::criu_version(program));
  TRY_AS(const sockaddr_un address, address_in(images));
  TRY_AS(const sys::UniqueFd listener, make_socket());
  if (::bind(listener.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0 ||
      ::listen(listener.get(), 1) != 0)
    return fail_sys(errno, "listen for memory");
  int ends[2], news[2];
  if (::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) != 0) return fail_sys(errno, "socketpair");
  its_.reset(ends[0]);
  ours_.reset(ends[1]);
  if (::pipe2(news, O_CLOEXEC) != 0) return fail_sys(errno, "pipe");
  news_.reset(news[0]);
  sys::UniqueFd to_us(news[1]);
  TRY_AS(keeper_, sys::fork_process());
  if (keeper_.pid != 0) return {};
  its_.reset();  // what it says is heard until the daemon ends
  ::_exit(keep(host, ct, move, listener.get(), ours_.get(), std::move(to_us), criu) ? 0 : 1);
}

// The keeper's next word must be WHAT.
Result<void> PageFlow::hear(char what, int patience_ms) {
  pollfd p{news_.get(), POLLIN, 0};
  while (::poll(&p, 1, patience_ms) < 0 && errno == EINTR) {
  }
  char got = 0;
  if (p.revents && ::read(news_.get(), &got, 1) == 1 && got == what) return {};
  return fail(Code::peer, "its memory does not come");
}

Result<void> PageFlow::begin() {
  TRY(hear(kConnected, kConnectMs));
  if (waited_for_end(news_.get(), 0)) return fail(Code::peer, "its memory does not come");
  TRY(daemon_.start(*host_, images_, its_.get(), ours_.get()));
  its_.reset();
  ours_.reset();
  return {};
}

Result<void> PageFlow::await_whole() { return hear(kAllHere, -1); }

Result<void> PageFlow::finish() {
  char got = 0;
  while (got != kServed) {
    const ssize_t n = ::read(news_.get(), &got, 1);
    if (n < 0 && errno == EINTR) continue;
    if (n == 1) continue;
    TRY(kill(*ct_));  // first: without the daemon it would read zeroes
    TRY(checkpoint::end_lazy_pages(images_));
    return fail(Code::peer, "part of its memory was lost");
  }
  return daemon_.finish();
}

Result<void> connect_pages(const std::string& images) {
  TRY_AS(const sockaddr_un address, address_in(images));
  TRY_AS(const sys::UniqueFd socket, make_socket());
  if (::connect(socket.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0)
    return fail_sys(errno, "connect to the receiver");
  (void)pump({0, 1}, {socket.get(), socket.get()});  // whether it was all is the store's to say
  return {};
}

}  // namespace vz::migrate
