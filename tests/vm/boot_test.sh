#!/bin/bash
# The real vz.service: at a shutdown containers are suspended or stopped while disks and network are still there, at the next
# boot they go on; after a power failure those with ONBOOT start. Nothing of systemd's takes them away meanwhile.
VESSEL_BED=vm
. "$(dirname "$0")/../lab/lib.sh"
. "$(dirname "$0")/../lab/ct.sh"
lab_up alpha
need_tiny

running() { on_alpha vzlist -H -o ctid 2>/dev/null | xargs; }
marks() { on_alpha ls -A /var/lib/vz/reboot 2>/dev/null | xargs; }
said() { on_alpha sh -c 'sed -n "s/.* vz-boot : //p" /var/log/vzctl.log; : >/var/log/vzctl.log'; }
limits() { on_alpha sh -c 'cd /sys/fs/cgroup/vz/101 && head -n 1 memory.max pids.max cpu.max cgroup.subtree_control'; }

step "three containers: suspended and stopped at shutdown, with and without ONBOOT"
for ctid in 101 102 103; do
  ok create "$ctid" --ostemplate tiny --diskspace 64M --ram 64M --numproc 40 --cpulimit 50 --ipadd "10.77.0.$((ctid - 40))"
done
ok set 101 --onboot yes --bootorder 7 --save
ok set 102 --onboot yes --autostop stop --save
on_alpha systemctl --quiet enable --now vz.service
assert_eq "$(running)" "101 102" "started by the unit"
on_alpha systemctl is-active --quiet vzprocfs.service || fail "vzprocfs.service: $(on_alpha systemctl status vzprocfs.service)"
is_served() { on_alpha timeout 20 grep -q '^ *101 ' /run/vz/proc/vz/veinfo 2>/dev/null; }
is_served || fail "nothing in /run/vz/proc"
on_alpha systemctl kill -s KILL vzprocfs.service
eventually 10 is_served
ok start 103 --wait
ok exec2 101 'setsid sleep 4321 >/dev/null 2>&1 </dev/null & echo >/run/mark'
ok exec2 102 'printf "#!/bin/sh\necho down >/root/down\n" >/etc/rc.shutdown; chmod +x /etc/rc.shutdown; sync'

step "systemd: a reload leaves the limits alone, and the unit has no process"
before=$(limits)
assert_contains "$before" $((64 << 20))
on_alpha systemctl daemon-reload
on_alpha systemctl daemon-reexec
assert_eq "$(limits)" "$before" "limits after daemon-reload"
for ctid in 101 103; do
  supervisor=$(on_alpha cat "/run/vz/$ctid/supervisor")
  assert_eq "$(on_alpha cat "/proc/$supervisor/cgroup")" "0::/vz/supervisors" "control group of the supervisor of $ctid"
done

step "shutdown and boot"
said >/dev/null
"$bed" off alpha
"$bed" boot alpha
out=$(said)
for line in "CT 101 : suspended" "CT 102 : stopped" "CT 103 : suspended" "CT 101 : started" "CT 102 : started" "CT 103 : started"; do
  assert_contains "$out" "$line" "the log of vz-boot"
done
assert_absent "$out" Error "the log of vz-boot"
assert_eq "$(running)" "101 102 103"
is_served || fail "nothing in /run/vz/proc after a boot"
assert_eq "$(marks)" ""
ok exec2 101 'test -e /run/mark && pidof sleep >/dev/null'
ok exec2 102 'test -e /root/down'
for ctid in 101 102 103; do
  on client ping -n -c 1 -W 5 "10.77.0.$((ctid - 40))" >/dev/null || fail "$ctid is not reached after the boot"
done

step "a power failure: what has ONBOOT starts"
"$bed" cut alpha
"$bed" boot alpha
assert_eq "$(running)" "101 102"
assert_ct 103 exist unmounted down
expect 1 exec2 101 test -e /run/mark

step "a guest that does not obey does not keep the host from its shutdown"
on_alpha kill -STOP "$(init_of 102)"
ok set 102 --stop-timeout 3600 --save
on_alpha sh -c 'mkdir -p /etc/systemd/system/vz.service.d
  printf "[Service]\nExecStopPost=\nExecStopPost=/usr/libexec/vessel/vz-boot stop --within 40\nTimeoutStopSec=240\n" >/etc/systemd/system/vz.service.d/within.conf
  systemctl daemon-reload'
said >/dev/null
"$bed" off alpha
"$bed" boot alpha
out=$(said)
assert_contains "$out" "CT 102 : killed" "the log of vz-boot"
assert_eq "$(running)" "101 102"

step "a shutdown that comes before the start is through stops what has started"
on_alpha systemctl stop vz.service
assert_eq "$(running)" ""
assert_eq "$(on_alpha sh -c 'vzprocfs status; ls /run/vz' | xargs)" "/run/vz/proc is not served" "vzprocfs goes with it"
assert_eq "$(marks)" "101 102"
on_alpha systemctl start --no-block vz.service
begun() { on_alpha ls -A /run/vz | grep -q '^[0-9]'; }
eventually 10 begun
on_alpha systemctl stop vz.service
assert_eq "$(running)" ""
assert_eq "$(marks)" "101 102"
on_alpha systemctl start vz.service
assert_eq "$(running)" "101 102"

step "down"
on_alpha systemctl --quiet disable vz.service
on_alpha systemctl stop vzprocfs.service
for ctid in 101 102 103; do
  ok stop "$ctid" --fast
  ok destroy "$ctid"
done
assert_clean alpha --all
