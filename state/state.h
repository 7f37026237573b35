// What is on disk about containers besides their configuration: lock, running state, names. Everything under RUN_DIR is
// gone after a boot, and says so itself (boot id), so a stale file never makes a container look alive.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "config/spec.h"
#include "sys/unique_fd.h"

namespace vz::state {

// Directories of this host. Tests point them elsewhere.
struct Paths {
  std::string conf_dir = "/etc/vz/conf";
  std::string names_dir = "/etc/vz/names";
  std::string global_conf = "/etc/vz/vz.conf";
  std::string vznet_conf = "/etc/vz/vznet.conf";
  std::string run_dir = "/run/vz";
  std::string moves_dir = "/var/lib/vz/moves";  // see moves.h; it survives a boot
  std::string marks_dir = "/var/lib/vz/reboot";
  std::string conf(config::CtId id) const;  // conf_dir/CTID.conf
  std::string run(config::CtId id) const;   // run_dir/CTID, a directory, 0700
};

// ---- lock: LOCKDIR/CTID.lck holding "PID\nSTATUS\nBOOT_ID START_TIME\n", made by link(2) so that it appears with its
// content. The third line tells the holder from a later process with its PID; in a foreign file without it, any process
// with that PID counts as the holder. A process that the holder forked holds the lock with it until it runs another
// program (flock(2) on a descriptor that it got): when a start is killed, its supervisor carries on. On a full disk the
// file is empty, and that descriptor is all that holds it.

// The status of a supervisor that cleans up after its CT, which takes a moment: who wants the lock meanwhile waits.
inline constexpr std::string_view kEnded = "ended";

class Lock {
 public:
  // Code::locked with "Container already locked" when a live process holds it (and its PID and command line are told by
  // log::error as vzctl does, unless QUIET); a dead holder's lock is taken over ("Removing stale lock file"). Waits
  // for a supervisor, be it one that cleans up or one that carries on with what was killed.
  // STATUS: "starting", kEnded ...
  static Result<Lock> take(const std::string& lock_dir, config::CtId id, std::string_view status, bool quiet = false);
  Lock(Lock&& other) noexcept;
  Lock& operator=(Lock&&) = delete;
  ~Lock();  // removes the file if it is still ours, and we are the process that took it

 private:
  Lock(std::string path, sys::UniqueFd fd);
  std::string path_;
  sys::UniqueFd fd_;
  pid_t taker_;
};

// ---- a running container -------------------------------------------------------------------------------------------
struct Running {
  pid_t init = 0;           // host PIDs
  uint64_t init_start = 0;  // start_time() of it: PID reuse cannot fool us
  int64_t since = 0;        // seconds since the epoch (for a restored CT: of the first start)
  std::string phase;  // "starting", "running", "stopping", "checkpointed" (frozen by `suspend --suspend` or a move)
};
// nullopt: not running, also when the file is stale (init gone, other boot).
std::optional<Running> running(const Paths& paths, config::CtId id);
Result<void> save_running(const Paths& paths, config::CtId id, const Running& r);
// Removes run(id) with all notes.
Result<void> forget_running(const Paths& paths, config::CtId id);
// Any file of run(id), written atomically / read (Code::not_found when absent): e.g. "plan", "net.json".
Result<void> save_note(const Paths& paths, config::CtId id, std::string_view name, std::string_view text);
Result<void> forget_note(const Paths& paths, config::CtId id, std::string_view name);  // absent is fine
Result<std::string> load_note(const Paths& paths, config::CtId id, std::string_view name);

// The door of a running container, until the descriptor is closed. Held SHARED by who puts a process into it, until
// that is a member of its control group; alone by who dumps it, until it goes on or is gone: what was run in between
// would be in neither the dump nor the copy of its files. Nobody is waited for: nullopt when the door is held
// otherwise. Code::not_running.
enum class Door { shared, alone };
Result<std::optional<sys::UniqueFd>> hold_door(const Paths& paths, config::CtId id, Door how);

// ---- marks: a file for each container that ran when the host was shut down, until the next boot is done with it ----
Result<void> mark(const Paths& paths, config::CtId id);
Result<void> unmark(const Paths& paths, config::CtId id);
std::vector<config::CtId> marked(const Paths& paths);  // ascending; also what is no container any more

// ---- registry ------------------------------------------------------------------------------------------------------
// All CTIDs with a CTID.conf, ascending; CT 0 is left out.
Result<std::vector<config::CtId>> all(const Paths& paths);
// A number is a CTID (1..2147483644), anything else a name, looked up by /etc/vz/names/NAME and checked against that
// CT's NAME. Code::invalid "Bad CT ID X" / "Unable to find container by name X".
Result<config::CtId> resolve(const Paths& paths, std::string_view id_or_name);
bool valid_name(std::string_view name);  // alphanumerics and " -+_.", not all digits
// Code::name_conflict "Conflict: name X already used by container N". Empty NAME removes OLD only.
Result<void> assign_name(const Paths& paths, config::CtId id, const std::string& name, const std::string& old_name);

// ---- ids -----------------------------------------------------------------------------------------------------------
// First of the CT's 65,536 host ids: 65536 * (8 + CTID mod 32744), i.e. 524288 .. 2^31: the same on every host, never
// the host's own, and its own for each CTID below 32744.
uint32_t first_id(config::CtId id);
// The other registered CTs that have, or would have, ID's range (CTIDs that differ by a multiple of 32744).
std::vector<config::CtId> sharing_ids(const Paths& paths, config::CtId id);

}  // namespace vz::state
