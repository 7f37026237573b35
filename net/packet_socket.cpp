#include "net/packet_socket.h"

#include <arpa/inet.h>
#include <linux/if_packet.h>
#include <net/ethernet.h>
#include <sys/socket.h>

#include <algorithm>
#include <cerrno>

#include "net/frames.h"

namespace vz::net {

Result<sys::UniqueFd> packet_socket(int protocol) {
  sys::UniqueFd fd{
      ::socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, htons(static_cast<uint16_t>(protocol)))};
  if (!fd) return fail_sys(errno, "packet socket");
  return fd;
}

Result<void> send_frame(const sys::UniqueFd& fd, int index, std::string_view frame, size_t header) {
  const std::string_view ethernet = frame.substr(header);
  sockaddr_ll to{};
  to.sll_family = AF_PACKET;
  to.sll_ifindex = index;
  to.sll_halen = ETH_ALEN;
  std::copy_n(ethernet.begin(), ETH_ALEN, to.sll_addr);
  to.sll_protocol = htons(big16(ethernet.substr(2 * ETH_ALEN)));
  if (::sendto(fd.get(), frame.data(), frame.size(), MSG_DONTWAIT, reinterpret_cast<sockaddr*>(&to), sizeof to) < 0)
    return fail_sys(errno, "send a frame");
  return {};
}

}  // namespace vz::net
