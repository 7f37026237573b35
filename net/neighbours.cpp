#include <linux/neighbour.h>
#include <sys/socket.h>

#include "net/net.h"
#include "net/netlink.h"

namespace vz::net {

Result<void> forget_unanswered(int netns) {
  TRY_AS(Netlink inside, Netlink::open_in(netns));
  TRY_AS(const auto entries, inside.dump(Message(RTM_GETNEIGH, 0, ndmsg{})), "list the neighbours");
  for (const std::string& e : entries) {
    ndmsg h = header_of<ndmsg>(e);
    const std::string_view address = Attributes(e, sizeof h).bytes(NDA_DST);
    if (!(h.ndm_state & (NUD_INCOMPLETE | NUD_FAILED)) || address.empty()) continue;
    h.ndm_flags = 0;
    Message m(RTM_DELNEIGH, 0, h);
    m.put(NDA_DST, address);
    (void)inside.request(m);  // answered meanwhile, or gone: as well
  }
  return {};
}

}  // namespace vz::net
