#!/bin/bash
# Memory, processes, CPU and disk: what a container may not exceed, changed live and kept.
. "$(dirname "$0")/../lab/lib.sh"
. "$(dirname "$0")/../lab/ct.sh"

step "up"
lab_up alpha
need_tiny
conf=/etc/vz/conf/101.conf
ok create 101 --ostemplate tiny --diskspace 32M --diskinodes 2000 --ram 64M --swap 0
ok create 102 --ostemplate tiny --diskspace 32M --diskinodes 4000 # twice what ext4 would take
ok start 101 --wait
ok start 102 --wait
init=$(init_of 101)
ok exec2 102 'setsid sleep 1000 >/dev/null 2>&1 &'
assert_others_live() {
  assert_eq "$(init_of 101)" "$init" "init of 101"
  ok exec2 101 true
  ok exec2 102 pidof sleep
  on_alpha true
}

step "memory: a hog dies, nobody else does"
assert_eq "$(knob 101 memory.limit_in_bytes memory.max)" $((64 << 20)) "memory limit"
ok exec2 101 'head -c 30m /dev/zero | tail -c 30m >/dev/null'
expect 137 exec2 101 'head -c 150m /dev/zero | tail -c 150m >/dev/null'
assert_others_live
ok exec2 102 'head -c 100m /dev/zero | tail -c 100m >/dev/null'

step "a set that fails half-way changes nothing"
expect 130 set 101 --ram 200M --name half --netif_add eth7,,,,vznobridge --save
assert_eq "$(knob 101 memory.limit_in_bytes memory.max)" $((64 << 20)) "memory limit"
expect 0 exec2 101 '! ip link show eth7 2>/dev/null'
expect 0 set 102 --name half --save
ok set 102 --name "" --save
on_alpha sh -c "! grep -q 'eth7\|half' $conf"

step "memory: changed live"
ok set 101 --ram 200M
assert_contains "$out" "UB limits were set successfully"
assert_contains "$err" "WARNING: Settings were not saved to config and will be lost after CT restart"
assert_eq "$(knob 101 memory.limit_in_bytes memory.max)" $((200 << 20)) "memory limit"
ok exec2 101 'head -c 100m /dev/zero | tail -c 100m >/dev/null'
ok set 101 --physpages 0:20480
assert_eq "$(knob 101 memory.limit_in_bytes memory.max)" $((80 << 20)) "memory limit given in pages"
expect 137 exec2 101 'head -c 100m /dev/zero | tail -c 100m >/dev/null'
ok set 101 --ram 48M
expect 137 exec2 101 'head -c 100m /dev/zero | tail -c 100m >/dev/null'
ok restart 101
init=$(init_of 101)
assert_eq "$(knob 101 memory.limit_in_bytes memory.max)" $((64 << 20)) "memory limit after a restart"
ok set 101 --ram 80M --swap 16M --save
assert_contains "$out" "CT configuration saved to $conf"
on_alpha grep -qx 'PHYSPAGES=.*' "$conf"
assert_eq "$(knob 101 memory.limit_in_bytes memory.max)" $((80 << 20)) "memory limit"
if on_alpha test -e /sys/fs/cgroup/memory/memory.memsw.limit_in_bytes; then
  assert_eq "$(knob 101 memory.memsw.limit_in_bytes)" $((96 << 20)) "memory and swap"
elif on_alpha test ! -e /sys/fs/cgroup/memory; then
  assert_eq "$(knob 101 memory.swap.max)" $((16 << 20)) "swap"
fi
ok restart 101
init=$(init_of 101)
assert_eq "$(knob 101 memory.limit_in_bytes memory.max)" $((80 << 20)) "memory limit after a restart"
expect 0 set 101 --ram 80M --save
assert_contains "$out" "No changes in CT configuration, not saving"

