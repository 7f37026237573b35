// What the guest keeps in tmpfs file systems, where that is much, goes ahead while it runs, into ones that wait for it
// on the destination. criu puts those in place of the mounts; by itself it would pack all of a tmpfs in the freeze.
//
// They are the host's, not those of the guest's user namespace, which is not there yet when they are filled: the guest
// uses them as before but cannot change their size (mount -o remount).
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "migrate/change_watch.h"
#include "migrate/peer.h"
#include "runtime/container.h"
#include "sys/unique_fd.h"

namespace vz::migrate {

// What a tmpfs has to be like on the other side.
struct TmpfsTerms {
  unsigned long flags = 0;   // of the mount, MS_*
  std::string size, inodes;  // numbers, as mount(8) takes them; empty: the kernel's default
  bool operator==(const TmpfsTerms&) const = default;
};
// A line for each.
std::string print(const std::vector<TmpfsTerms>& all);
// Foreign text. Code::peer.
Result<std::vector<TmpfsTerms>> parse_tmpfs_terms(std::string_view text);

struct GuestTmpfs {
  std::string point;  // in the guest
  std::string line;   // of /proc/INIT/mountinfo; not there any more: it was mounted anew, or changed
  TmpfsTerms terms;
};
// Those that can go ahead: plain ones of one mount in init's namespace. Pure.
std::vector<GuestTmpfs> find_tmpfs(std::string_view mountinfo);

// The source's part.
class TmpfsAhead {
 public:
  // Those of the guest whose first process is INIT that hold much. Until the directory IMAGES is removed they are
  // mounted in it as well.
  Result<void> find(pid_t init, const std::string& images);
  bool empty() const { return all_.empty(); }
  std::vector<TmpfsTerms> terms() const;
  std::vector<std::string> points() const;
  uint64_t bytes() const;
  // Copies all of it to where make_tmpfs() made them in the directory IMAGES on PEER. HOW: its pace, and who is to run
  // rsync there.
  Result<void> copy(const Peer& peer, const std::string& images, const Copy& how);
  // Frozen: Code::checkpoint_failed when one of them is not mounted as it was.
  Result<void> check() const;
  // Frozen: what changed since copy() or the last call; PIDS are all processes.
  Result<void> copy_changes(const Peer& peer, const std::vector<pid_t>& pids);
  void end();

 private:
  struct Source {
    GuestTmpfs what;
    uint64_t bytes = 0;
    dev_t device = 0;
    ChangeWatch watch{};
  };
  Result<void> add(GuestTmpfs what);
  Result<Names> changes(size_t i, const std::vector<pid_t>& pids);

  pid_t init_ = 0;
  std::vector<Source> all_;
  std::string here_, there_;
  Copy how_;
};

// The destination's part: mounts ALL in the directory IMAGES; where.
Result<std::vector<std::string>> make_tmpfs(const std::string& images, const std::vector<TmpfsTerms>& all);
// "vzmigrate charge": this process, and so the memory that it fills, counts as the CT's from now on.
Result<void> join_memory(const runtime::Container& ct);

}  // namespace vz::migrate
