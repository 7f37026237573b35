#!/bin/bash
# Suspend and resume: the network, its firewall and the control groups come back as the guest had made them, and whoever is
# killed half-way leaves a container that runs, or its dump, and never both.
. "$(dirname "$0")/../lab/lib.sh"
. "$(dirname "$0")/../lab/ct.sh"
. "$(dirname "$0")/../lab/moves.sh"

step "up"
need nft
lab_up alpha client
need_tiny
dump=/var/lib/vz/dump/Dump.101
ok create 101 --ostemplate tiny --diskspace 64M --ram 64M --numproc 50 --cpulimit 70 --ipadd 10.77.0.61 --ipadd fd77::61 \
  --netif_add eth0,02:00:00:aa:bb:01,myeth0,02:00:00:aa:bb:02,br0
ok start 101 --wait
pings() { on client timeout 5 ping -n -c 1 -W "${2-3}" "$1" >/dev/null; }
in_netns() { on_alpha nsenter -t "$(init_of 101)" -n "$@"; }

step "a guest with a network, a firewall and control groups of its own"
ok exec2 101 'ip addr add 10.77.0.50/24 dev eth0 && ip -6 addr add fd77::50/64 dev eth0 && ip link set eth0 mtu 1400
  ip addr add 192.0.2.1/32 dev lo && ip route add 198.51.100.0/24 via 10.77.0.100 dev eth0 metric 77
  ip -6 route add 2001:db8::/32 via fd77::100 dev eth0 && ip route add blackhole 203.0.113.0/24
  ip rule add from 192.0.2.1 table 77 && ip route add default via 10.77.0.100 table 77
  echo 1 >/proc/sys/net/ipv4/ip_forward'
in_netns nft -f - <<'END_OF_RULES'
table inet own {
  set blocked { type ipv4_addr; elements = { 10.77.0.200, 10.77.0.201 } }
  chain input { type filter hook input priority 0; policy accept; ip saddr @blocked drop; tcp dport 9999 reject; }
}
END_OF_RULES
ok exec2 101 'mkdir -p /sys/fs/cgroup/own/leaf && echo 5 >/sys/fs/cgroup/own/cgroup.max.depth && chown 1000:1000 /sys/fs/cgroup/own/leaf
  setsid sh -c "echo 0 >/sys/fs/cgroup/own/leaf/cgroup.procs; exec tail -f /dev/null" >/dev/null 2>&1 </dev/null &
  mkdir /run/mine && echo here >/run/mine/file'
# Sorted, and without the number of an interface's other end, which may by chance be that of one in the guest: busybox then tells its
# name, and no M-DOWN.
of_guest() {
  {
    inside 101 'for what in addr route "route show table 77" rule "-6 route"; do ip $what; done
      cat /proc/sys/net/ipv4/ip_forward /sys/fs/cgroup/own/cgroup.max.depth /run/mine/file
      stat -c "%u:%g" /sys/fs/cgroup/own/leaf; grep ^0: /proc/$(pidof tail)/cgroup
      cut -d " " -f 4-7 /proc/1/mountinfo'
    in_netns nft --stateless list ruleset
  } | sed 's/@[a-z0-9]*: /: /; s/,M-DOWN>/>/; s/ *$//' | sort
}
of_host() {
  on_alpha sh -c 'ip -o link show myeth0 | grep -o "master [^ ]*\|link/ether [^ ]*"; ip route; ip -6 route; ip neigh show proxy; ip -6 neigh show proxy' | sort
  for file in memory.limit_in_bytes:memory.max pids.max:pids.max cpu.cfs_quota_us:cpu.max; do knob 101 "${file%:*}" "${file#*:}"; done
}
is_settled() { [[ $(inside 101 ip addr) != *tentative* ]]; }
eventually 5 is_settled
guest=$(of_guest) host=$(of_host)
for what in "198.51.100.0/24 via 10.77.0.100" "mtu 1400" "blackhole 203.0.113.0/24" 02:00:00:aa:bb:01 "10.77.0.200, 10.77.0.201" /own/leaf 1000:1000 \
  "/null /proc/partitions"; do
  assert_contains "$guest" "$what" "the guest"
done

step "all of it is there after suspend and resume"
same() { diff <(echo "$1") <(echo "$2") || fail "$3 is not as it was"; }
assert_as_it_was() {
  local address
  same "$guest" "$(of_guest)" "the guest"
  same "$host" "$(of_host)" "the host"
  for address in 10.77.0.50 fd77::50 10.77.0.61 fd77::61; do pings "$address" || fail "the client does not reach $address"; done
}
for words in "suspend resume" "chkpnt restore"; do
  ok "${words% *}" 101
  assert_ct 101 exist unmounted down suspended
  assert_eq "$(leftovers alpha)" "dump: $dump" "left of a suspended container"
  ! pings 10.77.0.61 1 || fail "a suspended container answers"
  ok "${words#* }" 101
  assert_as_it_was
  assert_eq "$(on_alpha ls -A /var/lib/vz/dump)" "" "dumps of a running container"
done

step "its clock stands still meanwhile"
uptime_of() { inside "$1" cut -d . -f 1 /proc/uptime; }
before=$(uptime_of 101)
ok suspend 101
sleep $((5 * slowness))
ok resume 101
passed=$(($(uptime_of 101) - before))
[ "$passed" -ge 0 ] && [ "$passed" -lt $((4 * slowness)) ] || fail "$passed s passed in the guest"