step "processes: a fork bomb stops at NUMPROC"
ok set 101 --numproc 40 --save
assert_eq "$(knob 101 pids.max)" 40 "limit of processes"
ok exec2 101 'i=0; while [ $i -lt 20 ]; do sleep 2 & i=$((i + 1)); done; wait'
expect 2 exec2 101 'i=0; while [ $i -lt 60 ]; do sleep 3 & i=$((i + 1)); done'
assert_contains "$err" "can't fork"
vz exec2 101 'bomb() { bomb | bomb & }; bomb' >/dev/null 2>&1 || true
sleep 1
count=$(knob 101 pids.current)
[ "$count" -le 40 ] || fail "$count processes, NUMPROC is 40"
[ "$(on_alpha sh -c 'ls -d /proc/[0-9]* | wc -l')" -lt 100 ] || fail "the bomb is seen outside"
ok exec2 102 true
expect 0 stop 101 --fast
assert_ct 101 exist unmounted down
ok start 101 --wait
ok set 101 --numproc 60
assert_eq "$(knob 101 pids.max)" 60 "limit of processes, live"
ok set 101 --numproc 40
assert_eq "$(knob 101 pids.max)" 40 "limit of processes, back to what is saved"
ok set 101 --numproc 60 --ram 70M
expect 20 set 101 --reset_ub --save
assert_contains "$err" "--reset_ub cannot be used with any other option"
expect 0 set 101 --reset_ub
assert_contains "$out" "UB limits were set successfully"
assert_eq "$(knob 101 pids.max) $(knob 101 memory.limit_in_bytes memory.max)" "40 $((80 << 20))" "what --reset_ub brought back"
ok set 101 --numproc 60
ok set 101 --cpulimit 90
assert_eq "$(knob 101 pids.max)" 60 "limit of processes, not saved, after another parameter was set"
ok suspend 101
ok resume 101
assert_eq "$(knob 101 pids.max)" 60 "limit of processes, not saved, after suspend and resume"
ok restart 101
assert_eq "$(knob 101 pids.max)" 40 "limit of processes after a restart"

# cpu_times CTID...: nanoseconds of CPU time of each.
cpu_times() {
  on_alpha sh -c 'for ct; do
    cat /sys/fs/cgroup/cpuacct/vz/$ct/cpuacct.usage 2>/dev/null ||
      awk "\$1 == \"usage_usec\" { print \$2 \"000\" }" /sys/fs/cgroup/vz/$ct/cpu.stat
  done' cpu_times "$@" | tr '\n' ' '
}
throttled() { knob "$1" cpu.stat | awk '$1 == "nr_throttled" { print $2 }'; }
# Busy on the first CPU, or wherever there is room, until the container stops.
spin_pinned() { ok exec2 "$1" 'setsid taskset 1 sh -c "while :; do :; done" >/dev/null 2>&1 &'; }
spin() { ok exec2 "$1" 'setsid sh -c "while :; do :; done" >/dev/null 2>&1 &'; }
no_spin() { inside "$1" 'kill -9 -1' >/dev/null 2>&1 || true; }

# assert_share PERCENT WHAT: within a tenth, what 102 gets when 101 gets 100.
assert_share() {
  local from to share i
  for i in 1 2 3; do
    read -r -a from <<<"$(cpu_times 101 102)"
    sleep 3
    read -r -a to <<<"$(cpu_times 101 102)"
    share=$((100 * (to[1] - from[1]) / (to[0] - from[0])))
    say "$2: 102 gets $share for 100"
    if [ "$share" -ge $(($1 * 9 / 10)) ] && [ "$share" -le $(($1 * 11 / 10)) ]; then return; fi
  done
  fail "$2: 102 gets $share for 100, wanted $1"
}

# assert_held PERCENT WHAT: for two seconds 101, which wants more, gets no more than that, and is held back.
assert_held() {
  local held start used percent
  held=$(throttled 101) start=$(now_ms) used=$(cpu_times 101)
  sleep 2
  percent=$((($(cpu_times 101) - used) / 10000 / ($(now_ms) - start)))
  say "$2: $percent %"
  [ "$percent" -le "$1" ] || fail "$2: it took $percent %"
  [ "$(throttled 101)" -gt "$held" ] || fail "$2: never held back"
}

step "CPU shares"
ok set 101 --cpuunits 1000 --save
ok set 102 --cpuunits 3000 --save
assert_contains "$out" "Setting CPU units: 3000"
spin_pinned 101
spin_pinned 102
assert_share 300 "1000 and 3000 units"
ok set 102 --cpuunits 1000
assert_share 100 "1000 units each"
no_spin 101
no_spin 102

