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
      out.push_back({task, r.address + done * kPage, std::min(kMostPages, r.pages - done)});
  return out;
}

Result<void> Sender::send(const Piece& p) {
  std::string out(sizeof p + p.pages * kPage, 0);
  std::memcpy(out.data(), &p, sizeof p);
  if (p.pages) TRY(memory_.read(p.task, p.address, out.data() + sizeof p, p.pages * kPage));
  if (auto sent = sys::write_all(socket_, out); !sent) return std::move(sent).error().with_code(Code::peer);
  return {};
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

Result<void> send_memory(int socket, const Tasks& tasks, const Contents& contents) {
  Sender sender(socket, tasks);
  for (const auto& [task, ranges] : contents)
    for (const Piece& piece : pieces(task, ranges)) {
      TRY(sender.answer());
      TRY(sender.send(piece));
    }
  TRY(sender.send_mark(kWhole));
  return sender.answer(kWhole);
}

}  // namespace vz::checkpoint
