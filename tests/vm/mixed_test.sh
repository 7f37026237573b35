#!/bin/bash
# Debian 12 and Debian 13 side by side: a stopped container moves between them, and a suspended one is refused.
VESSEL_BED=vm
. "$(dirname "$0")/../lab/lib.sh"
. "$(dirname "$0")/../lab/ct.sh"
lab_up alpha:bookworm beta:trixie
need_tiny

step "stopped: there and back"
ok create 101 --ostemplate tiny --diskspace 64M
ok start 101 --wait
ok exec2 101 'echo kept >/root/kept'
on_alpha vzmigrate beta 101
assert_ct 101 deleted unmounted down
assert_eq "$(on beta vzctl status 101)" "CTID 101 exist mounted running"
assert_eq "$(on beta vzctl exec 101 cat /root/kept)" kept
on beta vzmigrate alpha 101
assert_ct 101 exist mounted running
assert_eq "$(inside 101 cat /root/kept)" kept
assert_clean beta --all

step "running: refused before anything is touched, because CRIU differs"
out=$(on_alpha vzmigrate --online beta 101 2>&1) && fail "moved live between different versions of CRIU"
say "$out"
assert_contains "$out" criu
assert_ct 101 exist mounted running
assert_clean beta --all
ok stop 101
ok destroy 101
