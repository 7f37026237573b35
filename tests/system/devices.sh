#!/bin/bash
# DEVNODES and DEVICES: devices of the host's in a container's /dev, with the rights that were given and no others.
. "$(dirname "$0")/../lab/lib.sh"
. "$(dirname "$0")/../lab/ct.sh"

conf=/etc/vz/conf/101.conf
is_there() { on_alpha test -c "/dev/$1"; }
# opens CTID NODE r|w|rw: its error, or "yes". Not by the guest's shell, which would create a file.
opens() {
  local how=${3/rw/<>}
  how=${how/r/<}
  how=${how/w/>>}
  inside "$1" "test -c $2 && { exec 3$how$2; } 2>&1 && echo yes" 2>&1 | sed 's/.*: //'
}

step "up"
lab_up alpha
need_tiny
for device in net/tun kmsg; do is_there $device || skip "this host has no /dev/$device"; done
ok create 101 --ostemplate tiny --diskspace 64M
ok create 102 --ostemplate tiny --diskspace 64M

step "what is no name of a device"
for bad in fuse fuse:x ../sda:rw /dev/fuse:rw pts/0:rw; do
  expect 21 set 101 --devnodes "$bad" --save
  assert_contains "$err" "Bad parameter for --devnodes"
done
on_alpha sh -c "! grep DEVNODES $conf" || fail "something of that was stored"

step "without: none of them"
ok start 101
assert_eq "$(inside 101 'ls -d /dev/net /dev/kmsg 2>/dev/null' || true)" "" "devices"

gone() { assert_eq "$(inside "$1" 'ls /dev/net/tun /dev/kmsg 2>/dev/null' || true)" "" "devices"; }
tun=$(on_alpha stat -c %u:%g:%a /dev/net/tun)
step "given: there at once, with these rights"
expect 0 set 101 --devnodes net/tun:rw --devnodes kmsg:r --save
assert_eq "$err" "" "errors"
on_alpha grep -qxF 'DEVNODES="net/tun:rw kmsg:r"' $conf
assert_eq "$(opens 101 /dev/net/tun rw)" yes "/dev/net/tun"
assert_eq "$(opens 101 /dev/kmsg w)" "Operation not permitted" "writing /dev/kmsg"

step "other rights, less, and what a running one cannot get"
ok set 101 --devnodes net/tun:r --devnodes kmsg:rw
assert_eq "$(opens 101 /dev/net/tun rw)" yes "/dev/net/tun, which every one may open that has a node"
assert_absent "$(opens 101 /dev/kmsg w)" "not permitted"
ok set 101 --devnodes kmsg:none
assert_eq "$(inside 101 'ls /dev/kmsg 2>/dev/null' || true)" "" "/dev/kmsg"
expect 86 set 101 --devnodes kmsg:r --devnodes no-such:rw --save
assert_eq "$(inside 101 'ls /dev/kmsg 2>/dev/null' || true)" "" "/dev/kmsg"
ok exec2 101 touch /dev/kmsg
expect 86 set 101 --devnodes kmsg:r
assert_contains "$err" "/dev/kmsg"
ok exec2 101 'test -f /dev/kmsg || test ! -e /dev/kmsg'
on_alpha grep -qxF 'DEVNODES="net/tun:rw kmsg:r"' $conf

step "the same after a start"
ok restart 101
ok start 102
assert_eq "$(inside 101 'stat -c %t:%T /dev/net/tun')" "a:c8" "number of /dev/net/tun"
assert_eq "$(opens 101 /dev/net/tun rw)" yes "/dev/net/tun"
ok exec2 101 'ip tuntap add mode tun name tun7 2>/dev/null || exec 3<>/dev/net/tun'
assert_eq "$(inside 102 'ls -d /dev/net /dev/kmsg 2>/dev/null' || true)" "" "devices of another one"
assert_eq "$(inside 101 'stat -c %u:%g:%a /dev/net/tun /dev/kmsg' | xargs)" \
  "0:0:$(on_alpha stat -c %a /dev/net/tun) 0:0:$(on_alpha stat -c %a /dev/kmsg)" "owner and mode"
