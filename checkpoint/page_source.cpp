#include "checkpoint/page_source.h"

#include <poll.h>
#include <sys/socket.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <optional>
#include <string>

#include "sys/files.h"

namespace vz::checkpoint {

namespace {

// What is to be sent, piece by piece.
class Agenda {
 public:
  static Result<Agenda> make(const Tasks& tasks) {
    Agenda a;
    for (const auto& [task, pid] : tasks) {
      TRY_AS(const std::vector<Range> memory, lazy_memory(pid));
      for (const Range& r : memory) a.pieces_.push_back({task, r.address, r.pages});
    }
    return a;
  }
  std::optional<Piece> next() {
    if (at_ == pieces_.size()) return std::nullopt;
    Piece& rest = pieces_[at_];
    Piece p{rest.task, rest.address, std::min(rest.pages, kMostPages)};
    rest.address += p.pages * kPage;
    rest.pages -= p.pages;
    if (rest.pages == 0) ++at_;
    return p;
  }

 private:
  std::vector<Piece> pieces_;
  size_t at_ = 0;
};

Result<void> send_piece(int socket, Memory& memory, const Piece& p) {
  std::string out(sizeof p + p.pages * kPage, 0);
  std::memcpy(out.data(), &p, sizeof p);
  if (p.pages) TRY(memory.read(p.task, p.address, out.data() + sizeof p, p.pages * kPage));
  return sys::write_all(socket, out);
}

}  // namespace

Result<void> send_memory(int socket, const Tasks& tasks) {
  TRY_AS(Agenda agenda, Agenda::make(tasks));
  Memory memory(tasks);
  for (bool all = false;;) {
    pollfd p{socket, POLLIN, 0};
    if (::poll(&p, 1, all ? -1 : 0) < 0 && errno != EINTR) return fail_sys(errno, "poll");
    if (p.revents) {
      Piece wanted;
      const ssize_t n = ::recv(socket, &wanted, sizeof wanted, MSG_WAITALL);
      if (n < 0 && errno == EINTR) continue;
      if (n != sizeof wanted) return fail(Code::peer, "the destination has hung up before it had all memory");
      if (wanted.pages == 0) return {};
      wanted.pages = std::min(wanted.pages, kMostPages);
      TRY(send_piece(socket, memory, wanted));
    } else if (!all) {
      const auto next = agenda.next();
      auto sent = send_piece(socket, memory, next.value_or(Piece{}));
      if (!sent && sent.error().sys_errno != EIO) return sent;  // what cannot be read is asked for if it is needed
      all = !next;
    }
  }
}

}  // namespace vz::checkpoint
