#include "net/knobs.h"

#include <linux/ip.h>
#include <linux/ipv6.h>

#include <cstring>

namespace vz::net {

namespace {

constexpr const char* kGlobal[] = {"core/somaxconn",
                                   "unix/max_dgram_qlen",
                                   "ipv4/icmp_echo_ignore_all",
                                   "ipv4/icmp_echo_ignore_broadcasts",
                                   "ipv4/icmp_ratelimit",
                                   "ipv4/icmp_ratemask",
                                   "ipv4/ip_default_ttl",
                                   "ipv4/ip_local_port_range",
                                   "ipv4/ip_local_reserved_ports",
                                   "ipv4/ip_no_pmtu_disc",
                                   "ipv4/ip_nonlocal_bind",
                                   "ipv4/ip_unprivileged_port_start",
                                   "ipv4/ping_group_range",
                                   "ipv4/fib_multipath_hash_policy",
                                   "ipv4/fwmark_reflect",
                                   "ipv4/igmp_max_memberships",
                                   "ipv4/tcp_congestion_control",
                                   "ipv4/tcp_ecn",
                                   "ipv4/tcp_fastopen",
                                   "ipv4/tcp_fin_timeout",
                                   "ipv4/tcp_fwmark_accept",
                                   "ipv4/tcp_keepalive_intvl",
                                   "ipv4/tcp_keepalive_probes",
                                   "ipv4/tcp_keepalive_time",
                                   "ipv4/tcp_max_syn_backlog",
                                   "ipv4/tcp_max_tw_buckets",
                                   "ipv4/tcp_mtu_probing",
                                   "ipv4/tcp_notsent_lowat",
                                   "ipv4/tcp_orphan_retries",
                                   "ipv4/tcp_retries1",
                                   "ipv4/tcp_retries2",
                                   "ipv4/tcp_rfc1337",
                                   "ipv4/tcp_rmem",
                                   "ipv4/tcp_sack",
                                   "ipv4/tcp_slow_start_after_idle",
                                   "ipv4/tcp_syn_retries",
                                   "ipv4/tcp_synack_retries",
                                   "ipv4/tcp_syncookies",
                                   "ipv4/tcp_timestamps",
                                   "ipv4/tcp_tw_reuse",
                                   "ipv4/tcp_window_scaling",
                                   "ipv4/tcp_wmem",
                                   "ipv4/udp_rmem_min",
                                   "ipv4/udp_wmem_min",
                                   "ipv6/auto_flowlabels",
                                   "ipv6/bindv6only",
                                   "ipv6/icmp/echo_ignore_all",
                                   "ipv6/icmp/ratelimit",
                                   "ipv6/ip_nonlocal_bind",
                                   "netfilter/nf_conntrack_acct",
                                   "netfilter/nf_conntrack_tcp_be_liberal",
                                   "netfilter/nf_conntrack_tcp_loose",
                                   "netfilter/nf_conntrack_tcp_timeout_established",
                                   "netfilter/nf_conntrack_udp_timeout",
                                   "netfilter/nf_conntrack_udp_timeout_stream"};

// The array of IPv4 begins with number 1.
constexpr DeviceKnob v4(const char* name, size_t number) { return {name, false, number - 1}; }
constexpr DeviceKnob v6(const char* name, size_t number) { return {name, true, number}; }

}  // namespace

// "forwarding" and "disable_ipv6" reset others, hence they come first.
const std::vector<DeviceKnob>& device_knobs() {
  static const std::vector<DeviceKnob> kKnobs = {
      v4("forwarding", IPV4_DEVCONF_FORWARDING),
      v4("accept_local", IPV4_DEVCONF_ACCEPT_LOCAL),
      v4("accept_redirects", IPV4_DEVCONF_ACCEPT_REDIRECTS),
      v4("accept_source_route", IPV4_DEVCONF_ACCEPT_SOURCE_ROUTE),
      v4("arp_accept", IPV4_DEVCONF_ARP_ACCEPT),
      v4("arp_announce", IPV4_DEVCONF_ARP_ANNOUNCE),
      v4("arp_filter", IPV4_DEVCONF_ARPFILTER),
      v4("arp_ignore", IPV4_DEVCONF_ARP_IGNORE),
      v4("arp_notify", IPV4_DEVCONF_ARP_NOTIFY),
      v4("ignore_routes_with_linkdown", IPV4_DEVCONF_IGNORE_ROUTES_WITH_LINKDOWN),
      v4("log_martians", IPV4_DEVCONF_LOG_MARTIANS),
      v4("promote_secondaries", IPV4_DEVCONF_PROMOTE_SECONDARIES),
      v4("proxy_arp", IPV4_DEVCONF_PROXY_ARP),
      v4("route_localnet", IPV4_DEVCONF_ROUTE_LOCALNET),
      v4("rp_filter", IPV4_DEVCONF_RP_FILTER),
      v4("secure_redirects", IPV4_DEVCONF_SECURE_REDIRECTS),
      v4("send_redirects", IPV4_DEVCONF_SEND_REDIRECTS),
      v4("src_valid_mark", IPV4_DEVCONF_SRC_VMARK),
      v6("disable_ipv6", DEVCONF_DISABLE_IPV6),
      v6("forwarding", DEVCONF_FORWARDING),
      v6("accept_dad", DEVCONF_ACCEPT_DAD),
      v6("accept_ra", DEVCONF_ACCEPT_RA),
      v6("accept_ra_defrtr", DEVCONF_ACCEPT_RA_DEFRTR),
      v6("accept_ra_mtu", DEVCONF_ACCEPT_RA_MTU),
      v6("accept_ra_pinfo", DEVCONF_ACCEPT_RA_PINFO),
      v6("accept_ra_rtr_pref", DEVCONF_ACCEPT_RA_RTR_PREF),
      v6("accept_redirects", DEVCONF_ACCEPT_REDIRECTS),
      v6("accept_source_route", DEVCONF_ACCEPT_SOURCE_ROUTE),
      v6("autoconf", DEVCONF_AUTOCONF),
      v6("dad_transmits", DEVCONF_DAD_TRANSMITS),
      v6("hop_limit", DEVCONF_HOPLIMIT),
      v6("keep_addr_on_down", DEVCONF_KEEP_ADDR_ON_DOWN),
      v6("max_addresses", DEVCONF_MAX_ADDRESSES),
      v6("ndisc_notify", DEVCONF_NDISC_NOTIFY),
      v6("optimistic_dad", DEVCONF_OPTIMISTIC_DAD),
      v6("proxy_ndp", DEVCONF_PROXY_NDP),
      v6("router_solicitations", DEVCONF_RTR_SOLICITS),
      v6("use_tempaddr", DEVCONF_USE_TEMPADDR)};
  return kKnobs;
}

std::string DeviceKnob::path(const std::string& device) const {
  return (v6 ? "ipv6/conf/" : "ipv4/conf/") + device + "/" + name;
}

std::vector<std::string> namespace_sysctls() {
  std::vector<std::string> out(std::begin(kGlobal), std::end(kGlobal));
  for (const char* device : {"all", "default"})
    for (const DeviceKnob& k : device_knobs()) out.push_back(k.path(device));
  return out;
}

std::vector<std::string> late_sysctls(const Link& link) {
  const std::string conf = "ipv6/conf/" + link.name + "/";
  return {conf + "stable_secret", conf + "addr_gen_mode"};
}

std::optional<int32_t> knob_value(const Link& link, const DeviceKnob& knob) {
  const std::string& values = knob.v6 ? link.conf6 : link.conf4;
  int32_t v = 0;
  if (values.size() < (knob.place + 1) * sizeof v) return std::nullopt;
  std::memcpy(&v, values.data() + knob.place * sizeof v, sizeof v);
  return v;
}

}  // namespace vz::net
