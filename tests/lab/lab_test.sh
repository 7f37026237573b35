#!/bin/bash
# The lab itself: hosts that are separate, talk to each other, and vanish.
. "$(dirname "$0")/lib.sh"

state=/var/tmp/vessel-$VESSEL_LAB

lab_groups() { find /sys/fs/cgroup -type d -name "vz$VESSEL_LAB" 2>/dev/null; }
lab_processes() { for dir in $(lab_groups); do find "$dir" -name cgroup.procs -exec cat {} +; done | sort -u; }
assert_gone() {
  [ ! -e "$state" ] || fail "$state is still there"
  assert_eq "$(lab_groups)" "" "control groups"
  assert_eq "$(losetup --list --noheadings --output BACK-FILE | grep -F "$state" || true)" "" "loop devices"
}

step "up"
machine_mounts=$(awk '{ print $5 }' /proc/self/mountinfo)
machine_links=$(ip -o link | awk '{ print $2 }')
start=$(now_ms)
lab_up alpha beta client
say "up after $(($(now_ms) - start)) ms"
assert_eq "$(awk '{ print $5 }' /proc/self/mountinfo)" "$machine_mounts" "mounts of the machine"
assert_eq "$(ip -o link | awk '{ print $2 }')" "$machine_links" "links of the machine"

step "hosts are hosts"
assert_eq "$(on alpha hostname)" alpha
assert_eq "$(on beta hostname)" beta
on alpha ping -4 -c 1 -W 2 beta >/dev/null
on client ping -6 -c 1 -W 2 alpha >/dev/null
assert_eq "$(on alpha ssh beta hostname)" beta
assert_eq "$(on client ssh root@10.77.0.1 hostname)" alpha
assert_eq "$(on beta ssh fd77::1 hostname)" alpha
assert_contains "$(on alpha ssh beta 'echo $PATH')" "/sbin:" PATH
assert_eq "$(on alpha ssh beta 'echo $PATH')" "$(on alpha sh -c 'echo $PATH')" "PATH of a session"
assert_eq "$(on client ls -A /var/lib/vz 2>/dev/null || true)" "" "/var/lib/vz of the client"

step "input, output and exit status are exact"
assert_eq "$(on alpha cat <<<through)" through
assert_status 7 on alpha sh -c 'exit 7'
assert_status 127 on alpha no-such-program 2>/dev/null
assert_eq "$(on alpha sh -c 'echo out; echo err >&2' 2>/dev/null)" out
assert_status 143 on alpha sh -c 'kill $$'

step "files, processes and groups are separate"
mine=vessel-lab-$$
for dir in /etc/vz /var/lib/vz /run /tmp /root /var/log /var/tmp /etc; do
  on alpha touch "$dir/$mine"
  assert_status 1 on beta test -e "$dir/$mine"
  [ ! -e "$dir/$mine" ] || fail "$dir/$mine came out of the lab"
done
on alpha rm "/tmp/$mine" "/var/tmp/$mine"
assert_eq "$(on alpha cat /proc/1/comm)" sleep
assert_eq "$(on alpha sh -c 'cut -d: -f3 /proc/self/cgroup | sort -u | tr "\n" " "')" "/ /init.scope "
on alpha sh -c 'for at in $(awk "/ - cgroup/ { print \$5 }" /proc/self/mountinfo); do mkdir $at/vz $at/vz/101; done'
assert_status 1 on beta sh -c 'ls -d /sys/fs/cgroup/vz /sys/fs/cgroup/*/vz 2>/dev/null | grep vz'
assert_contains "$(leftovers alpha)" "cgroup: " leftovers
on alpha sh -c 'for at in $(awk "/ - cgroup/ { print \$5 }" /proc/self/mountinfo); do rmdir $at/vz/101; done'
assert_clean alpha
assert_clean alpha --all

step "leftovers are seen"
on alpha sh -c 'ip link add left0 type bridge; mkdir /var/lib/vz/dump; touch /var/lib/vz/dump/x; setsid sleep 77 >/dev/null 2>&1 &'
on alpha sh -c 'truncate -s 1M /var/lib/vz/x.img; losetup -f /var/lib/vz/x.img; mkdir /var/lib/vz/m; mount -t tmpfs x /var/lib/vz/m'
left=$(leftovers alpha)
for what in "link: left0" "dump: /var/lib/vz/dump/x" "sleep 77" "loop device: /dev/loop" "mount: /var/lib/vz/m"; do
  assert_contains "$left" "$what" leftovers
done
assert_clean beta

step "a command ends with the one that waits for it"
assert_status 124 timeout 1 "$lab_dir/lab" run beta -- sleep 88
assert_clean beta

step "up again is no harm, other hosts are refused"
"$lab_dir/lab" up --hosts alpha,beta,client
assert_status 1 "$lab_dir/lab" up --hosts alpha 2>/dev/null
assert_contains "$("$lab_dir/lab" status)" "beta     up" status

step "down leaves nothing, a loop device in use and a frozen group included"
if [ -e /sys/fs/cgroup/freezer ]; then
  on alpha sh -c 'mkdir -p /sys/fs/cgroup/freezer/vz/7; setsid sleep 99 >/dev/null 2>&1 & echo $! >/sys/fs/cgroup/freezer/vz/7/tasks
    echo FROZEN >/sys/fs/cgroup/freezer/vz/7/freezer.state'
fi
start=$(now_ms)
"$lab_dir/lab" down
say "down after $(($(now_ms) - start)) ms"
assert_gone
"$lab_dir/lab" down

step "kill -9 of anything, then down"
for victim in init monitor all; do
  "$lab_dir/lab" up --hosts alpha,beta
  case $victim in
    all) lab_processes | xargs kill -KILL 2>/dev/null || true ;;
    *) kill -KILL "$(cut -d ' ' -f 1 "$state/alpha/$victim")" ;;
  esac
  [ "$victim" = all ] || on beta true
  assert_status 1 "$lab_dir/lab" run alpha -- true 2>/dev/null
  "$lab_dir/lab" down
  assert_gone
done

step "what an earlier boot left is not taken for ours"
"$lab_dir/lab" up --hosts alpha
sed -i 's/[^ ]*$/another-boot/' "$state/alpha/init" "$state/alpha/monitor" "$state/switch"
assert_status 1 "$lab_dir/lab" run alpha -- true 2>/dev/null
"$lab_dir/lab" up --hosts alpha
on alpha true

step "the lab of a dead owner is swept"
VESSEL_LAB=$VESSEL_LAB-b "$lab_dir/lab" up --hosts alpha
VESSEL_LAB=$VESSEL_LAB-b on alpha true
echo "1 1 another-boot" >"$state-b/owner"
"$lab_dir/lab" sweep
[ ! -e "$state-b" ] || fail "the dead owner's lab is still there"
on alpha true
"$lab_dir/lab" down
assert_gone
