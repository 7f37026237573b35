// Action scripts: what an administrator has run at the turns of a container's life, vps.NAME for all of them and
// CTID.NAME for one, in the directory of the configurations (man vzctl).
#pragma once

#include <sys/stat.h>

#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "runtime/container.h"
#include "sys/channel.h"

namespace vz::runtime {

enum class Event { premount, mount, start, stop, umount, postumount, create };

// ---- pure ---------------------------------------------------------------------------------------------------------

// The files that belong to EVENT, there or not, in the order in which they are run.
std::vector<std::string> script_paths(const state::Paths& paths, config::CtId id, Event event);
// The CT's own, of all events.
std::vector<std::string> own_scripts(const state::Paths& paths, config::CtId id);
// All that a script of the host's finds in its environment.
std::vector<std::string> script_environment(const state::Paths& paths, config::CtId id);
// Why a file is not run as root ("is not owned by root ..."), or a directory above it not relied on; empty: it is.
std::string distrust(const struct ::stat& st, const std::string& path);

// ---- on this host -------------------------------------------------------------------------------------------------

bool has_script(const Host& host, config::CtId id, Event event);

// What can be known of them before they are run: each may be run as root, and is a program. Code::script_failed.
Result<void> check_scripts(const Host& host, config::CtId id, Event event);
// Runs what there is, the first failure ends it. Those of the CT's start and stop are fed to a shell in the CT, the
// others run on the host; with their process group they are ended by a signal to us, after an hour, or when CALLER, if
// any, hangs up. Code::script_failed, Code::cancelled.
Result<void> run_scripts(const Host& host, const Container& ct, Event event, const sys::Channel* caller = nullptr);

// Runs what vznet.conf names, if anything, for a link just made: `SCRIPT init veth HOST_NAME`, on the host, half a
// minute at most. One that is no program is warned about. Code::network_failed, Code::cancelled.
Result<void> run_external_script(const Host& host, const Container& ct, const net::Veth& veth);

// Renames the CT's own by adding SUFFIX.
Result<void> put_away_scripts(const Host& host, config::CtId id, std::string_view suffix);
// Removes those put away, with the CTID.conf put away.
Result<void> remove_put_away(const Host& host, config::CtId id, std::string_view suffix);

}  // namespace vz::runtime
