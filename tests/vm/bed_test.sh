#!/bin/bash
# The VM bed itself: real hosts with kernels of their own, that answer soon, lose power and network, and vanish.
VESSEL_BED=vm
. "$(dirname "$0")/../lab/lib.sh"

state=/var/tmp/vessel-$VESSEL_LAB
bed_groups() { find /sys/fs/cgroup -type d -name "vz$VESSEL_LAB" 2>/dev/null; }
assert_gone() {
  [ ! -e "$state" ] || fail "$state is still there"
  assert_eq "$(bed_groups)" "" "control groups"
  ! grep -l -- "$VESSEL_LAB-alpha" /proc/[0-9]*/cmdline 2>/dev/null || fail "a process is left"
}

step "up"
links=$(ip -o link | awk '{ print $2 }')
"$bed" check >/dev/null || true # the first time takes longer
start=$(now_ms)
lab_up alpha beta client
took=$(($(now_ms) - start))
say "two hosts up after $took ms"
assert_eq "$(ip -o link | awk '{ print $2 }')" "$links" "links of the machine"
for host in alpha beta; do say "$host: $(on $host sh -c '. /etc/os-release; echo "$PRETTY_NAME, Linux $(uname -r), CRIU $(criu --version | sed -n "s/Version: //p")"')"; done
memory=$(cut -d ' ' -f 1 "$state"/{alpha,beta}/monitor | sed 's|.*|/proc/&/status|' | xargs awk '/^VmRSS/ { n += $2 } END { print int(n / 1024) }')
say "memory of both on this machine: $memory MiB"
[ "$memory" -lt 2048 ] || fail "2 GiB were promised"
[ "$took" -lt "${VESSEL_BAR_BOOT_MS:-60000}" ] || fail "up took $took ms"

step "hosts are hosts"
assert_eq "$(on alpha hostname)" alpha
[ "$(on alpha cat /proc/sys/kernel/random/boot_id)" != "$(on beta cat /proc/sys/kernel/random/boot_id)" ] || fail "one kernel"
assert_eq "$(on alpha cat /proc/1/comm)" systemd
assert_eq "$(on alpha stat -fc %T /sys/fs/cgroup)" cgroup2fs
on alpha ping -4 -c 1 -W 5 beta >/dev/null
on client ping -6 -c 1 -W 5 alpha >/dev/null
assert_eq "$(on alpha ssh beta hostname)" beta
assert_eq "$(on client ssh root@10.77.0.1 hostname)" alpha
on alpha vzctl --version
assert_clean alpha --all

step "input, output and exit status are exact"
assert_eq "$(on alpha cat <<<through)" through
assert_eq "$(head -c 3000000 /dev/urandom | tee >(md5sum >"$state/sum") | on alpha md5sum)" "$(cat "$state/sum")" "3 MB of input"
assert_eq "$(on alpha sh -c 'head -c 3000000 /dev/zero' | md5sum)" "$(head -c 3000000 /dev/zero | md5sum)" "3 MB of output"
for status in 0 1 7 126 255; do assert_status $status on alpha sh -c "exit $status"; done
assert_status 127 on alpha no-such-program 2>/dev/null
assert_status 143 on alpha sh -c 'kill $$'
assert_eq "$(on alpha sh -c 'echo out; echo err >&2' 2>/dev/null)" out
assert_eq "$(on alpha sh -c 'echo out; echo err >&2' 2>&1 >/dev/null)" err
assert_eq "$(on alpha printf '%s|' 'a  b' '' '$HOME' "it's" $'two\nlines' '*' '#')" $'a  b||$HOME|it\'s|two\nlines|*|#|'
on alpha sh -c 'yes' | head -n 1 >/dev/null || true
start=$(now_ms)
for _ in 1 2 3 4 5 6 7 8 9 10; do on alpha true; done
say "a command takes $((($(now_ms) - start) / 10)) ms"

step "a command ends with the one that waits for it"
assert_status 124 timeout 2 "$bed" run beta -- sh -c 'sleep 88; sleep 99'
assert_clean beta

step "up again is no harm, other hosts are refused"
"$bed" up --hosts alpha,beta
assert_status 1 "$bed" up --hosts alpha 2>/dev/null
assert_contains "$("$bed" status)" "beta     on " status

step "the network fails, the way in does not"
"$bed" net alpha down
assert_status 1 on beta ping -c 1 -W 1 alpha >/dev/null
assert_eq "$(on alpha hostname)" alpha
"$bed" net alpha slow
on beta ping -c 1 alpha >/dev/null
rtt=$(on beta ping -c 3 alpha | sed -n 's|^rtt.* = \([0-9]*\).*|\1|p')
[ "$rtt" -ge 25 ] || fail "a slow host answers in $rtt ms"
"$bed" net alpha up
rtt=$(on beta ping -c 3 alpha | sed -n 's|^rtt.* = \([0-9]*\).*|\1|p')
[ "$rtt" -lt 25 ] || fail "a host that is not slow any more answers in $rtt ms"

step "the power fails and comes back"
on alpha sh -c 'echo kept >/root/synced; sync; echo lost >/root/late'
"$bed" cut alpha
assert_contains "$("$bed" status)" "alpha    off " status
assert_contains "$(on alpha true 2>&1)" "is off" "a command for a host without power"
assert_eq "$("$bed" resets)" "" "hosts that the emulation reset"
start=$(now_ms)
"$bed" boot alpha
say "booted after $(($(now_ms) - start)) ms"
assert_eq "$(on alpha cat /root/synced)" kept
assert_eq "$(on alpha cat /root/late 2>/dev/null || true)" "" "what was never written to the disk"
on alpha ping -c 1 -W 5 beta >/dev/null

step "a host that goes off by itself is told apart"
kill -KILL "$(cut -d ' ' -f 1 "$state/beta/monitor")"
eventually 1 sh -c "'$bed' status | grep -q '^beta     crashed '"
assert_eq "$("$bed" resets)" beta "hosts that the emulation reset"
assert_contains "$(on beta true 2>&1)" "went off by itself" "a command for a host that crashed"
"$bed" boot beta
assert_eq "$("$bed" resets)" "" "hosts that the emulation reset"
on alpha sh -c 'nohup sh -c "sleep 1; echo c >/proc/sysrq-trigger" >/dev/null 2>&1 &'
eventually 3 sh -c "'$bed' status | grep -q '^alpha    crashed '"
assert_eq "$("$bed" resets)" "" "a crash of a kernel is its own"

step "down leaves nothing"
start=$(now_ms)
"$bed" down
say "down after $(($(now_ms) - start)) ms"
assert_gone
"$bed" down

step "nor does Ctrl-C, nor a dead owner"
status=0
timeout -s INT 4 "$bed" up --hosts alpha || status=$?
[ "$status" != 0 ] || fail "interrupted, and yet it says it is up"
assert_gone
timeout -s KILL 4 "$bed" up --hosts alpha || true
[ -e "$state" ] || fail "killed before it did anything"
echo "1 1 another-boot" >"$state/owner"
"$bed" sweep
assert_gone
