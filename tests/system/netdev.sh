#!/bin/bash
# NETDEV: network devices of the host's that a container has while it runs, and that the host has again afterwards, whatever the
# guest has done to them and however it ended.
. "$(dirname "$0")/../lab/lib.sh"
. "$(dirname "$0")/../lab/ct.sh"

conf=/etc/vz/conf/101.conf
mac=02:00:00:00:00:77
here() { on_alpha ip -o link show "$1" 2>/dev/null; }
is_here() { [ -n "$(here "$1")" ]; }
in_ct() { inside 101 "ip link show $1 2>/dev/null" >/dev/null; }
# as_it_was: the host has one0 again, as it was before.
as_it_was() {
  eventually 10 is_here one0
  assert_contains "$(here one0)" " mtu 1400 "
  assert_contains "$(here one0)" "link/ether $mac "
  assert_contains "$(here one0)" " state DOWN "
  [[ $(here one0) != *[,\<]UP[,\>]* ]] || fail "it is up: $(here one0)"
}

step "up"
lab_up alpha
need_tiny
# Virtual ones: the kernel destroys those with their namespace.
on_alpha sh -ec "ip link add one0 address $mac mtu 1400 type veth peer name one1
  ip link add two0 type veth peer name two1; ip link set two1 up"
ok create 101 --ostemplate tiny --diskspace 64M
ok start 101

step "what is no device to be moved"
for bad in lo venet0 tun0 tap3 ../x; do
  expect 21 set 101 --netdev_add "$bad" --save
  assert_contains "$err" "Bad parameter for --netdev_add"
done

step "what is absent or in use stays where it is, and nothing is stored"
refuses() {
  expect 130 set 101 --netdev_add two0 --netdev_add "$1" --save
  assert_contains "$err" "NETDEV: $2"
  assert_contains "$err" "not saving"
  is_here two0 || fail "two0 was moved"
}
refuses nope0 "there is no network device 'nope0'"
refuses eth0 "network device 'eth0' is in use: it is a port of 'br0'"
on_alpha ip addr add 10.99.1.1/24 dev one0
refuses one0 "network device 'one0' is in use: this host has the address 10.99.1.1 on it"
on_alpha ip addr flush dev one0
refuses br0 "network device 'br0' is in use"
on_alpha sh -c "! grep NETDEV $conf" || fail "something of that was stored"

step "into a running one, and back"
expect 0 set 101 --netdev_add one0 --netdev_add two0 --save
on_alpha grep -qxF 'NETDEV="one0 two0"' $conf
in_ct one0 && in_ct two0 || fail "the container does not have them"
! is_here one0 && ! is_here two0 || fail "the host has them still"
ok exec2 101 'ip addr add 10.99.2.2/24 dev two0; ip link set two0 up'
on_alpha ip addr add 10.99.2.1/24 dev two1
on_alpha ping -c 1 -W 5 10.99.2.2 >/dev/null || fail "no packet comes through"
expect 130 set 101 --netdev_add one0 --netdev_add nope0
expect 0 set 101 --netdev_del two0 --save
on_alpha grep -qxF 'NETDEV="one0"' $conf
is_here two0 && ! in_ct two0 || fail "it did not come back"

step "no dump of it, and says why"
expect 16 migratable 101
assert_contains "$out" "has the host's network device 'one0' (NETDEV)"
expect 16 migratable 101 --json
assert_contains "$out" '"migratable": false'
expect 16 suspend 101
assert_contains "$err" "vzctl set 101 --netdev_del one0"
in_ct one0 || fail "it is gone"

step "whatever the guest does to it, the host has it again as it was"
change='ip link set one0 name mine; ip link set mine address 02:00:00:00:00:99; ip link set mine mtu 1200; ip link set mine up
  ip link add br7 type bridge; ip link set mine master br7'
ok exec2 101 "$change"
ok stop 101 --fast
as_it_was

step "at a start, a reboot from inside, a death"
ok start 101
in_ct one0 || fail "the container does not have it"
ok exec2 101 "$change"
before=$(init_of 101)
ok exec2 101 reboot
rebooted() { [ "$(init_of 101 2>/dev/null)" != "$before" ] && is_status 101 exist mounted running; }
eventually 20 rebooted
eventually 10 in_ct one0
on_alpha kill -9 "$(init_of 101)"
eventually 20 is_status 101 exist unmounted down
as_it_was
ok start 101
supervisor=$(on_alpha cat /run/vz/101/supervisor)
on_alpha kill -9 "$supervisor" "$(init_of 101)"
ok start 101 # nobody was left to clean up before
in_ct one0 || fail "the container does not have it"
ok stop 101 --fast
as_it_was

step "what it needs is not there: it does not start, and nothing of it stays"
ok set 101 --netdev_add two0 --save
on_alpha ip link set two0 name elsewhere0
expect 130 start 101
assert_contains "$err" "NETDEV: there is no network device 'two0' on this host"
assert_ct 101 exist unmounted down
as_it_was
on_alpha ip link set elsewhere0 name two0

step "one that the guest destroyed, and one that it made in its place"
ok start 101
ok exec2 101 'ip link del two0'
ok exec2 101 'ip link add two0 type bridge'
expect 0 set 101 --netdev_del two0 --save
assert_contains "$err" "'two0' is not in the container any more"
! is_here two0 || fail "the guest's device came out"
expect 0 set 101 --netdev_del all --save
on_alpha grep -qxF 'NETDEV=""' $conf
as_it_was
ok migratable 101
ok stop 101 --fast
ok destroy 101
for link in one0 two1; do on_alpha ip link del $link 2>/dev/null || true; done
assert_clean alpha --all
