#!/bin/bash
# --lazy: a guest runs on the other host before its memory is there.
. "$(dirname "$0")/lib.sh"
. "$(dirname "$0")/moves.sh"
address=10.77.0.50 mib=${VESSEL_MIB:-256}

# Host-wide, for the duration of this test. In the hosts of a lab they are those of this machine.
settings=(/proc/sys/vm/unprivileged_userfaultfd /proc/sys/fs/pipe-user-pages-soft)
[ -e ${settings[0]} ] || skip "this kernel has no userfaultfd"
before=()
for file in "${settings[@]}"; do before+=("$(<"$file")"); done
put_back() { for i in 0 1; do echo "${before[$i]}" > "${settings[$i]}"; done; }
trap 'status=$?; put_back; lab_finish $status' EXIT
lab_up alpha beta client

step "a guest with $mib MiB that it rewrites and checks"
need_tiny alpha
make_guest alpha 101 tiny $address --ram $((mib + 64))M
start_memory_probe alpha 101 "$mib"

step "refused where a host's settings do not allow it, with their names"
echo 0 > ${settings[0]}
out=$(on alpha vzmigrate --lazy beta 101 2>&1) && fail "moved without userfaultfd"
assert_contains "$out" "vm.unprivileged_userfaultfd"
assert_clean beta --all
echo 1 > ${settings[0]}
echo 0 > ${settings[1]}

step "its memory is whole, before and after; the freeze does not grow with it"
talk $address
out=$(on alpha vzmigrate --lazy --times beta 101)
lazy=$(frozen "$out")
assert_right beta 101
assert_clean alpha --all
assert_eq "$(on beta sh -c 'ls /run/vz /var/lib/vz/moves')" $'/run/vz:\n101\n\n/var/lib/vz/moves:'
out=$(on beta vzmigrate --online --times alpha 101)
whole=$(frozen "$out")
[[ $out = *"Memory copied beforehand"* || $out = *" MiB of memory are copied in the freeze: "* ]] || fail "nothing is said of its memory: $out"
assert_right alpha 101
worst=$(hang_up)
say "frozen for $lazy s, with all of its memory for $whole s; worst round trip of both $worst ms"
awk "BEGIN { exit !($lazy < $whole) }" || fail "the freeze was no shorter"

# The memory phase has begun: it runs there.
runs_on() { on "$1" vzctl status 101 | grep -q " running"; }
step "kill -9 of the source's tool while memory is on its way: it comes all the same"
on alpha sh -c 'echo gone pause > /run/vz/fault'
on alpha vzmigrate --lazy beta 101 > /dev/null 2>&1 &
eventually 30 on alpha test -e /run/vz/fault.reached
on alpha sh -c 'kill -9 $(cat /run/vz/fault.reached); rm /run/vz/fault*'
wait || true
assert_right beta 101
eventually 60 is_clean alpha --all
assert_eq "$(on beta ls /var/lib/vz/moves)" ""

step "the connection is lost while memory is on its way: it is stopped there, not left with holes"
on beta sh -c 'echo gone pause > /run/vz/fault'
on beta vzmigrate --lazy alpha 101 > "$scratch/lost" 2>&1 &
eventually 30 on beta test -e /run/vz/fault.reached
on beta sh -c 'for p in /proc/[0-9]*; do tr "\0" " " < $p/cmdline 2>/dev/null | grep -q "^ssh -o" && kill -9 ${p#/proc/}; done; rm -f /run/vz/fault*' || true
wait || true
assert_contains "$(<"$scratch/lost")" "part of its memory was lost"
is_down() { [[ $(on alpha vzctl status 101) = "CTID 101 exist "*" down" ]]; }
eventually 60 is_down
assert_contains "$(on alpha cat /var/log/vzctl.log)" "the source was lost before all of its memory was here"
eventually 60 is_clean beta --all
on alpha vzctl --quiet start 101 --wait
on alpha vzctl --quiet stop 101 --fast
on alpha vzctl --quiet destroy 101
assert_clean alpha --all
assert_clean beta --all