step "CPU limit"
ok set 101 --cpulimit 20
assert_contains "$out" "Setting CPU limit: 20"
spin 101
spin 101
assert_held 24 "CPULIMIT 20"
ok set 101 --cpulimit 0
held=$(throttled 101)
sleep 1
assert_eq "$(throttled 101)" "$held" "held back without a limit"
if [ "$(on_alpha nproc)" -gt 1 ]; then
  ok set 101 --cpus 1
  assert_held 115 "CPUS 1"
  ok set 101 --cpus 0
fi
no_spin 101
ok set 101 --cpulimit 50% --save
on_alpha grep -qx 'CPULIMIT="50%"' "$conf" || fail "CPULIMIT is not saved as a part of all CPUs"
for bad in "--cpuunits 1" "--cpuunits many" "--ram lots" "--numproc -3" "--cpulimit x" "--diskspace ''"; do
  before=$(on_alpha md5sum "$conf")
  expect 21 set 101 $bad --save
  assert_contains "$err" "Bad parameter for ${bad%% *}"
  assert_eq "$(on_alpha md5sum "$conf")" "$before" "$conf"
done

step "CPUs by number"
ok set 101 --cpumask 0
assert_contains "$out" "Setting CPU mask: 0"
assert_eq "$(inside 101 nproc)" 1
ok set 101 --cpumask all
assert_eq "$(inside 101 nproc)" "$(on_alpha nproc)"
expect 21 set 101 --cpumask 4000-4001
assert_contains "$err" "and this host has 0"
assert_eq "$(inside 101 nproc)" "$(on_alpha nproc)" "after a refusal"
assert_eq "$out" "" "what a refusal says it has set"
expect 130 set 101 --cpumask 0 --iolimit 4 --netif_add eth7,,,,vznobridge
assert_eq "$(inside 101 nproc)" "$(on_alpha nproc)" "CPUs after a set that failed half-way"
assert_eq "$(knob 101 blkio.throttle.write_bps_device io.max)" "" "I/O limits after a set that failed half-way"
expect 20 set 101 --cpumask auto
expect 20 set 101 --nodemask 0
ok set 101 --cpumask auto --nodemask all
expect 21 set 101 --cpumask 1-0

step "reading and writing"
# MiB COMMAND...: not faster than 4 MiB a second.
slowly() {
  local mib=$1 began took
  shift
  began=$(now_ms)
  ok exec2 101 "$*"
  took=$(($(now_ms) - began))
  [ $took -gt $((mib * 1000 / 4 * 7 / 10)) ] || fail "$mib MiB took $took ms: $*"
}
ok set 101 --iolimit 4 --save
assert_contains "$out" "Setting iolimit: 4194304 bytes/sec"
on_alpha grep -q '^IOLIMIT="4194304"' $conf
slowly 8 dd if=/dev/zero of=/root/slow bs=1M count=8 oflag=direct
slowly 8 dd if=/root/slow of=/dev/null bs=1M iflag=direct
ok stop 101
ok start 101 --wait
init=$(init_of 101)
slowly 4 dd if=/dev/zero of=/root/slow bs=1M count=4 oflag=direct
ok set 101 --iolimit 0 --iopslimit 20 --save
assert_contains "$out" "Setting iolimit: (unlimited)"
assert_contains "$out" "Setting iopslimit: 20 iops"
slowly 8 dd if=/dev/zero of=/root/slow bs=4k count=40 oflag=direct
ok set 101 --iopslimit 0 --save
ok exec2 101 rm /root/slow

step "disk: full is full inside, and nowhere else"
status=0
out=$(inside 102 'dd if=/dev/zero of=/big bs=64k count=1024' 2>&1) || status=$?
assert_contains "$out" "No space left on device"
size=$(inside 102 'stat -c %s /big')
[ "$size" -gt $((20 << 20)) ] && [ "$size" -le $((32 << 20)) ] || fail "$size bytes into 32 MiB"
ok exec2 102 rm /big
ok exec2 102 'dd if=/dev/zero of=/big bs=64k count=256 && rm /big'
out=$(inside 102 'mkdir /many && cd /many && i=0; while true >$i; do i=$((i + 1)); done; :' 2>&1) || true
assert_contains "$out" "No space left on device"
count=$(inside 102 'ls /many | wc -l')
[ "$count" -gt 3000 ] && [ "$count" -lt 4000 ] || fail "$count files with DISKINODES 4000"
inside 102 'rm -r /many'
on_alpha sh -c 'echo room >/var/lib/vz/room && rm /var/lib/vz/room'

