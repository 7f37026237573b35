#!/bin/bash
# Memory that goes ahead to a page store on the other host, that follows the guest (--lazy), and both.
. "$(dirname "$0")/lib.sh"
. "$(dirname "$0")/moves.sh"
address=10.77.0.50 mib=${VESSEL_MIB:-256}

lab_up alpha beta client
allow_pages alpha beta

# So that memory is on its way for some seconds.
slow_down() { on "$1" tc qdisc add dev eth0 root tbf rate "$2" burst 1m latency 100ms; }
speed_up() { on "$1" tc qdisc del dev eth0 root; }

# An emulated processor could not keep up with what is written all over it.
hot=$mib
[ "$slowness" = 1 ] || mib=64 hot=4
step "a guest with $mib MiB that it rewrites, $hot of them, and checks"
need_tiny alpha
make_guest alpha 101 tiny $address --ram $((mib + 64))M
start_memory_probe alpha 101 "$mib" "$hot"

step "refused where a host's settings do not allow it, with their names"
put_settings 0 0
out=$(on alpha vzmigrate --lazy beta 101 2>&1) && fail "moved without userfaultfd"
assert_contains "$out" "vm.unprivileged_userfaultfd"
assert_clean beta --all
put_settings 1 0

if ! tracks_writes alpha; then
  step "refused in rounds where nothing tells what is written"
  assert_contains "$(on alpha vzmigrate --lazy --precopy 2 beta 101 2>&1)" "--precopy: "
fi

step "its memory is whole, before and after; the freeze does not grow with it"
talk $address
out=$(on alpha vzmigrate --lazy --times beta 101)
lazy=$(frozen "$out")
assert_right beta 101
assert_clean alpha --all
assert_eq "$(on beta sh -c 'ls /run/vz /var/lib/vz/moves')" $'/run/vz:\n101\n\n/var/lib/vz/moves:'
out=$(on beta vzmigrate --online --precopy 0 --times alpha 101)
whole=$(frozen "$out")
assert_right alpha 101
worst=$(hang_up)
say "frozen for $lazy s, with all of its memory for $whole s; worst round trip of both $worst ms"
awk "BEGIN { exit !($lazy < $whole) }" || fail "the freeze was no shorter"

if tracks_writes alpha; then
  step "it goes ahead while the guest writes, and all of it is there before the guest runs"
  out=$(on alpha vzmigrate --online --times beta 101)
  assert_contains "$out" " MiB of memory go ahead; the restore does not wait for them"
  assert_contains "$out" "Memory copied beforehand, in MiB: $mib."
  ahead=$(frozen "$out")
  assert_right beta 101
  assert_clean alpha --all
  assert_contains "$out" " s of copying are left"
  slow_down beta 400mbit
  out=$(on beta vzmigrate --online --precopy 2 --max-freeze 50 alpha 101 2>&1) && fail "moved in no time"
  speed_up beta
  assert_contains "$out" "it goes on here"
  [[ $out != *suspending* ]] || fail "it stood still, in vain: $out"
  assert_right beta 101
  out=$(on beta vzmigrate --lazy --precopy 2 --times alpha 101)
  assert_contains "$out" "Memory copied beforehand"
  assert_right alpha 101
  say "frozen for $ahead s when it goes ahead, for $(frozen "$out") s when what is left follows"
  awk "BEGIN { exit !($ahead < $whole) }" || fail "the freeze was no shorter"
fi

# The memory phase has begun: it runs there.
runs_on() { on "$1" vzctl status 101 | grep -q " running"; }
step "kill -9 of the source's tool while memory is on its way: it comes all the same"
slow_down alpha 400mbit
on alpha sh -c 'echo gone pause > /run/vz/fault'
on alpha vzmigrate --lazy beta 101 > /dev/null 2>&1 &
eventually 30 on alpha test -e /run/vz/fault.reached
on alpha sh -c 'kill -9 $(cat /run/vz/fault.reached); rm /run/vz/fault*'
wait || true
assert_right beta 101
eventually 60 is_clean alpha --all
speed_up alpha
assert_eq "$(on beta ls /var/lib/vz/moves)" ""

step "the connection is lost while memory is on its way: it is stopped there, not left with holes"
slow_down beta 400mbit
on beta sh -c 'echo gone pause > /run/vz/fault'
on beta vzmigrate --lazy alpha 101 > "$scratch/lost" 2>&1 &
eventually 30 on beta test -e /run/vz/fault.reached
on beta sh -c 'for p in /proc/[0-9]*; do tr "\0" " " < $p/cmdline 2>/dev/null | grep -q "^ssh -o" && kill -9 ${p#/proc/}; done; rm -f /run/vz/fault*' || true
wait || true
assert_contains "$(<"$scratch/lost")" "part of its memory was lost"
is_down() { [[ $(on alpha vzctl status 101) = "CTID 101 exist "*" down" ]]; }
eventually 60 is_down
assert_contains "$(on alpha cat /var/log/vzctl.log)" "part of its memory was lost on the way"
eventually 60 is_clean beta --all
on alpha vzctl --quiet start 101 --wait
on alpha vzctl --quiet stop 101 --fast
on alpha vzctl --quiet destroy 101
assert_clean alpha --all
assert_clean beta --all
