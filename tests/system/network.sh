#!/bin/bash
# Interfaces in bridges and routed addresses, IPv4 and IPv6: there when start returns, changed live, gone after stop.
. "$(dirname "$0")/../lab/lib.sh"
. "$(dirname "$0")/../lab/ct.sh"

step "up"
lab_up alpha client
need_tiny
conf=/etc/vz/conf/101.conf
host_network() { on_alpha sh -c 'ip -o link | cut -d: -f2; ip route; ip -6 route; ip neigh show proxy; ip -6 neigh show proxy' | sort; }
network_before=$(host_network)
# One packet, no second try: what is not there at once is a failure.
pings() { on client timeout 5 ping -n -c 1 -W "${2-3}" "$1" >/dev/null; }
assert_reaches() { pings "$1" || fail "the client does not reach $1"; }
assert_not_reaches() { ! pings "$1" 1 || fail "the client reaches $1"; }

step "a container without a network has lo"
ok create 102 --ostemplate tiny --diskspace 64M
ok start 102 --wait
ok exec2 102 ping -c 1 -W 2 127.0.0.1
ok exec2 102 ping -6 -c 1 -W 2 ::1
assert_eq "$(inside 102 ip -o -4 addr | awk '{ print $2 }')" lo
ok stop 102

step "--netif_add: MAC, names, bridge"
ok create 101 --ostemplate tiny --diskspace 64M --netif_add eth0,,,,br0 \
  --netif_add eth1,02:00:00:aa:bb:01,myeth1,02:00:00:aa:bb:02,br0
on_alpha grep -qE '^NETIF="ifname=eth0,.*bridge=br0.*;ifname=eth1,' "$conf" || fail "$(on_alpha grep NETIF "$conf")"
ok start 101 --wait
link_of_host() { on_alpha ip -o link show "$1"; }
link_inside() { inside 101 ip -o link show "$1"; }
for name in veth101.0 myeth1; do
  assert_contains "$(link_of_host "$name")" "master br0" "$name"
  assert_contains "$(link_of_host "$name")" "UP" "$name"
done
assert_contains "$(link_inside eth1)" "02:00:00:aa:bb:01"
assert_contains "$(link_of_host myeth1)" "02:00:00:aa:bb:02"
mac=$(link_inside eth0 | sed -n 's|.*link/ether \([^ ]*\).*|\1|p')
[[ $mac = 00:18:51:* ]] || fail "the MAC of eth0 is $mac"
ok exec2 101 'ip link set eth0 up && ip addr add 10.77.0.50/24 dev eth0 && ip -6 addr add fd77::50/64 dev eth0'
eventually 5 pings 10.77.0.50
eventually 5 pings fd77::50
ok exec2 101 ping -c 1 -W 3 10.77.0.100
ok restart 101 --wait
assert_eq "$(link_inside eth0 | sed -n 's|.*link/ether \([^ ]*\).*|\1|p')" "$mac" "MAC after a restart"

step "interfaces come and go live"
ok set 101 --netif_add eth2,,,,br0 --save
assert_contains "$(link_of_host veth101.2)" "master br0"
link_inside eth2 >/dev/null
ok set 101 --netif_del eth1 --save
assert_contains "$out" "Deleting veth devices: eth1"
! link_of_host myeth1 2>/dev/null || fail "myeth1 is still there"
! link_inside eth1 2>/dev/null || fail "eth1 is still there"
on_alpha sh -c "! grep -q eth1 $conf" || fail "eth1 is still in $conf"
ok set 101 --netif_del all --save
for name in eth0 eth2; do
  ! link_inside "$name" 2>/dev/null || fail "$name is still there"
done
ok stop 101
assert_clean alpha
assert_eq "$(host_network)" "$network_before" "network of the host"
for bad in far-too-long-a-name,,,,br0 eth0,nonsense,,,br0 eth0,01:00:00:00:00:01,,,br0 eth0,,a/b,,br0; do
  expect 21 set 101 --netif_add "$bad" --save
done
ok set 101 --netif_add eth0,,,,no-such-bridge --save
expect 130 start 101
assert_contains "$err" no-such-bridge
assert_ct 101 exist unmounted down
assert_clean alpha
ok set 101 --netif_del all --save

step "--ipadd: reachable when start --wait returns"
ok set 101 --ipadd 10.77.0.61 --ipadd fd77::61 --save
on_alpha grep -qx 'IP_ADDRESS="10.77.0.61 fd77::61"' "$conf" || fail "$(on_alpha grep IP_ADDRESS "$conf")"
for _ in 1 2 3; do
  ok start 101 --wait
  assert_reaches 10.77.0.61
  assert_reaches fd77::61
  ok stop 101
  assert_clean alpha
done
assert_eq "$(host_network)" "$network_before" "network of the host"
assert_not_reaches 10.77.0.61
ok start 101 --wait
ok exec2 101 ping -c 1 -W 3 10.77.0.100
ok exec2 101 ping -6 -c 1 -W 3 fd77::100
assert_contains "$(inside 101 cat /etc/hosts)" "10.77.0.61 ct101"

step "addresses come and go live"
ok set 101 --ipadd 10.77.0.62 --save
assert_contains "$out" "Adding IP address(es): 10.77.0.62"
assert_reaches 10.77.0.62
ok set 101 --ipadd fd77::62/64 # not saved, and yet nothing may stay of it
assert_reaches fd77::62
ok set 101 --ipadd 10.77.0.64
assert_reaches 10.77.0.64
ok set 101 --ipdel 10.77.0.64
assert_not_reaches 10.77.0.64
assert_reaches fd77::62
ok set 101 --ipdel 10.77.0.62 --save
assert_contains "$out" "Deleting IP address(es): 10.77.0.62"
assert_not_reaches 10.77.0.62
assert_reaches 10.77.0.61
assert_reaches fd77::61
assert_absent "$(on_alpha ip neigh show proxy)" 10.77.0.62 "proxy neighbours"

step "two of them, on one host and in one network"
ok set 102 --ipadd 10.77.0.63 --ipadd fd77::63 --save
ok start 102 --wait
ok exec2 102 ping -c 1 -W 3 10.77.0.61
ok exec2 101 ping -6 -c 1 -W 3 fd77::63
expect 78 set 102 --ipadd 10.77.0.61
assert_contains "$err" 10.77.0.61
expect 78 set 102 --ipadd 10.77.0.100
expect 78 set 102 --ipadd 10.77.0.1
assert_reaches 10.77.0.100
assert_reaches 10.77.0.63
ok set 102 --ipdel all --save
assert_contains "$out" "10.77.0.63"
assert_not_reaches 10.77.0.63
on_alpha grep -qx 'IP_ADDRESS=""' /etc/vz/conf/102.conf || fail "$(on_alpha grep IP_ADDRESS /etc/vz/conf/102.conf)"
for bad in 300.1.1.1 10.77.0 fd77:::1 10.77.0.5/33 "10.77.0.5;reboot"; do
  expect 21 set 102 --ipadd "$bad" --save
done

step "nothing stays"
on_alpha kill -9 "$(init_of 101)"
eventually 10 is_status 101 exist unmounted down
ok stop 102
assert_clean alpha
assert_eq "$(host_network)" "$network_before" "network of the host"
assert_not_reaches 10.77.0.61
ok destroy 101
ok destroy 102
assert_clean alpha --all