# kmsg has its own say in who reads it: what counts is that writing is refused by the list of devices.
assert_eq "$(opens 101 /dev/kmsg w)" "Operation not permitted" "writing /dev/kmsg"
ok exec2 101 chmod 600 /dev/net/tun
assert_eq "$(on_alpha stat -c %u:%g:%a /dev/net/tun)" "$tun" "the host's node"

step "no dump of it, and says why"
expect 16 migratable 101
assert_contains "$out" "has a mount of the host's on '/dev/net/tun', which criu cannot bring back"
assert_contains "$out" "vzctl set 101 --devnodes or --devices"

step "a device that is not there, and one that is no device"
for name in no-such net; do
  expect 86 set 102 --devnodes $name:rw --save
  ok stop 102
  ok set 102 --devnodes $name:rw --save
  expect 86 start 102
  assert_contains "$err" "DEVNODES: "
  assert_contains "$err" "'/dev/$name'"
  assert_ct 102 exist unmounted down
  ok set 102 --devnodes $name:none --save
  ok start 102
done

step "taken away"
ok set 101 --devnodes none --save
on_alpha grep -qxF 'DEVNODES=""' $conf
gone 101
ok migratable 101
ok restart 101
gone 101

step "by their number: the same nodes and rights, at once and after a start"
kmsg=$(on_alpha stat -c '%Hr:%Lr' /dev/kmsg 2>/dev/null || echo 1:11)
for bad in c:10:200 c:10:200:x b:7:0:rw b:7:all:r /dev/kmsg:r; do
  expect 21 set 101 --devices "$bad" --save
  assert_contains "$err" "Bad parameter for --devices"
done
ok set 101 --devices c:10:200:rw --devices "c:$kmsg:r" --save
on_alpha grep -qxF "DEVICES=\"c:10:200:rw c:$kmsg:r\"" $conf
by_number() {
  assert_eq "$(inside 101 'stat -c %t:%T /dev/net/tun')" "a:c8" "number of /dev/net/tun"
  assert_eq "$(opens 101 /dev/net/tun rw)" yes "/dev/net/tun"
  assert_eq "$(opens 101 /dev/kmsg w)" "Operation not permitted" "writing /dev/kmsg"
}
by_number
ok restart 101
by_number
expect 16 migratable 101
assert_contains "$out" "/dev/net/tun"
ok set 101 --devices "c:$kmsg:none" --devnodes net/tun:r --save
ok set 101 --devices none --save
assert_eq "$(inside 101 'stat -c %t:%T /dev/net/tun')" "a:c8" "what DEVNODES gives as well"
assert_eq "$(inside 101 'ls /dev/kmsg 2>/dev/null' || true)" "" "/dev/kmsg"
ok set 101 --devnodes none --save
gone 101

step "by a number that this host does not have, all of a major, a block device"
expect 0 set 101 --devices c:4095:77:rw --save
assert_contains "$err" "DEVICES: no node for c:4095:77: this host has no such device"
ok restart 101
expect 0 set 101 --devices none --devices c:1:all:r --save
assert_contains "$(inside 101 ls /dev)" kmsg
assert_eq "$(opens 101 /dev/kmsg w)" "Operation not permitted" "writing /dev/kmsg"
[ ! -b /dev/vda ] && disk=b:8:0 || disk=b:$(stat -c '%Hr:%Lr' /dev/vda)
expect 0 set 101 --devices none --devices "$disk:rw" --save
assert_contains "$err" "--devices is kept, but without effect: a block device is not given to a container"
assert_eq "$(inside 101 'find /dev -type b')" "" "block devices"
ok restart 101
assert_eq "$(inside 101 'find /dev -type b')" "" "block devices"
gone 101
for id in 101 102; do
  ok stop $id
  ok destroy $id
done
assert_clean alpha --all
