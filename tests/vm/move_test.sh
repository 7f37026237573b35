#!/bin/bash
# Between two kernels: a live move and a stopped one, while a client keeps one connection. tests/lab/migrate_test.sh has the rest.
VESSEL_BED=vm
. "$(dirname "$0")/../lab/lib.sh"
. "$(dirname "$0")/../lab/moves.sh"
lab_up alpha beta client
address=10.77.0.50
uptime_of() { on "$1" vzctl exec 101 'cut -d. -f1 /proc/uptime'; }

step "alpha boots once more: from now on its uptime is not beta's"
on alpha sync
"$bed" cut alpha
"$bed" boot alpha

step "a guest on alpha, a client talking to it"
on alpha test -e /var/lib/vz/template/cache/tiny.tar.zst || on alpha vztmpl build tiny
make_guest alpha 101 tiny $address --ram 64M --numproc 40
talk $address

step "live, there and back; its clock goes on, as fast as ours"
began=$SECONDS
before=$(uptime_of alpha)
on alpha vzmigrate --online beta 101 >/dev/null
after=$(uptime_of beta)
[ "$after" -ge "$before" ] && [ "$after" -le $((before + SECONDS - began + 2)) ] ||
  fail "its clock went from $before to $after within $((SECONDS - began)) s"
assert_eq "$(on beta vzctl status 101)" "CTID 101 exist mounted running"
assert_eq "$(on beta cat /sys/fs/cgroup/vz/101/memory.max)" $((64 << 20)) "its memory limit there"
assert_clean alpha --all
on beta vzmigrate --online alpha 101 >/dev/null
worst=$(hang_up)
say "worst round trip of two moves: $worst ms"
assert_clean beta --all

step "stopped, and started there"
on alpha vzctl --quiet stop 101
on alpha vzmigrate beta 101 >/dev/null
assert_eq "$(on beta vzctl status 101)" "CTID 101 exist unmounted down"
on beta vzctl --quiet start 101 --wait
on beta vzctl --quiet stop 101
on beta vzctl --quiet destroy 101
assert_clean alpha --all
assert_clean beta --all
