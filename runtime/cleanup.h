// Mounting, unmounting, and making nothing of what a container left behind: idempotent, safe after a kill of any of our
// processes at any moment.
#pragma once

#include <string_view>

#include "base/result.h"
#include "runtime/container.h"

namespace vz::runtime {

enum class Scripts { run, skip };
// Between the premount and the mount scripts; says "Container is mounted". One that a killed mount left without its
// scripts is mounted anew. When a script fails (Code::script_failed) it is not mounted. Code::mounted.
Result<void> mount(const Host& host, const Container& ct, Scripts scripts = Scripts::run);
// Between the umount scripts, which may keep it mounted (Code::script_failed), and those behind it. Code::not_mounted.
Result<void> unmount(const Host& host, const Container& ct, Scripts scripts = Scripts::run);
Result<void> umount(const Host& host, const Container& ct);  // refuses a running CT; says "Container is unmounted"

enum class Leave { mounted, nothing };
// For a CT whose init is gone (or never came up): kills what is left in its groups, removes groups, host links, routes,
// the running state and, with Leave::nothing, the root mount, as unmount() does.
Result<void> clean_up(const Host& host, const Container& ct, Leave leave, Scripts scripts = Scripts::run);

// Note in the CT's run directory: the PID of the supervisor in charge.
constexpr std::string_view kSupervisorNote = "supervisor";

// The supervisor's last act ("vzctl ct-ended CTID WAIT_STATUS"): cleans up after a death, starts again after a reboot
// from inside. Does nothing when a stop, restart or move in progress takes care of it.
Result<void> container_ended(const Host& host, config::CtId id, int wait_status);

}  // namespace vz::runtime
