// A guest's packets that come while it has no link: see test_lan.h.
#include "net/hold.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>

#include "net/test_lan.h"

using namespace vz;
using namespace vz::test;

namespace {

// Two hosts with a bridge each, a client, and a guest whose link is now here, now there.
struct World {
  Lan lan{3};
  const sys::UniqueFd &a = lan.machines[0], &b = lan.machines[1], &client = lan.machines[2];
  sys::UniqueFd ct = netns();
  net::Plan plan = net::plan(101, bridged("br0"));

  World() {
    for (const sys::UniqueFd* host : {&a, &b}) {
      OK_IN(*host, "ip link add br0 up type bridge forward_delay 0 mcast_snooping 0");
      OK_IN(*host, "ip link set eth0 master br0");
    }
    // It does not send again by itself while a case takes its time.
    OK_IN(client, "sysctl -qw net.ipv4.tcp_early_retrans=0");
    OK_IN(client, "ip route replace 10.1.0.0/24 dev eth0 rto_min 5s");
  }
  void arrive(const sys::UniqueFd& host) {
    const auto visit = NetnsVisit::enter(host.get());
    REQUIRE(ok(net::add_veth(plan.veths[0], ct.get(), true)));
    OK_IN(ct, "ip addr add 10.1.0.101/24 dev eth0");
  }
};

sys::UniqueFd socket_in(const sys::UniqueFd& ns, int type) {
  const auto visit = NetnsVisit::enter(ns.get());
  sys::UniqueFd fd{::socket(AF_INET, type | SOCK_CLOEXEC, 0)};
  const timeval patience{5, 0};
  ::setsockopt(fd.get(), SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
  return fd;
}

sockaddr_in guest(uint16_t port) {
  sockaddr_in a{};
  a.sin_family = AF_INET;
  a.sin_port = htons(port);
  inet_pton(AF_INET, "10.1.0.101", &a.sin_addr);
  return a;
}

int bind_to(const sys::UniqueFd& fd, uint16_t port) {
  const sockaddr_in a = guest(port);
  return ::bind(fd.get(), reinterpret_cast<const sockaddr*>(&a), sizeof a);
}

int connect_to(const sys::UniqueFd& fd, uint16_t port) {
  const sockaddr_in a = guest(port);
  return ::connect(fd.get(), reinterpret_cast<const sockaddr*>(&a), sizeof a);
}

unsigned retransmitted(const sys::UniqueFd& fd) {
  tcp_info info{};
  socklen_t size = sizeof info;
  ::getsockopt(fd.get(), IPPROTO_TCP, TCP_INFO, &info, &size);
  return info.tcpi_total_retrans;
}

}  // namespace

TEST_CASE("live: what is sent to a bridged guest while it moves is there when it is") {
  NEED_NAMESPACES;
  World w;
  w.arrive(w.a);
  const auto listener = socket_in(w.ct, SOCK_STREAM), sender = socket_in(w.client, SOCK_STREAM);
  const auto datagrams = socket_in(w.ct, SOCK_DGRAM), from = socket_in(w.client, SOCK_DGRAM);
  REQUIRE(bind_to(listener, 7) == 0);
  REQUIRE(::listen(listener.get(), 1) == 0);
  REQUIRE(bind_to(datagrams, 9) == 0);
  REQUIRE(connect_to(sender, 7) == 0);
  REQUIRE(connect_to(from, 9) == 0);
  const sys::UniqueFd receiver{::accept(listener.get(), nullptr, nullptr)};
  REQUIRE(receiver);
  char buffer[65536];
  REQUIRE(::send(sender.get(), "hello", 5, 0) == 5);
  REQUIRE(::recv(receiver.get(), buffer, sizeof buffer, 0) == 5);

  std::string held;
  {
    const auto visit = NetnsVisit::enter(w.a.get());
    REQUIRE(ok(net::set_master(w.plan.veths[0].host_name, "")));
    auto hold = net::Hold::begin(w.plan);
    REQUIRE(ok(hold));
    // More than a segment: it leaves as one large packet that a device is to cut, without a checksum.
    const std::string much(9000, 'x');
    REQUIRE(::send(sender.get(), much.data(), much.size(), 0) == 9000);
    for (const char* word : {"one", "two", "six"}) REQUIRE(::send(from.get(), word, 3, 0) == 3);
    SECTION("until it is heard from elsewhere") {
      OK_IN(w.client, "ip link add other link eth0 up type macvlan mode bridge");
      OK_IN(w.client, "ip link set other address " + w.plan.veths[0].ct_mac);
      OK_IN(w.client, "ip addr add 10.9.0.1/24 dev other");
      CHECK(!pings(w.client, "10.9.0.2"));
      REQUIRE(::send(from.get(), "late", 4, 0) == 4);
      OK_IN(w.client, "ip link del other");
    }
    SECTION("at once") {}
    held = hold->take();
    CHECK(in(w.a, "ip -d link show dev br0").find("promiscuity 0") != std::string::npos);
    REQUIRE(ok(net::remove_link(w.plan.veths[0].host_name)));
  }
  CHECK(held.find("one") != std::string::npos);
  CHECK(held.find("late") == std::string::npos);

  w.arrive(w.b);
  const auto visit = NetnsVisit::enter(w.b.get());
  REQUIRE(ok(net::announce(w.plan, w.ct.get())));
  net::deliver(w.plan, held);
  size_t came = 0;
  while (came < 9000) {
    const ssize_t n = ::recv(receiver.get(), buffer, sizeof buffer, 0);
    REQUIRE(n > 0);
    came += static_cast<size_t>(n);
  }
  CHECK(retransmitted(sender) == 0);
  for (const char* word : {"one", "two", "six"}) {
    REQUIRE(::recv(datagrams.get(), buffer, sizeof buffer, 0) == 3);
    CHECK(std::string(buffer, 3) == word);
  }
  CHECK(::recv(datagrams.get(), buffer, sizeof buffer, MSG_DONTWAIT) < 0);
}

TEST_CASE("live: what claims to be held, and is not, is left out") {
  NEED_NAMESPACES;
  World w;
  w.arrive(w.a);
  const auto visit = NetnsVisit::enter(w.a.get());
  const auto datagrams = socket_in(w.ct, SOCK_DGRAM), from = socket_in(w.client, SOCK_DGRAM);
  REQUIRE(bind_to(datagrams, 9) == 0);
  REQUIRE(connect_to(from, 9) == 0);
  REQUIRE(::send(from.get(), "known", 5, 0) == 5);  // so that no question is asked below
  char buffer[64];
  REQUIRE(::recv(datagrams.get(), buffer, sizeof buffer, 0) == 5);
  REQUIRE(ok(net::set_master(w.plan.veths[0].host_name, "")));
  auto hold = net::Hold::begin(w.plan);
  REQUIRE(ok(hold));
  REQUIRE(::send(from.get(), "good", 4, 0) == 4);
  const std::string held = hold->take();
  REQUIRE(held.size() > 40);

  std::string other_link = held, endless = held;
  other_link[3] = 1;
  endless[4] = '\x7f';
  for (const std::string& bad : {other_link, endless, held.substr(0, 7), held.substr(0, 30), std::string(4096, '\0'),
                                 std::string(4096, '\xff'), std::string()})
    net::deliver(w.plan, bad);
  CHECK(::recv(datagrams.get(), buffer, sizeof buffer, MSG_DONTWAIT) < 0);
  net::deliver(w.plan, held);
  CHECK(::recv(datagrams.get(), buffer, sizeof buffer, 0) == 4);
}

TEST_CASE("live: a hold needs its bridge, and takes no more than it may") {
  NEED_NAMESPACES;
  World w;
  w.arrive(w.a);
  const auto visit = NetnsVisit::enter(w.a.get());
  CHECK(!net::Hold::begin(net::plan(101, bridged("br7"))));
  net::Plan without = w.plan;
  without.veths[0].bridge.clear();
  auto nothing = net::Hold::begin(without);
  REQUIRE(ok(nothing));
  CHECK(nothing->take().empty());
  const auto from = socket_in(w.client, SOCK_DGRAM), there = socket_in(w.ct, SOCK_DGRAM);
  REQUIRE(bind_to(there, 9) == 0);
  REQUIRE(connect_to(from, 9) == 0);
  REQUIRE(::send(from.get(), "known", 5, 0) == 5);
  char buffer[64];
  REQUIRE(::recv(there.get(), buffer, sizeof buffer, 0) == 5);
  REQUIRE(ok(net::set_master(w.plan.veths[0].host_name, "")));
  auto hold = net::Hold::begin(w.plan);
  REQUIRE(ok(hold));
  const std::string datagram(1400, 'x');
  for (int i = 0; i < 6000; ++i) (void)::send(from.get(), datagram.data(), datagram.size(), 0);
  const std::string held = hold->take();
  CHECK(held.size() <= net::kMostHeld);
  CHECK(held.size() > net::kMostHeld / 2);
}
