// Raw frames on a link (packet(7)).
#pragma once

#include <cstddef>
#include <string_view>

#include "base/result.h"
#include "sys/unique_fd.h"

namespace vz::net {

// It hears frames of PROTOCOL (ETH_P_*) in host byte order; 0: none, for sending only or until it is bound.
Result<sys::UniqueFd> packet_socket(int protocol);

// To the address that the FRAME names, on the link INDEX. With PACKET_VNET_HDR its Ethernet header begins HEADER bytes
// later.
Result<void> send_frame(const sys::UniqueFd& fd, int index, std::string_view frame, size_t header = 0);

}  // namespace vz::net
