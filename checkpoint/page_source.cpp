#include "checkpoint/page_source.h"

#include <poll.h>
#include <sys/socket.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <string>

#include "sys/files.h"

namespace vz::checkpoint {

Result<Contents> all_memory(const Tasks& tasks) {
  Contents out;
  for (const auto& [task, pid] : tasks) {
    TRY_AS(out[task], lazy_memory(pid));
  }
  return out;
}

std::vector<Piece> pieces(uint64_t task, const Ranges& ranges) {
  std::vector<Piece> out;
  for (const Range& r : ranges)
    for (uint64_t done = 0; done < r.pages; done += kMostPages)
      out.push_back({task, r.address + done * kPage, std::min(kMostPages, r.pages - done), 0});
  return out;
}

// What a way costs is the time from piece to piece: the link's, the processor's, and what --bwlimit makes of it.
Result<size_t> Sender::send(const Piece& piece) {
  const auto now = std::chrono::steady_clock::now();
  if (began_) choice_->took(last_, std::chrono::duration<double>(now - *began_).count());
  began_ = now;
  last_ = 0;
  std::string pages(piece.pages * kPage, 0);
  TRY(memory_.read(piece.task, piece.address, pages.data(), pages.size()));
  last_ = pages.size();
  if (choice_->next())
    if (std::string packed = packer_.pack(pages); !packed.empty()) pages = std::move(packed);
  Piece head = piece;
  head.bytes = pages.size();
  pages.insert(0, reinterpret_cast<const char*>(&head), sizeof head);
  if (auto sent = sys::write_all(socket_, pages); !sent) return std::move(sent).error().with_code(Code::peer);
  return pages.size();
}

Result<void> Sender::send_mark(uint64_t number) {
  const Piece mark{number, 0, 0, 0};
  began_.reset();  // what follows waits for the answer
  auto sent = sys::write_all(socket_, {reinterpret_cast<const char*>(&mark), sizeof mark});
  return sent ? sent : std::move(sent).error().with_code(Code::peer);
}

Result<void> Sender::answer(std::optional<uint64_t> until) {
  for (;;) {
    pollfd p{socket_, POLLIN, 0};
    if (::poll(&p, 1, until ? -1 : 0) < 0 && errno != EINTR) return fail_sys(errno, "poll");
    if (!p.revents && !until) return {};
    Piece wanted;
    const ssize_t n = ::recv(socket_, &wanted, sizeof wanted, MSG_WAITALL);
    if (n < 0 && errno == EINTR) continue;
    if (n != sizeof wanted) return fail(Code::peer, "the destination has hung up before it had all memory");
    if (wanted.pages == 0 && wanted.task == until) return {};
    wanted.pages = std::min(wanted.pages, kMostPages);
    if (wanted.pages) TRY(send(wanted));
  }
}

Result<void> send_memory(int socket, const Tasks& tasks, const Contents& contents, PackingChoice& choice) {
  Sender sender(socket, tasks, choice);
  for (const auto& [task, ranges] : contents)
    for (const Piece& piece : pieces(task, ranges)) {
      TRY(sender.answer());
      TRY(sender.send(piece));
    }
  TRY(sender.send_mark(kWhole));
  return sender.answer(kWhole);
}

}  // namespace vz::checkpoint
