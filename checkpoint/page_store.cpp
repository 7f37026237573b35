#include "checkpoint/page_store.h"

#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <deque>
#include <map>
#include <string>
#include <utility>

#include "base/strings.h"
#include "checkpoint/page_source.h"
#include "sys/files.h"

namespace vz::checkpoint {

namespace {

enum Command : uint32_t { kAddFlagged = 6, kGet = 7, kClose = 0x1023, kForceClose = 0x1024 };
constexpr uint32_t kCommandMask = 0xffff;
constexpr uint32_t kPresent = 1u << 2 << 16;

struct Request {
  uint32_t command = 0;
  Piece piece;
};

// struct page_server_iov; up to CRIU 4.1 the number of pages has 32 bits.
class Codec {
 public:
  explicit Codec(std::string_view version) {
    const auto parts = split(version, '.');
    const uint64_t major = parse_u64(parts[0]).value_or(0),
                   minor = parts.size() > 1 ? parse_u64(parts[1]).value_or(0) : 0;
    wide_ = major > 4 || (major == 4 && minor >= 2);
  }
  size_t size() const { return wide_ ? 32 : 24; }
  Request decode(const char* at) const {
    Request r;
    std::memcpy(&r.command, at, 4);
    std::memcpy(&r.piece.pages, at + pages_at(), pages_size());
    std::memcpy(&r.piece.address, at + size() - 16, 8);
    std::memcpy(&r.piece.task, at + size() - 8, 8);
    return r;
  }
  std::string encode(const Request& r) const {
    std::string out(size(), 0);
    std::memcpy(out.data(), &r.command, 4);
    std::memcpy(out.data() + pages_at(), &r.piece.pages, pages_size());
    std::memcpy(out.data() + size() - 16, &r.piece.address, 8);
    std::memcpy(out.data() + size() - 8, &r.piece.task, 8);
    return out;
  }

 private:
  size_t pages_at() const { return wide_ ? 8 : 4; }
  size_t pages_size() const { return wide_ ? 8 : 4; }
  bool wide_ = true;
};

// Pieces by task and address. Each page is fetched once: what was fetched is dropped.
class Store {
 public:
  void add(const Piece& p, std::string pages) { pieces_[p.task].insert_or_assign(p.address, std::move(pages)); }
  // As many of WANTED's pages, from its first on, as one piece has; "": none has come.
  std::string take(const Piece& wanted) {
    auto& pieces = pieces_[wanted.task];
    auto it = pieces.upper_bound(wanted.address);
    if (it == pieces.begin()) return "";
    --it;
    const uint64_t skip = wanted.address - it->first;
    if (skip >= it->second.size()) return "";
    std::string out = it->second.substr(skip, wanted.pages * kPage);
    std::string rest = it->second.substr(skip + out.size());
    it->second.resize(skip);
    if (skip == 0) pieces.erase(it);
    if (!rest.empty()) pieces.insert_or_assign(wanted.address + out.size(), std::move(rest));
    return out;
  }

 private:
  std::map<uint64_t, std::map<uint64_t, std::string>> pieces_;
};

// criu takes answers in the order of its questions only.
class Exchange {
 public:
  Exchange(int source, int criu, std::string_view version) : source_(source), criu_(criu), codec_(version) {}

  Result<void> from_source() {
    Piece p;
    const ssize_t n = ::recv(source_, &p, sizeof p, MSG_WAITALL);
    if (n < 0 && errno == EINTR) return {};
    if (n != sizeof p) return fail(Code::peer, "the source has hung up");
    if (p.pages > kMostPages) return fail(Code::peer, "a piece of {} pages", p.pages);
    if (p.pages == 0) return {};
    std::string pages(p.pages * kPage, 0);
    if (::recv(source_, pages.data(), pages.size(), MSG_WAITALL) != static_cast<ssize_t>(pages.size()))
      return fail(Code::peer, "the source has hung up");
    store_.add(p, std::move(pages));
    return answer();
  }

  Result<void> from_criu() {
    std::string question(codec_.size(), 0);
    const ssize_t n = ::recv(criu_, question.data(), question.size(), MSG_WAITALL);
    if (n < 0 && errno == EINTR) return {};
    if (n != static_cast<ssize_t>(question.size())) return fail(Code::system, "criu lazy-pages has ended");
    const Request r = codec_.decode(question.data());
    const uint32_t command = r.command & kCommandMask;
    if (command == kClose || command == kForceClose) {
      done_ = true;
      const Piece all;
      (void)sys::write_all(source_, {reinterpret_cast<const char*>(&all), sizeof all});
      return sys::write_all(criu_, std::string(4, 0));
    }
    if (command != kGet || r.piece.pages == 0) return fail(Code::system, "criu asks for {:x}", r.command);
    waiting_.push_back(r.piece);
    return answer();
  }

  bool done() const { return done_; }

 private:
  Result<void> answer() {
    while (!waiting_.empty()) {
      Piece& first = waiting_.front();
      const std::string pages = store_.take(first);
      if (pages.empty()) {
        if (std::exchange(asked_, true)) return {};
        return sys::write_all(source_, {reinterpret_cast<const char*>(&first), sizeof first});
      }
      first.pages = pages.size() / kPage;
      TRY(sys::write_all(criu_, codec_.encode({kAddFlagged | kPresent, first})));
      TRY(sys::write_all(criu_, pages));
      waiting_.pop_front();
      asked_ = false;
    }
    return {};
  }

  int source_, criu_;
  Codec codec_;
  Store store_;
  std::deque<Piece> waiting_;
  bool asked_ = false;  // for the first of them
  bool done_ = false;
};

// Until SOURCE hangs up: what criu asked for and had already is still on its way, and a source that cannot write it
// would not read that it may end.
void drain(int source) {
  char ignored[65536];
  for (ssize_t n = 1; n > 0 || (n < 0 && errno == EINTR);) n = ::recv(source, ignored, sizeof ignored, 0);
}

}  // namespace

Result<void> store_pages(int source, int criu_socket, std::string_view version) {
  Exchange e(source, criu_socket, version);
  while (!e.done()) {
    pollfd p[2] = {{source, POLLIN, 0}, {criu_socket, POLLIN, 0}};
    if (::poll(p, 2, -1) < 0 && errno != EINTR) return fail_sys(errno, "poll");
    if (p[1].revents) TRY(e.from_criu());
    if (p[0].revents && !e.done()) TRY(e.from_source());
  }
  drain(source);
  return {};
}

}  // namespace vz::checkpoint
