#!/bin/bash
# DEVNODES: devices of the host's in a container's /dev, with the rights that were given and no others.
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

tun=$(on_alpha stat -c %u:%g:%a /dev/net/tun)
step "given: there at the next start, with these rights"
expect 0 set 101 --devnodes net/tun:rw --devnodes kmsg:r --save
assert_contains "$err" "Unable to set devnodes on a running container"
on_alpha grep -qxF 'DEVNODES="net/tun:rw kmsg:r"' $conf
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

step "a device that is not there, and one that is no device"
for name in no-such net; do
  ok set 102 --devnodes $name:rw --save
  ok stop 102
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
ok restart 101
assert_eq "$(inside 101 'ls -d /dev/net /dev/kmsg 2>/dev/null' || true)" "" "devices"
for id in 101 102; do
  ok stop $id
  ok destroy $id
done
assert_clean alpha --all
