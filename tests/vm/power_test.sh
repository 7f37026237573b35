#!/bin/bash
# The power of a host fails while containers run: what was written to disk is there, and they start cleanly.
VESSEL_BED=vm
. "$(dirname "$0")/../lab/lib.sh"
. "$(dirname "$0")/../lab/ct.sh"
lab_up alpha
need_tiny

step "a running container"
ok create 101 --ostemplate tiny --diskspace 64M --ipadd 10.77.0.61
ok start 101 --wait
ok exec2 101 'echo kept >/root/kept; sync'
on_alpha sync

step "the power fails"
"$bed" cut alpha
"$bed" boot alpha
assert_ct 101 exist unmounted down
assert_clean alpha

step "it starts, with what it had written"
ok start 101 --wait
assert_eq "$(inside 101 cat /root/kept)" kept
on client ping -c 1 -W 5 10.77.0.61 >/dev/null

step "the power fails during a start"
ok stop 101
vz start 101 >/dev/null 2>&1 &
starting=$!
sleep 0.7
"$bed" cut alpha
wait "$starting" || true
"$bed" boot alpha
assert_ct 101 exist unmounted down
ok start 101 --wait
assert_eq "$(inside 101 cat /root/kept)" kept
ok stop 101
ok destroy 101
assert_clean alpha --all
