#!/bin/bash
# One container through its life: messages, exit statuses, status lines, locks, and what a kill leaves.
. "$(dirname "$0")/../lab/lib.sh"
. "$(dirname "$0")/../lab/ct.sh"

step "up"
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
expect 20 create 101 surplus

step "a container that is not there"
assert_ct 101 deleted unmounted down
for command in start stop restart destroy mount umount exec2 enter suspend resume; do
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
expect 40 umount 101
assert_eq "$err" "CT is not mounted"
expect 0 mount 101
assert_eq "$out" "Container is mounted"
assert_ct 101 exist mounted down
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
[ "$took" -lt 900 ] || fail "a guest that obeys took $took ms to stop: was its init, which waits in sigwaitinfo, not understood?"
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
[ $(($(now_ms) - start)) -lt 5000 ] || fail "stop --fast asked the guest first"
assert_absent "$out" "Killing container ..."
assert_clean alpha

step "one at a time"
ok set 101 --stop-timeout 4 --save
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

step "kill -9 of start, half-way: the next one works"
for delay in 0.005 0.02 0.04 0.06 0.1; do
  on_alpha timeout -s KILL "$delay" vzctl start 101 >/dev/null 2>&1 || true
  status=0
  vz start 101 >/dev/null 2>&1 || status=$?
  [ "$status" = 0 ] || [ "$status" = 32 ] || fail "start after a start killed after $delay s: exit status $status"
  assert_ct 101 exist mounted running
  ok exec2 101 true
  ok stop 101
  assert_clean alpha
done

step "kill -9 of stop, half-way: the next one works"
for delay in 0.005 0.02 0.05; do
  ok start 101
  on_alpha timeout -s KILL "$delay" vzctl stop 101 >/dev/null 2>&1 || true
  ok stop 101
  eventually 5 is_status 101 exist unmounted down
  assert_clean alpha
done

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
ok stop 101
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

step "disabled"
ok set 102 --disabled yes --save
expect 105 start 102
assert_eq "$err" "Container start disabled"
ok start 102 --force
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
for delay in 0.02 0.05 0.1 0.2 0.3; do
  on_alpha timeout -s KILL "$delay" vzctl create 104 --ostemplate tiny --name half >/dev/null 2>&1 || true
  if is_status 104 deleted unmounted down; then ok create 104 --ostemplate tiny --name half; fi
  ok start half
  ok stop 104
  ok destroy 104
  assert_clean alpha --all
done

step "Ctrl-C or SIGTERM during create leaves nothing"
interrupted=0
for signal in INT TERM; do
  for delay in 0.02 0.05 0.1 0.15 0.2; do
    status=0
    on_alpha timeout --preserve-status -s "$signal" "$delay" vzctl create 105 --ostemplate tiny --name half >/dev/null 2>&1 ||
      status=$?
    if [ "$status" = 0 ]; then ok destroy 105; else interrupted=$((interrupted + 1)); fi
    assert_clean alpha --all
  done
done
[ "$interrupted" -gt 0 ] || fail "no create was interrupted"
