// The connections that a namespace's firewall tracks (nf_conntrack), as the kernel's own messages: without them a rule
// like "ct state established accept" no longer knows a connection that the guest still has.
#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "net/record.h"

namespace vz::net {

class Netlink;

const Kind& connection_kind();

// Are there any in the calling thread's namespace? Cheap; reading them walks the table of the whole host.
bool tracks_connections();
// Those that connection_request() can make again. SOCKET is of NETLINK_NETFILTER.
Result<std::vector<Record>> read_connections(Netlink& socket);
// What the kernel refuses (it is there already, its protocol is not known here) is left out.
Result<void> load_connections(Netlink& socket, const std::vector<Record>& connections);

// What has to be asked for so that CONNECTION is there again. Nothing for one that is over, for a translated one
// without ports (a ping), and for what the kernel cannot have written.
std::optional<Record> connection_request(const Record& connection);

// Text form, a record on a line. As a reader's input it is foreign: Code::invalid, Code::unsupported; empty is none.
std::string print_connections(const std::vector<Record>& connections);
Result<std::vector<Record>> parse_connections(std::string_view text);

}  // namespace vz::net
