#!/bin/bash
# Debian 12 and Debian 13 side by side: a container moves between them stopped and, to the newer one, live.
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

step "running: to the newer kernel and the newer CRIU"
on_alpha vzmigrate --online beta 101
assert_eq "$(on beta vzctl status 101)" "CTID 101 exist mounted running"
assert_eq "$(on beta vzctl exec 101 cat /root/kept)" kept
assert_clean alpha --all

step "running: back is refused before anything is touched"
out=$(on beta vzmigrate --online alpha 101 2>&1) && fail "moved live to an older criu"
assert_contains "$out" "is older than"
assert_eq "$(on beta vzctl status 101)" "CTID 101 exist mounted running"
assert_clean alpha --all
on beta vzctl --quiet stop 101
on beta vzctl --quiet destroy 101
