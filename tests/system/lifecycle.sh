#!/bin/bash
# One container through its life: messages, exit statuses, status lines, locks, and what a kill leaves.
. "$(dirname "$0")/../lab/lib.sh"
. "$(dirname "$0")/../lab/ct.sh"

step "up"
need python3
lab_up alpha
need_tiny

lines() { printf '%s\n' "$@"; }

step "the command line"
expect 0 --version
[[ $out =~ ^vzctl\ version\ [0-9.]+$ ]] || fail "vzctl --version: $out"
version=$out
expect 0 --help
assert_eq "${out%%$'\n'*}" "$version" "first line of vzctl --help"
status=0
on_alpha vzctl >/dev/null 2>&1 || status=$?
assert_eq "$status" 20 "vzctl without arguments"
expect 20 nonsense 101
assert_eq "$err" "Bad command: nonsense"
expect 21 start
assert_eq "$err" "CT ID missing"
for bad in 99999999999 101/../102 'x;y' ""; do
  expect 21 start "$bad"
  assert_eq "$err" "Bad CT ID $bad"
done
expect 21 start no-such-name
assert_eq "$err" "Unable to find container by name no-such-name"
expect 21 start 0
assert_eq "$err" "Only set actions are allowed for CT0"
expect 5 set 0 --cpuunits 100
expect 20 status 101 surplus
expect 20 create 101 surplus
status=0
errors=$(on_alpha setpriv --reuid 65534 --clear-groups vzctl status 101 2>&1) || status=$?
assert_eq "$status $errors" "12 This program can only be run under root." "vzctl of another user"

step "a container that is not there"
assert_ct 101 deleted unmounted down
for command in start stop restart destroy mount umount exec2 enter console suspend resume convert compact quotaon; do
  arguments=("$command" 101)
  [ "$command" != exec2 ] || arguments+=(true)
  expect 14 "${arguments[@]}"
  assert_eq "$err" "Container config file does not exist" "$command"
done

step "create refuses, and leaves nothing"
expect 91 create 101 --ostemplate no-such-template
assert_contains "$err" "Creation of container private area failed"
expect 82 create 101 --ostemplate tiny --config no-such-sample
assert_contains "$err" "Sample config file not found: /etc/vz/conf/ve-no-such-sample.conf-sample"
expect 21 create 101 --ostemplate tiny --numproc many
assert_contains "$err" "Bad parameter for --numproc"
on_alpha cp /etc/vz/vz.conf /etc/vz/vz.conf.kept
on_alpha sed -i 's/^DEF_OSTEMPLATE=.*/DEF_OSTEMPLATE=""/' /etc/vz/vz.conf
expect 29 create 101
on_alpha sed -i 's/^CONFIGFILE=.*/CONFIGFILE=""/' /etc/vz/vz.conf
expect 63 create 101 --ostemplate tiny --layout image
on_alpha mv /etc/vz/vz.conf /etc/vz/vz.conf.other
expect 10 create 101 --ostemplate tiny
on_alpha mv /etc/vz/vz.conf.kept /etc/vz/vz.conf
assert_clean alpha --all

step "create"
expect 0 create 101 --ostemplate tiny
assert_eq "$out" "$(lines "Creating container private area (tiny)" "Performing postcreate actions" \
  "CT configuration saved to /etc/vz/conf/101.conf" "Container private area was created")"
assert_eq "$err" "" "errors of create"
assert_ct 101 exist unmounted down
assert_clean alpha
for line in 'OSTEMPLATE="tiny"' 'VE_ROOT="/var/lib/vz/root/$VEID"' 'VE_PRIVATE="/var/lib/vz/private/$VEID"' \
  'ORIGIN_SAMPLE="vswap-256m"'; do
  on_alpha grep -qxF "$line" /etc/vz/conf/101.conf || fail "101.conf lacks $line"
