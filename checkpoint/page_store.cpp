#include "checkpoint/page_store.h"

#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <deque>
#include <iterator>
#include <map>
#include <string>
#include <utility>

#include "base/strings.h"
#include "checkpoint/packing.h"
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

// Pages by task and address, in runs. What was fetched stays: a process that forks before it has all of its memory
// makes criu fetch it for the child once more.
class Store {
 public:
  // What comes later is newer.
  void add(const Piece& p, std::string pages) {
    auto& runs = runs_[p.task];
    cut(runs, p.address, p.address + pages.size());
    runs.emplace(p.address, std::move(pages));
  }
  // As many of WANTED's pages, from its first on, as one run has; "": none has come.
  std::string get(const Piece& wanted) {
    Runs& runs = runs_[wanted.task];
    const auto it = at(runs, wanted.address);
    if (it == runs.end() || it->first > wanted.address) return "";
    return it->second.substr(wanted.address - it->first, wanted.pages * kPage);
  }

 private:
  using Runs = std::map<uint64_t, std::string>;

  // The first run that ends behind ADDRESS.
  static Runs::iterator at(Runs& runs, uint64_t address) {
    auto it = runs.upper_bound(address);
    if (it != runs.begin() && std::prev(it)->first + std::prev(it)->second.size() > address) --it;
    return it;
  }
  static void cut(Runs& runs, uint64_t begin, uint64_t end) {
    for (auto it = at(runs, begin); it != runs.end() && it->first < end;) {
      const uint64_t first = it->first;
      std::string pages = std::move(it->second);
      it = runs.erase(it);
      if (first + pages.size() > end) runs.emplace(end, pages.substr(end - first));
      if (first >= begin) continue;
      pages.resize(begin - first);
      runs.emplace(first, std::move(pages));
    }
  }

  std::map<uint64_t, Runs> runs_;
};

// criu takes answers in the order of its questions only.
class Exchange {
 public:
  Exchange(int source, int criu, std::string_view version, const std::function<Result<void>()>& when_whole)
      : source_(source), criu_(criu), codec_(version), when_whole_(when_whole) {}

  Result<void> from_source() {
    Piece p;
    const ssize_t n = ::recv(source_, &p, sizeof p, MSG_WAITALL);
    if (n < 0 && errno == EINTR) return {};
    if (n != sizeof p) return fail(Code::peer, "the source has hung up");
    const uint64_t size = p.pages * kPage;
    if (p.pages > kMostPages || p.bytes > size) return fail(Code::peer, "a piece of {} pages", p.pages);
    if (p.pages == 0) return mark(p);
    std::string pages(p.bytes, 0);
    if (::recv(source_, pages.data(), pages.size(), MSG_WAITALL) != static_cast<ssize_t>(pages.size()))
      return fail(Code::peer, "the source has hung up");
    if (done_) return {};
    if (p.bytes < size) {
      TRY_AS(pages, unpack(pages, size));
    }
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
      return sys::write_all(criu_, std::string(4, 0));
    }
    if (command != kGet || r.piece.pages == 0) return fail(Code::system, "criu asks for {:x}", r.command);
    waiting_.push_back(r.piece);
    return answer();
  }

  bool whole() const { return whole_; }
  bool done() const { return done_; }

 private:
  Result<void> mark(const Piece& p) {
    if (p.task == kWhole) {
      whole_ = true;
      TRY(when_whole_());
      TRY(answer());  // before the source may go: it is asked no more
    }
    return sys::write_all(source_, {reinterpret_cast<const char*>(&p), sizeof p});
  }

  Result<void> answer() {
    while (!waiting_.empty()) {
      Piece& first = waiting_.front();
      const std::string pages = store_.get(first);
      if (pages.empty()) {
        if (whole_) return fail(Code::peer, "the source left out a page");
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
  const std::function<Result<void>()>& when_whole_;
  Store store_;
  std::deque<Piece> waiting_;
  bool asked_ = false;  // for the first of them
  bool whole_ = false, done_ = false;
};

}  // namespace

Result<void> store_pages(int source, int criu_socket, std::string_view version,
                         const std::function<Result<void>()>& when_whole) {
  Exchange e(source, criu_socket, version, when_whole);
  while (!e.whole() || !e.done()) {  // a source that cannot write would not read that it may end
    pollfd p[2] = {{e.whole() ? -1 : source, POLLIN, 0}, {e.done() ? -1 : criu_socket, POLLIN, 0}};
    if (::poll(p, 2, -1) < 0 && errno != EINTR) return fail_sys(errno, "poll");
    if (p[1].revents) TRY(e.from_criu());
    if (!p[0].revents) continue;
    auto heard = e.from_source();
    if (!heard && e.done()) return {};  // criu has all it wanted
    TRY(heard);
  }
  return {};
}

}  // namespace vz::checkpoint
