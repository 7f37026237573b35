#include "checkpoint/early_pages.h"

#include <cerrno>
#include <utility>

#include "base/log.h"

namespace vz::checkpoint {

namespace {

// To watch a process costs it some; what is less than this is sent in the freeze within a few milliseconds.
constexpr uint64_t kWorthWatching = 4u << 20;

}  // namespace

Result<uint64_t> EarlyPages::send_round(const Tasks& tasks, int socket,
                                        const std::function<void(size_t, size_t)>& spent) {
  Sender sender(socket, tasks, choice_);
  uint64_t bytes = 0;
  for (const auto& [task, pid] : tasks) {
    auto sent = send_task(task, pid, sender, spent);
    if (!sent && sent.error().code == Code::peer) return sent;
    if (sent) bytes += *sent;
    if (sent) continue;
    watched_.erase(task);
    log::detail("the memory of process {} does not go ahead: {}", pid, sent.error().text);
  }
  const uint64_t mark = ++rounds_;
  TRY(sender.send_mark(mark));
  TRY(sender.answer(mark));
  return bytes;
}

Result<uint64_t> EarlyPages::send_task(uint64_t task, pid_t pid, Sender& sender,
                                       const std::function<void(size_t, size_t)>& spent) {
  auto it = watched_.find(task);
  if (it == watched_.end() || it->second.pid != pid) {
    TRY_AS(const Ranges memory, lazy_memory(pid));
    if (size_of(memory) < kWorthWatching) return uint64_t{0};
    TRY_AS(WriteTracker tracker, WriteTracker::begin(pid));
    it = watched_.insert_or_assign(task, Watched{pid, std::move(tracker), {}}).first;
  }
  Watched& w = it->second;
  TRY_AS(const Ranges mappings, lazy_mappings(pid));
  TRY_AS(const WriteTracker::Look look, w.tracker.look(mappings));
  Ranges fresh;
  for (const Piece& piece : pieces(task, look.written)) {
    auto sent = sender.send(piece);
    if (!sent && sent.error().sys_errno == EIO) continue;  // unmapped meanwhile
    TRY(sent);
    append(fresh, {piece.address, piece.pages});
    spent(piece.pages * kPage, *sent);
  }
  w.sent = unite(subtract(w.sent, unite(look.written, look.unknown)), fresh);
  return size_of(fresh);
}

Result<Contents> EarlyPages::rest(const Tasks& tasks) const {
  TRY_AS(Contents out, all_memory(tasks));
  for (const auto& [task, w] : watched_) {
    const auto found = tasks.find(task);
    if (found == tasks.end() || found->second != w.pid) continue;
    TRY_AS(const Ranges mappings, lazy_mappings(w.pid));
    TRY_AS(const Ranges unwritten, w.tracker.unwritten(mappings));
    out[task] = subtract(out[task], intersect(w.sent, unwritten));
  }
  return out;
}

}  // namespace vz::checkpoint