done
on_alpha sh -c '. /etc/vz/conf/101.conf && [ "$VE_LAYOUT" = image ]' || fail "101.conf is no shell text"
expect 44 create 101 --ostemplate tiny
assert_contains "$err" "Private area already exists in /var/lib/vz/private/101"
expect 82 create 101 --ostemplate tiny --config basic
assert_ct 101 exist unmounted down

expect 20 start 101 --no-such-option
expect 20 stop 101 surplus

step "mount and umount"
on_alpha rmdir /var/lib/vz/root/101 /var/lib/vz/root
expect 40 umount 101
assert_eq "$err" "CT is not mounted"
expect 0 mount 101
assert_eq "$out" "Container is mounted"
assert_ct 101 exist mounted down
assert_eq "$(on_alpha stat -c '%a %U %n' /var/lib/vz/root /var/lib/vz/private | xargs)" \
  "700 root /var/lib/vz/root 700 root /var/lib/vz/private" "parents"
on_alpha test -x /var/lib/vz/root/101/sbin/init
expect 0 mount 101
assert_eq "$err" "Container is already mounted"
expect 41 destroy 101
assert_eq "$err" "Container is currently mounted (umount first)"
expect 0 umount 101
assert_eq "$out" "Container is unmounted"
assert_ct 101 exist unmounted down
assert_clean alpha

step "start, stop, restart"
expect 0 stop 101
assert_eq "$err" "Unable to stop: container is not running"
expect 31 exec2 101 true
expect 8 exec 101 true
assert_eq "$err" "Container is not running"
expect 0 start 101
assert_eq "$out" "$(lines "Starting container..." "Container is mounted" "Container start in progress...")"
assert_ct 101 exist mounted running
expect 32 start 101
assert_eq "$err" "Container is already running"
expect 32 umount 101
assert_eq "$err" "Container is running -- stop it first"
expect 32 destroy 101
assert_eq "$err" "Container is currently running. Stop it first."
ok exec2 101 true
expect 0 stop 101
assert_eq "$out" "$(lines "Stopping container ..." "Container was stopped" "Container is unmounted")"
assert_ct 101 exist unmounted down
assert_clean alpha
expect 0 start 101 --wait
assert_eq "$out" "$(lines "Starting container..." "Container is mounted" "Container start in progress, waiting ..." \
  "Container started successfully")"
ok exec2 101 touch /run/mark /root/kept
expect 0 restart 101
assert_eq "${out%%$'\n'*}" "Restarting container"
assert_contains "$out" "Container was stopped"
assert_contains "$out" "Container start in progress..."
expect 1 exec2 101 test -e /run/mark
ok exec2 101 test -e /root/kept
start=$(now_ms)
expect 0 stop 101 --skip-umount
took=$(($(now_ms) - start))
[ "$took" -lt $((900 * slowness)) ] || fail "a guest that obeys took $took ms to stop: was its init, which waits in sigwaitinfo, not understood?"
assert_absent "$out" "Container is unmounted"
assert_ct 101 exist mounted down
expect 0 start 101
assert_absent "$out" "Container is mounted"
expect 0 --quiet restart 101
assert_eq "$out" "" "output of restart --quiet"

step "a guest that does not obey"
ok exec2 101 'printf "#!/bin/sh\nsleep 60\n" >/etc/rc.shutdown; chmod +x /etc/rc.shutdown'
ok set 101 --stop-timeout 1 --save
expect 0 stop 101
assert_contains "$out" "Killing container ..."
assert_clean alpha
ok start 101
start=$(now_ms)
expect 0 stop 101 --fast
[ $(($(now_ms) - start)) -lt $((5000 * slowness)) ] || fail "stop --fast asked the guest first"
assert_absent "$out" "Killing container ..."
assert_clean alpha