step "disk: the host's is full"
on_alpha sh -c 'mkdir /var/lib/vz/small && mount -t tmpfs -o size=2m,mode=700 small /var/lib/vz/small'
expect 46 create 105 --ostemplate tiny --private '/var/lib/vz/small/$VEID'
assert_contains "$err" "no space is left on the file system of '/var/lib/vz/small/105"
assert_eq "$(on_alpha ls -A /var/lib/vz/small)" ""
on_alpha sh -c '! test -e /etc/vz/conf/105.conf && umount /var/lib/vz/small && rmdir /var/lib/vz/small'

size_in() { inside "$1" df -k / | awk 'NR == 2 { print $2 }'; }

step "disk: grown"
expect 20 set 102 --diskspace 64M
assert_contains "$err" "unable to use --diskspace option without --save"
before=$(size_in 102)
status=0
out=$(vz set 102 --diskspace 64M --save 2>&1) || status=$?
if [ "$status" = 0 ]; then
  [ "$(size_in 102)" -gt $((before * 3 / 2)) ] || fail "not grown"
else
  assert_contains "$out" "CAP_SYS_RESOURCE"
  assert_contains "$out" "stop the CT first"
  on_alpha grep -qx 'DISKSPACE="32768"' /etc/vz/conf/102.conf || fail "a size that does not hold was saved"
  assert_eq "$(size_in 102)" "$before" "size after the failure"
fi
ok exec2 102 'echo kept >/root/kept'
stored=$(on_alpha cat /etc/vz/conf/102.conf)
expect 0 set 102 --diskinodes 9000 --save
assert_contains "$err" "Warning: --diskinodes is ignored for an image: its inodes grow with --diskspace"
assert_contains "$out" "No changes in CT configuration, not saving"
expect 21 set 102 --diskinodes many --save
assert_eq "$(on_alpha cat /etc/vz/conf/102.conf)" "$stored" 102.conf
ok stop 102
expect 0 set 102 --diskspace 80M --diskinodes 9000 --save
assert_contains "$err" "Warning: --diskinodes is ignored for an image"
assert_eq "$(on_alpha vzlist -aHo diskspace.h,diskinodes.h 102 | xargs)" "81920 4000" "what is stored"
ok set 102 --diskspace 96M --save
ok start 102
[ "$(size_in 102)" -gt $((80 << 10)) ] || fail "not grown"
assert_eq "$(inside 102 cat /root/kept)" kept
ok stop 102

step "the layout dir has no limit, and says so"
ok create 103 --ostemplate tiny --layout dir
on_alpha test -x /var/lib/vz/private/103/sbin/init
ok start 103 --wait
ok exec2 103 true
ok set 103 --diskspace 10M --save
assert_contains "$err$out" "not enforced by the layout 'dir'"
ok stop 103
ok destroy 103

step "the configuration file is the administrator's"
on_alpha sh -c 'cat >/etc/vz/conf/102.conf' <<'END'
#UUID: 0b7e1c9a
# mine

  ONBOOT="no"
NUMPROC="50:60"
MY_OWN="something else"
NUMPROC="70"
OSTEMPLATE=tiny
# the end
END
ok set 102 --onboot yes --numproc 80 --description 'a "quoted" text' --save
assert_eq "$(on_alpha cat /etc/vz/conf/102.conf)" '#UUID: 0b7e1c9a
# mine

ONBOOT="yes"
NUMPROC="80"
MY_OWN="something else"
OSTEMPLATE=tiny
# the end
DESCRIPTION="a \"quoted\" text"' 102.conf
ok set 102 --onboot no --save
on_alpha sh -c '. /etc/vz/conf/102.conf && [ "$DESCRIPTION" = "a \"quoted\" text" ]' || fail "a shell reads 102.conf otherwise"

step "down"
ok destroy 102
ok stop 101
ok destroy 101
assert_clean alpha --all
