#!/bin/bash
# Memory that is copied beforehand, by the kernel's soft-dirty bits: the freeze is for what a guest wrote last, and every page is
# right afterwards.
VESSEL_BED=vm
. "$(dirname "$0")/../lab/lib.sh"
. "$(dirname "$0")/../lab/moves.sh"
lab_up alpha beta client
address=10.77.0.50 mib=${VESSEL_MIB:-64}

step "a guest with $mib MiB that it checks, and rewrites 4 of; more than /run of its hosts may hold"
for host in alpha beta; do on $host mount -o remount,size=32M /run; done
need_tiny alpha
make_guest alpha 101 tiny $address --ram $((mib + 64))M
start_memory_probe alpha 101 "$mib" 4

step "all of it in the freeze"
out=$(on alpha vzmigrate --online --precopy 0 --times beta 101)
whole=$(frozen "$out")
assert_right beta 101
assert_clean alpha --all

step "beforehand, as it pays"
talk $address
out=$(on beta vzmigrate --online --times alpha 101)
beforehand=$(frozen "$out")
assert_contains "$out" "Memory copied beforehand"
assert_right alpha 101
assert_clean beta --all
worst=$(hang_up)
say "frozen for $beforehand s, with all of its memory for $whole s; worst round trip $worst ms"
say "$(grep beforehand, <<<"$out")"
awk "BEGIN { exit !($beforehand < $whole / 2) }" || fail "the freeze was not half as long"

step "one round only; the tool is killed when they are over"
on alpha vzmigrate --online --precopy 1 beta 101 >/dev/null
assert_right beta 101
on beta sh -c 'echo memory-copied kill >/run/vz/fault'
on beta vzmigrate --online alpha 101 >/dev/null 2>&1 && fail "moved by a tool that was killed"
on beta rm -f /run/vz/fault /run/vz/fault.reached
eventually 30 is_clean alpha --all
assert_eq "$(on beta vzctl status 101)" "CTID 101 exist mounted running"
assert_right beta 101
on beta vzmigrate --online alpha 101 >/dev/null
assert_right alpha 101
eventually 30 is_clean beta --all
for host in alpha beta; do ! on $host grep vessel-move /proc/mounts || fail "images of a move are left on $host"; done
on alpha vzctl --quiet stop 101 --fast
on alpha vzctl --quiet destroy 101