step "one at a time"
ok set 101 --stop-timeout $((4 * slowness)) --save
ok start 101
vz stop 101 >/dev/null &
stopping=$!
eventually 5 on_alpha test -e /var/lib/vz/lock/101.lck
expect 9 set 101 --numproc 100
assert_contains "$err" "Locked by: pid "
assert_contains "$err" "stop 101"
assert_contains "$err" "Container already locked"
assert_ct 101 exist mounted running
ok exec2 101 true
wait "$stopping"
assert_clean alpha
on_alpha sh -c 'printf "4194000\nstarting\n" >/var/lib/vz/lock/101.lck'
ok start 101
assert_contains "$err" "Removing stale lock file /var/lib/vz/lock/101.lck"
ok exec2 101 rm /etc/rc.shutdown
ok set 101 --stop-timeout 0 --save

step "reboot and poweroff inside"
ok exec2 101 touch /run/mark
first=$(init_of 101)
vz exec 101 reboot >/dev/null 2>&1 || true
is_new_init() { local now; now=$(init_of 101) && [ -n "$now" ] && [ "$now" != "$first" ]; }
eventually 10 is_new_init
eventually 10 is_status 101 exist mounted running
expect 1 exec2 101 test -e /run/mark
for how in poweroff halt; do
  vz exec 101 "$how" >/dev/null 2>&1 || true
  eventually 10 is_status 101 exist unmounted down
  assert_clean alpha
  ok start 101
done

step "kill -9 of init, of the supervisor, of both"
ok exec2 101 'setsid sleep 1000 >/dev/null 2>&1 &'
on_alpha kill -9 "$(init_of 101)"
eventually 10 is_status 101 exist unmounted down
assert_clean alpha
supervisor_of() { on_alpha cat "/run/vz/$1/supervisor"; }
ok start 101
on_alpha kill -9 "$(supervisor_of 101)"
ok stop 101
assert_clean alpha
ok start 101
on_alpha kill -9 "$(supervisor_of 101)" "$(init_of 101)"
eventually 5 is_status 101 exist mounted down
ok start 101
assert_ct 101 exist mounted running
ok stop 101
assert_clean alpha

# interrupt SIGNAL DELAY VZCTL-ARGUMENT...: its whole process group, as Ctrl-C does; but kill -9 waits until it is dead.
interrupt() {
  local how=()
  [ "$1" != KILL ] || how=(--foreground)
  break_off ${how[@]+"${how[@]}"} -s "$1" "$2" vzctl "${@:3}"
}
is_up_or_down() { is_status 101 exist mounted running || is_status 101 exist unmounted down; }

step "Ctrl-C, SIGTERM or kill -9 of start, half-way: the next one works"
for signal in INT TERM KILL; do
  for delay in $(scaled 5 20 40 60 100); do
    interrupt "$signal" "$delay" start 101
    if [ "$signal" != KILL ]; then
      eventually 5 is_up_or_down
      ! is_status 101 exist unmounted down || assert_clean alpha
    fi
    status=0
    vz start 101 >/dev/null 2>&1 || status=$?
    [ "$status" = 0 ] || [ "$status" = 32 ] || fail "start after a start that got SIG$signal after $delay s: exit status $status"
    assert_ct 101 exist mounted running
    ok exec2 101 true
    ok stop 101
    assert_clean alpha
  done
  assert_broken_off "start by SIG$signal"
done

