// Files of the guest that the host writes: hostname, DNS, passwords. The guest owns the tree: every path is resolved
// inside its root, and a symbolic link of its making leads nowhere else.
#pragma once

#include <string>
#include <string_view>

#include "base/result.h"
#include "runtime/container.h"

namespace vz::runtime {

// At start: /etc/hostname and /etc/hosts (HOSTNAME set), /etc/resolv.conf (NAMESERVER or SEARCHDOMAIN set). The CT is
// mounted.
Result<void> prepare_guest_files(const Container& ct);
// "user:password" into /etc/shadow (yescrypt). Code::password_failed when there is no such user or no shadow file.
Result<void> set_password(const Container& ct, std::string_view user_password);

// ---- text in, text out ----------------------------------------------------------------------------------------------

// /etc/hosts with one line for NAME, replacing the one we wrote before.
std::string hosts_with(std::string_view hosts, std::string_view name, std::string_view address);
// resolv.conf from lists; "inherit" takes the host's.
std::string resolv_conf(const config::CtSpec& spec, std::string_view host_resolv_conf);
// /etc/shadow with USER's hash replaced; nullopt: no such user.
std::optional<std::string> shadow_with(std::string_view shadow, std::string_view user, std::string_view hash,
                                       long today);

}  // namespace vz::runtime
