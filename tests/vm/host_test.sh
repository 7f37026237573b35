#!/bin/bash
# What users' hosts have and the machine of the other beds lacks, proved by using it: systemd and its control groups, page
# tracking for pre-copy, project quota.
VESSEL_BED=vm
. "$(dirname "$0")/../lab/lib.sh"
. "$(dirname "$0")/../lab/ct.sh"
lab_up alpha
need_tiny

step "a container outlives the unit it was started from"
ok create 101 --ostemplate tiny --diskspace 64M --ram 64M --swap 16M --numproc 40 --cpulimit 50
on_alpha systemd-run --quiet --unit=starter --property=Type=oneshot vzctl start 101 --wait
eventually 5 on_alpha sh -c '! systemctl is-active --quiet starter'
supervisor=$(on_alpha cat /run/vz/101/supervisor)
assert_eq "$(on_alpha cat "/proc/$supervisor/cgroup")" "0::/vz/supervisors" "control group of the supervisor"
assert_ct 101 exist mounted running

step "its disk grows while it runs"
ok set 101 --diskspace 128M --save
[ "$(inside 101 df -Pk / | awk 'NR == 2 { print $2 }')" -gt 100000 ] || fail "its disk did not grow: $(inside 101 df -Pk /)"

step "systemd leaves its limits alone"
limits() { on_alpha sh -c 'cd /sys/fs/cgroup/vz/101 && head -n 1 memory.max memory.swap.max pids.max cpu.max cgroup.subtree_control'; }
before=$(limits)
assert_contains "$before" "memory.max <=="$'\n'$((64 << 20))
assert_contains "$before" "memory.swap.max <=="$'\n'$((16 << 20))
assert_contains "$before" "50000 100000"
on_alpha systemctl daemon-reload
on_alpha systemd-run --quiet --unit=other --property=CPUQuota=20% --property=CPUWeight=10 sleep 1000
on_alpha systemctl stop other
on_alpha systemctl daemon-reexec
assert_eq "$(limits)" "$before" "limits after systemd's work"
ok stop 101
on_alpha systemctl daemon-reload
! on_alpha sh -c 'echo -cpu >/sys/fs/cgroup/cgroup.subtree_control' 2>/dev/null || fail "systemd could take the controllers away"
ok start 101 --wait
assert_eq "$(limits)" "$before" "limits of a new start"
ok stop 101
ok destroy 101
assert_clean alpha --all

step "page tracking: criu dumps only what changed since"
on_alpha criu check --feature mem_dirty_track
on_alpha sh -c 'mkdir -p /root/pre/1 /root/pre/2
  setsid python3 -c "
import os, time
block = bytearray(os.urandom(16 << 20))
while True:
    block[0] ^= 1
    time.sleep(0.01)" </dev/null >/dev/null 2>&1 & echo $! >/root/pre/pid
  sleep 3
  criu pre-dump -t $(cat /root/pre/pid) -D /root/pre/1 --track-mem
  criu dump -t $(cat /root/pre/pid) -D /root/pre/2 --track-mem --prev-images-dir ../1 --shell-job'
read -r first second <<<"$(on_alpha sh -c 'for n in 1 2; do du -bc /root/pre/$n/pages-*.img | tail -n 1 | cut -f 1; done' | tr '\n' ' ')"
say "pre-dump $first bytes, dump $second bytes"
[ "$first" -gt $((16 << 20)) ] && [ "$second" -lt $((4 << 20)) ] || fail "the dump has all pages again"
on_alpha rm -r /root/pre

step "project quota: ext4 and xfs refuse the byte too many"
on_alpha mount /srv/xfs
for place in /var/lib/vz /srv/xfs; do
  on_alpha sh -c "mkdir $place/project && setquota -P 77 0 1024 0 0 $place && chattr -p 77 +P $place/project && chmod 777 $place/project"
  # Not as root: CAP_SYS_RESOURCE is above quotas.
  out=$(on_alpha setpriv --reuid=1000 --regid=1000 --clear-groups dd if=/dev/zero of="$place/project/file" bs=64k count=64 2>&1) && fail "no quota holds in $place"
  [[ $out = *"quota exceeded"* || $out = *"No space left"* ]] || fail "dd in $place: $out"
  on_alpha sh -c "rm -r $place/project && setquota -P 77 0 0 0 0 $place"
done
on_alpha umount /srv/xfs
on_alpha sh -c 'mount /srv/btrfs && btrfs quota enable /srv/btrfs && umount /srv/btrfs'