step "kill -9 of start while its supervisor works on: the next one waits for it"
# Stopped between its birth and that of a running init; vzctl is dead then.
supervisor=$(on_alpha python3 - <<'END'
import os, signal, subprocess, sys

def session(pid):
    with open("/proc/%s/stat" % pid) as f:
        return f.read().rpartition(")")[2].split()[3]

def own_session_child(parent):
    while parent.poll() is None:
        with open("/proc/%d/task/%d/children" % (parent.pid, parent.pid)) as f:
            for child in f.read().split():
                try:
                    if session(child) == child:
                        return int(child)
                except OSError:
                    pass

for _ in range(20):
    start = subprocess.Popen(["vzctl", "start", "101"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    supervisor = own_session_child(start)
    if supervisor:
        os.kill(supervisor, signal.SIGSTOP)
        start.kill()
        start.wait()
        if not os.path.exists("/run/vz/101/state"):
            print(supervisor)
            sys.exit()
        os.kill(supervisor, signal.SIGCONT)
    start.wait()
    subprocess.run(["vzctl", "--quiet", "stop", "101"], check=True)
sys.exit("no start was caught half-way")
END
)
vz start 101 >/dev/null 2>&1 &
starting=$!
sleep 3 # it waits for ten seconds
kill -0 "$starting" 2>/dev/null || fail "a second start ran beside the supervisor of the first"
on_alpha kill -CONT "$supervisor"
status=0
wait "$starting" || status=$?
assert_eq "$status" 32 "status of the second start"
assert_ct 101 exist mounted running
assert_eq "$(supervisor_of 101)" "$supervisor" "supervisor"
ok exec2 101 true
ok stop 101
assert_clean alpha

step "Ctrl-C, SIGTERM or kill -9 of stop, half-way: the next one works"
for signal in INT TERM KILL; do
  for delay in $(scaled 2 3 5 10 50); do
    ok start 101
    interrupt "$signal" "$delay" stop 101
    ok stop 101
    eventually 5 is_status 101 exist unmounted down
    assert_clean alpha
  done
done
assert_broken_off stop

step "Ctrl-C, SIGTERM or kill -9 of mount, umount and set, half-way: nothing is half there"
conf=/etc/vz/conf/101.conf
for signal in INT TERM KILL; do
  for delay in $(scaled 1 2 3 5 10); do
    interrupt "$signal" "$delay" mount 101
    is_status 101 exist unmounted down || is_status 101 exist mounted down || fail "half mounted: $(vz status 101)"
    ok mount 101
    on_alpha test -x /var/lib/vz/root/101/sbin/init
    interrupt "$signal" "$delay" umount 101
    if is_status 101 exist mounted down; then ok umount 101; else expect 40 umount 101; fi
    assert_ct 101 exist unmounted down
    assert_clean alpha
  done
done
assert_broken_off "mount or umount"
numproc=100
for signal in INT TERM KILL; do
  for delay in $(scaled 1 2 3 5 10); do
    before=$(on_alpha cat $conf) numproc=$((numproc + 1))
    interrupt "$signal" "$delay" set 101 --numproc "$numproc" --save
    after=$(on_alpha cat $conf)
    [ "$after" = "$before" ] || assert_eq "$after" "$(sed '/^NUMPROC=/d' <<<"$before")"$'\n'"NUMPROC=\"$numproc\"" "$conf"
    ok set 101 --numproc $((numproc + 100)) --save
    assert_eq "$(on_alpha find /etc/vz/conf -name '*101.conf?*')" "" "left of set"
  done
done
assert_broken_off set

step "Ctrl-C, SIGTERM or kill -9 of restart, half-way: the next start works"
for signal in INT TERM KILL; do
  for delay in $(scaled 3 6 10 30 60); do
    ok start 101
    interrupt "$signal" "$delay" restart 101
    status=0
    vz start 101 >/dev/null 2>&1 || status=$?
    [ "$status" = 0 ] || [ "$status" = 32 ] || fail "start after a restart that got SIG$signal after $delay s: exit status $status"
    ok stop 101
    eventually 5 is_status 101 exist unmounted down
    assert_clean alpha
  done
  assert_broken_off "restart by SIG$signal"
done

step "create without a CTID: the lowest that is free, also when several look for one"
out=$(on_alpha sh -c 'for i in 1 2 3; do vzctl --quiet create --ostemplate tiny --diskspace 32M & done; wait' | sort)
assert_eq "$out" $'102\n103\n104' "CTIDs"
ok destroy 103
expect 0 create --ostemplate tiny --diskspace 32M
assert_eq "${out##*$'\n'}" 103 "the last line"
expect 91 create --ostemplate no-such-template
assert_ct 105 deleted unmounted down
for id in 102 103 104; do ok destroy $id; done
assert_clean alpha

step "two containers share no user id, and keep theirs"
ok create 102 --ostemplate tiny
ok start 101
ok start 102
map1=$(inside 101 cat /proc/self/uid_map)
map2=$(inside 102 cat /proc/self/uid_map)
assert_eq "$map1" "$(inside 101 cat /proc/self/gid_map)" "gid_map"
read -r inner1 outer1 count1 <<<"$map1"
read -r inner2 outer2 count2 <<<"$map2"
assert_eq "$inner1 $count1 $inner2 $count2" "0 65536 0 65536" "id maps"
[ "$outer1" -ge 65536 ] && [ "$outer2" -ge 65536 ] || fail "ids of the host: $outer1 $outer2"
[ $((outer1 > outer2 ? outer1 - outer2 : outer2 - outer1)) -ge 65536 ] || fail "the ranges overlap: $outer1 $outer2"
assert_eq "$(on_alpha stat -c %u "/proc/$(init_of 101)")" "$outer1" "user of init on the host"
ok restart 101
assert_eq "$(inside 101 cat /proc/self/uid_map)" "$map1" "uid_map after a restart"
assert_eq "$(on_alpha pgrep -f '^vz-supervisor ' | xargs)" "$(supervisor_of 102) $(supervisor_of 101)" "supervisors"
for id in 101 102; do
  assert_eq "$(on_alpha ps -o ppid= -p "$(init_of $id)" | xargs)" "$(supervisor_of $id)" "the parent of init of $id"
done

step "a CTID that would share the ids of another one"
expect 21 create 32845 --ostemplate tiny
assert_contains "$err" "CT 32845 would share its range of user ids with CT 101: choose another CTID"
assert_ct 32845 deleted unmounted down
on_alpha sh -c 'cd /var/lib/vz/private && cp -a 102 32845 && cp /etc/vz/conf/102.conf /etc/vz/conf/32845.conf'
before=$(leftovers alpha)
expect 21 start 32845
assert_contains "$err" "CT 32845 would share its range of user ids with CT 101, which runs"
assert_ct 32845 exist unmounted down
assert_eq "$(leftovers alpha | sed 's/^process: .*//')" "$(sed 's/^process: .*//' <<<"$before")" "left of start"
ok stop 101
ok start 32845
assert_eq "$(inside 32845 cat /proc/self/uid_map)" "$map1" "uid_map of 32845"
expect 21 start 101
ok stop 32845 --fast
for _ in 1 2 3 4 5; do
  on_alpha sh -c 'vzctl --quiet start 101 & vzctl --quiet start 32845 & wait' 2>/dev/null || true
  both=$(on_alpha vzlist -Ho ctid | tr -d ' ' | sed '/^102$/d' | xargs)
  [ "$both" != "101 32845" ] || fail "two that share ids started at the same moment, and run"
  for id in $both; do ok stop "$id" --fast; done
done
ok start 101
ok stop 101 --fast
ok destroy 32845
ok stop 102
ok mount 101
assert_eq "$(on_alpha stat -c %u /var/lib/vz/root/101/root/kept)" 0 "owner on disk"
ok umount 101

step "names"
expect 131 set 101 --name web
assert_contains "$err" "unable to use --name option without --save"
ok set 101 --name web --save
assert_contains "$out" "Name web assigned"
assert_eq "$(vz status web)" "CTID 101 exist unmounted down"
expect 131 set 102 --name web --save
ok set 101 --name mail --save
expect 21 status web
ok start mail
assert_ct 101 exist mounted running
ok stop mail
ok set 101 --name "" --save
expect 21 status mail
ok create 103 --ostemplate tiny --name third
assert_eq "$(vz status third)" "CTID 103 exist unmounted down"
ok destroy third
expect 21 status third

step "status in JSON"
vz status 102 --json | python3 -c 'import json, sys
assert json.load(sys.stdin) == {"ctid": 102, "exist": True, "mounted": False, "running": False, "suspended": False, "moves": []}'

step "a start that fails, and one that leaves the guest as it is"
on_alpha sh -c 'vzctl --quiet mount 102 && mv /var/lib/vz/root/102/sbin/init /var/lib/vz/root/102/kept && vzctl --quiet umount 102'
expect 47 start 102
assert_contains "$err" "Unable to start init, probably incorrect template"
assert_eq "${err##*$'\n'}" 'Container start failed (try to check kernel messages, e.g. "dmesg | tail")'
assert_ct 102 exist unmounted down
on_alpha sh -c 'vzctl --quiet mount 102 && cd /var/lib/vz/root/102 && mv kept sbin/init && echo other >etc/hostname && cd / && vzctl --quiet umount 102'
ok start 102 --skip_ve_setup
assert_eq "$(inside 102 cat /etc/hostname)" other "a file of the guest's"
ok stop 102

step "disabled"
ok set 102 --disabled yes --save
expect 105 start 102
assert_eq "$err" "Container start disabled"
ok start 102 --force
ok stop 102

step "a suspend that fails leaves it running, and criu's log until it is destroyed"
on_alpha sh -c 'cp /etc/vz/vz.conf /etc/vz/vz.conf.kept && echo CRIU=/root/criu >>/etc/vz/vz.conf && cat >/root/criu && chmod 755 /root/criu' <<'END'
#!/bin/sh
while [ "$1" != -D ]; do shift; done
echo "(00.1) Error (x.c:1): no luck" >"$2/dump.log"
exit 1
END
ok start 102 --force
expect 16 suspend 102
assert_contains "$err" "no luck"
assert_ct 102 exist mounted running
on_alpha test -e /var/lib/vz/dump/Dump.102.fail/dump.log
on_alpha mv /etc/vz/vz.conf.kept /etc/vz/vz.conf
on_alpha rm /root/criu
ok stop 102

step "destroy"
expect 0 destroy 102
assert_eq "$out" "$(lines "Destroying container private area: /var/lib/vz/private/102" "Container private area was destroyed")"
assert_ct 102 deleted unmounted down
expect 14 start 102
on_alpha rm -rf /var/lib/vz/private/101
assert_ct 101 deleted unmounted down
expect 43 start 101
assert_contains "$err" "Container private area /var/lib/vz/private/101 does not exist"
expect 43 mount 101
ok destroy 101
assert_clean alpha --all

step "kill -9 of create, half-way: the next one works"
for delay in $(scaled 20 50 100 200 300); do
  break_off -s KILL "$delay" vzctl create 104 --ostemplate tiny --name half
  if is_status 104 deleted unmounted down; then ok create 104 --ostemplate tiny --name half; fi
  ok start half
  ok stop 104
  ok destroy 104
  assert_clean alpha --all
done
assert_broken_off create

step "Ctrl-C, SIGTERM or kill -9 of destroy, half-way: the next one works"
for signal in INT TERM KILL; do
  for delay in $(scaled 1 2 3 5 10); do
    ok create 104 --ostemplate tiny --name half
    interrupt "$signal" "$delay" destroy 104
    is_status 104 deleted unmounted down || is_status 104 exist unmounted down || fail "half destroyed: $(vz status 104)"
    ! on_alpha test -e /etc/vz/conf/104.conf || ok destroy 104
    assert_clean alpha --all
  done
done
assert_broken_off destroy

step "Ctrl-C or SIGTERM during create leaves nothing"
for signal in INT TERM; do
  for delay in $(scaled 20 50 100 150 200); do
    before=$broken_off
    break_off --preserve-status -s "$signal" "$delay" vzctl create 105 --ostemplate tiny --name half
    [ "$broken_off" != "$before" ] || ok destroy 105
    assert_clean alpha --all
  done
  assert_broken_off "create by SIG$signal"
done