lives() { inside 101 pidof tail >/dev/null; }
# Killed in a dump, criu would leave code of its own in the guest, which then dies of it.
is_left_alone() { ! on_alpha sh -c 'grep -ls CRIUMFD /proc/[0-9]*/maps'; }
is_running() { is_status 101 exist mounted running; }
is_suspended() { is_status 101 exist unmounted down suspended; }
# Where the guest has ended but suspend was killed, its supervisor cleans up.
is_decided() { { is_running && lives; } || is_suspended; }
step "Ctrl-C, SIGTERM or kill -9 of suspend, half-way: it runs on, or is suspended"
for signal in INT TERM KILL; do
  for delay in $(scaled 20 60 100 150); do
    break_off --preserve-status -s "$signal" "$delay" vzctl suspend 101
    eventually 5 is_decided
    if is_suspended; then ok resume 101; fi
    eventually 5 is_running
    eventually 5 lives
    eventually 5 pings 10.77.0.50 1
    eventually 5 is_left_alone
  done
  assert_broken_off "suspend by SIG$signal"
done
ok suspend 101
ok resume 101
assert_as_it_was

step "Ctrl-C when the dump is complete and the guest has ended: too late, it is suspended"
on_alpha sh -c 'cat >/root/slow-criu && chmod 755 /root/slow-criu && cp /etc/vz/vz.conf /root/vz.conf && echo CRIU=/root/slow-criu >>/etc/vz/vz.conf' <<'END_OF_PROGRAM'
#!/bin/sh
criu=/var/lib/vessel/criu/criu
[ -x $criu ] || criu=criu
$criu "$@"
status=$?
[ "$1" != dump ] || { touch /root/dumped && sleep 2; }
exit $status
END_OF_PROGRAM
on_alpha sh -c 'vzctl suspend 101 >/dev/null & until test -e /root/dumped; do sleep 0.1; done; kill -INT $!; wait $!' || fail "cancelled too late"
on_alpha sh -c 'cp /root/vz.conf /etc/vz/vz.conf && rm /root/vz.conf /root/slow-criu /root/dumped'
assert_ct 101 exist unmounted down suspended
ok resume 101
assert_as_it_was

step "Ctrl-C, SIGTERM or kill -9 of resume, half-way: it runs and its dump is gone, or it is suspended"
for signal in INT TERM KILL; do
  for delay in $(scaled 20 60 100 150); do
    ok suspend 101
    break_off -s "$signal" "$delay" vzctl resume 101
    status=0
    vz start 101 >/dev/null 2>&1 || status=$? # waits for a supervisor that works on
    [ "$status" = 0 ] || [ "$status" = 32 ] || fail "start after a resume that got SIG$signal after $delay s: exit status $status"
    assert_ct 101 exist mounted running
    lives || fail "booted, not resumed, after SIG$signal after $delay s"
    ! on_alpha test -e "$dump" || fail "a running container's old dump is still there: the next start would go back to it"
  done
  assert_broken_off "resume by SIG$signal"
done
assert_as_it_was
ok restart 101
expect 1 exec2 101 pidof tail

step "connections that its firewall tracks go on"
start_echo alpha 101
guard alpha 101
for address in 10.77.0.61 fd77::61; do
  talk $address
  ok suspend 101
  ok resume 101
  hang_up > /dev/null
done

step "a connection that the firewall expected, because another one announced it, does not keep the guest from coming back"
in_netns nft -f - <<'END_OF_RULES'
table inet helper {
  ct helper ftp { type "ftp" protocol tcp; }
  chain before { type filter hook prerouting priority 0; tcp dport 7 ct helper set "ftp"; }
}
END_OF_RULES
on client timeout 60 python3 -c '
import socket
listener = socket.create_server(("10.77.0.100", 40000))
control = socket.create_connection(("10.77.0.61", 7))
for line in b"USER x\r\n", b"PORT 10,77,0,100,156,64\r\n":
    control.sendall(line)
    control.recv(100)
open("/tmp/announced", "w").close()
data = listener.accept()[0]
open("/tmp/connected", "w").close()
data.recv(1)' &
talking=$!
eventually 10 on client test -e /tmp/announced
ok exec2 101 'setsid sh -c "tail -f /dev/null | nc 10.77.0.100 40000" > /dev/null 2>&1 < /dev/null &'
eventually 10 on client test -e /tmp/connected
ok suspend 101
ok resume 101
ok exec2 101 'kill $(pidof nc)'
wait $talking # heard that it ended
on client rm /tmp/announced /tmp/connected

step "frozen in memory: it goes on, or is killed"
ok exec2 101 'setsid sh -c "while :; do echo; sleep 0.1; done >/run/ticks" >/dev/null 2>&1 </dev/null &'
ticks() { on_alpha stat -c %s "/proc/$(init_of 101)/root/run/ticks"; }
ticks_past() { [ "$(ticks)" -gt "$1" ]; }
eventually 5 ticks_past 0
expect 20 chkpnt 101 --suspend --resume
for word in --resume --kill; do expect 16 chkpnt 101 "$word"; done
ok exec2 101 true
ok chkpnt 101 --suspend
frozen=$(ticks)
sleep 1
assert_eq "$(ticks)" "$frozen" "ticks of a frozen guest"
assert_ct 101 exist mounted running
! on_alpha test -e "$dump" || fail "a frozen container has a dump"
ok chkpnt 101 --resume
eventually 5 ticks_past "$frozen"
ok exec2 101 true
ok chkpnt 101 --suspend
ok chkpnt 101 --kill
assert_ct 101 exist unmounted down
for word in --suspend --resume --kill; do expect 31 chkpnt 101 "$word"; done

step "down"
ok destroy 101
assert_clean alpha --all
