#!/bin/bash
# Action scripts: when which one runs, with what, inside or out, what a failure undoes, and who may have written them. And what
# a mount script mounts below VE_ROOT is there in the container, and nowhere when it is stopped.
. "$(dirname "$0")/../lab/lib.sh"
. "$(dirname "$0")/../lab/ct.sh"

conf=/etc/vz/conf root=/var/lib/vz/root/101 trace=/root/trace
# script NAME [MODE]: its text is the input.
script() { on_alpha sh -c "cat >$conf/$1 && chmod ${2-755} $conf/$1"; }
without() { on_alpha rm -f "${@/#/$conf/}"; }
# What has been traced since the last time.
traced() { on_alpha sh -c "cat $trace 2>/dev/null; rm -f $trace" | xargs; }
# lines CTID: the error of a failed script is one line that names it.
assert_one_line() { [ "$(wc -l <<<"$err")" = 1 ] || fail "errors: $err"; assert_contains "$err" "$1"; }

step "up"
need python3
lab_up alpha
need_tiny

step "vps.create: after the container is there; a failure takes it away again"
script vps.create <<END_OF_SCRIPT
#!/bin/sh
[ -s \$VE_CONFFILE ] && [ -e /var/lib/vz/private/\$VEID ] || exit 1
echo create >>$trace
[ ! -e /root/no ]
END_OF_SCRIPT
on_alpha touch /root/no
expect 79 create 101 --ostemplate tiny --diskspace 64M --name scripted
assert_contains "$err" "Error executing create script $conf/vps.create: exit status 1"
assert_contains "$err" "Creation of container private area failed"
assert_eq "$(traced)" create
assert_ct 101 deleted unmounted down
assert_clean alpha --all
on_alpha rm /root/no
on_alpha touch $conf/101.conf.destroyed $conf/101.mount.destroyed
expect 0 create 101 --ostemplate tiny --diskspace 64M
assert_eq "$(traced)" create
assert_eq "$(on_alpha find $conf -name '*.destroyed')" "" "scripts of a container that was destroyed before"
without vps.create

step "which ones run, in which order"
for name in vps 101; do
  for event in premount mount umount postumount; do
    script $name.$event <<<"#!/bin/sh
      mountpoint -q $root && on=on || on=off
      echo $name.$event:\$on >>$trace"
  done
done
for event in start stop; do
  script 101.$event 600 <<<"echo $event-\$(hostname)-\$(id -u)-\$(cat /proc/1/comm); echo $event >>/root/inside"
done
expect 0 mount 101
assert_eq "$(traced)" "vps.premount:off 101.premount:off vps.mount:on 101.mount:on" mount
expect 0 mount 101
assert_eq "$(traced)" "" "mount of what is mounted"
expect 0 start 101 --wait
assert_eq "$(traced)" "" "start of what is mounted"
assert_contains "$out" "start-ct101-0-"
assert_absent "$out" "start-ct101-0-init" "the start script runs before init"
assert_eq "$(inside 101 cat /root/inside)" start "what ran inside"
ok exec2 101 reboot
is_started_again() { [ "$(inside 101 cat /root/inside | xargs)" = "start start" ]; }
eventually 10 is_started_again
assert_eq "$(traced)" "" "reboot from inside"
expect 0 stop 101
assert_contains "$out" "stop-ct101-0-init"
assert_contains "$out" "Container is unmounted"
down="101.umount:on vps.umount:on 101.postumount:off vps.postumount:off"
up="vps.premount:off 101.premount:off vps.mount:on 101.mount:on"
assert_eq "$(traced)" "$down" stop
assert_clean alpha
expect 0 --quiet start 101
assert_eq "$out$err" "" "start --quiet"
expect 0 restart 101
assert_eq "$(traced)" "$up $down $up" "start and restart"
ok stop 101 --skip-umount
assert_eq "$(traced)" "" "stop --skip-umount"
ok umount 101
assert_eq "$(traced)" "$down" umount
ok start 101
ok exec2 101 rm /root/inside
vz exec 101 poweroff >/dev/null 2>&1 || true
eventually 10 is_status 101 exist unmounted down
eventually 5 on_alpha grep -q vps.postumount $trace
assert_eq "$(traced)" "$up $down" "poweroff from inside"
ok start 101
on_alpha kill -9 "$(init_of 101)"
eventually 10 is_status 101 exist unmounted down
eventually 5 on_alpha grep -q vps.postumount $trace
assert_eq "$(traced)" "$up $down" "an init that was killed"
ok start 101
ok exec2 101 rm /root/inside
ok stop 101 --fast
assert_eq "$(traced)" "$up $down" "stop --fast"
ok mount 101
on_alpha test ! -e $root/root/inside || fail "stop --fast ran the stop script"
ok umount 101
traced >/dev/null
ok set 101 --userpasswd root:secret
assert_eq "$(traced)" "$up $down" "set --userpasswd"
on_alpha sh -c 'echo "cat /root/inside; exit 9" >/root/script'
expect 9 runscript 101 /root/script
assert_eq "$(traced)" "" "runscript of what is stopped"
assert_absent "$out" start-ct101 "runscript ran the start script"
if on_alpha sh -c 'command -v criu >/dev/null || [ -x /var/lib/vessel/criu/criu ]'; then
  ok start 101
  traced >/dev/null
  ok suspend 101
  assert_eq "$(traced)" "$down" suspend
  ok resume 101
  assert_eq "$(traced)" "$up" resume
  assert_eq "$(inside 101 cat /root/inside)" start "resume ran the start script"
  ok stop 101
  traced >/dev/null
fi
assert_clean alpha

step "what they get, and nothing else"
without vps.{premount,mount,umount,postumount} 101.{premount,mount,umount,postumount,start,stop}
script 101.premount <<END_OF_SCRIPT
#!/bin/sh
env >/root/env; pwd >>/root/env
ls -l /proc/self/fd | grep -c -- '->' >>/root/env
readlink /proc/self/fd/0 >>/root/env
echo to-the-terminal
END_OF_SCRIPT
SECRET=1 on_alpha sh -c 'exec 7</etc/passwd; SECRET=1 vzctl mount 101' >"$scratch/said"
assert_contains "$(<"$scratch/said")" to-the-terminal
assert_eq "$(on_alpha grep -vE '^(PWD|OLDPWD|_|SHLVL)=' /root/env | sort | xargs)" \
  "/ /dev/null 4 HOME=/ PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin TERM=linux VEID=101 VE_CONFFILE=$conf/101.conf" "environment"
ok umount 101
without 101.premount

step "a failure, from the first step to the last"
fails='#!/bin/sh
exit 3'
script 101.premount <<<"$fails"
expect 79 start 101
assert_one_line "Error executing premount script $conf/101.premount: exit status 3"
assert_ct 101 exist unmounted down
assert_clean alpha
without 101.premount
script 101.umount <<<"echo umount >>$trace"
for command in mount start; do
  script 101.mount <<<"$fails"
  expect 79 $command 101
  assert_one_line "Error executing mount script $conf/101.mount: exit status 3"
  assert_absent "$out" "Container is mounted"
  assert_eq "$(traced)" "" "what failed to be mounted is not unmounted by script"
  assert_ct 101 exist unmounted down
  assert_clean alpha
done
without 101.mount 101.umount
script 101.start <<<'sleep 1000 & exit 4'
expect 79 start 101
assert_one_line "Error executing start script $conf/101.start: exit status 4"
assert_ct 101 exist unmounted down
assert_clean alpha
ok mount 101
expect 79 start 101
assert_ct 101 exist mounted down
without 101.start
script 101.stop <<<'exit 5'
ok start 101
expect 79 stop 101
assert_one_line "Error executing stop script $conf/101.stop: exit status 5"
assert_ct 101 exist mounted running
ok exec2 101 true
expect 79 restart 101
assert_ct 101 exist mounted running
without 101.stop
script 101.umount <<<"$fails"
expect 79 stop 101
assert_one_line "Error executing umount script $conf/101.umount: exit status 3"
assert_contains "$out" "Container was stopped"
assert_absent "$out" "Container is unmounted"
assert_ct 101 exist mounted down
expect 79 umount 101
assert_ct 101 exist mounted down
without 101.umount
ok start 101
script 101.postumount <<<"$fails"
expect 79 stop 101
assert_one_line "Error executing postumount script $conf/101.postumount: exit status 3"
assert_contains "$out" "Container is unmounted"
assert_ct 101 exist unmounted down
assert_clean alpha
without 101.postumount

step "restart: what would keep it from starting is found while it runs"
# runs_on STATUS TEXT [ARGUMENT...]: restart fails so, and stops nothing.
runs_on() {
  local status=$1 text=$2
  shift 2
  expect "$status" restart 101 "$@"
  assert_one_line "$text"
  assert_absent "$out" "Stopping"
  assert_contains "$(vz status 101)" "mounted running"
  [ "$(init_of 101)" = "$init" ] || fail "another init runs"
}
ok start 101
init=$(init_of 101)
for event in premount mount umount postumount; do
  script 101.$event 644 <<<"#!/bin/sh"
  runs_on 79 "Error executing $event script $conf/101.$event: it is not executable; run: chmod +x $conf/101.$event"
  without 101.$event
done
for event in start stop; do
  script 101.$event 666 <<<"true"
  runs_on 79 "others than root can write to '$conf/101.$event'"
  without 101.$event
done
on_alpha cp $conf/101.conf /root/101.conf
# with_line LINE: in its configuration, in place of the one before.
with_line() { on_alpha sh -c 'cp /root/101.conf "$2" && echo "$1" >>"$2"' sh "$1" $conf/101.conf; }
with_line 'DISABLED="yes"'
runs_on 105 "Container start disabled"
with_line 'CPUMASK="1000"'
runs_on 21 "CPUMASK names 1000"
with_line 'DEVNODES="no-such-device:rw "'
runs_on 86 "no-such-device"
with_line 'NETIF="ifname=eth0,bridge=nosuch0"'
runs_on 130 "bridge 'nosuch0' does not exist"
on_alpha cp /root/101.conf $conf/101.conf
on_alpha mv /var/lib/vz/private/101 /var/lib/vz/private/away
runs_on 43 "Container private area /var/lib/vz/private/101 does not exist"
on_alpha mv /var/lib/vz/private/away /var/lib/vz/private/101
ok exec2 101 mv /sbin/init /sbin/init.away
runs_on 47 "Unable to start init"
ok exec2 101 mv /sbin/init.away /sbin/init
script 101.umount 644 <<<"#!/bin/sh"
script 101.stop 666 <<<"true"
ok restart 101 --fast --skip-umount # which runs neither
without 101.umount 101.stop
[ "$(init_of 101)" != "$init" ] || fail "no other init runs"
with_line 'DISABLED="yes"'
ok restart 101 --force
on_alpha mv /root/101.conf $conf/101.conf
ok stop 101
assert_clean alpha

step "mistakes: not executable, no interpreter, a directory, written by others, somebody else's"
# refuses TEXT: the mount does not come about, and one line says why.
refuses() {
  expect 79 start 101
  assert_one_line "Error executing mount script $conf/101.mount: $1"
  assert_ct 101 exist unmounted down
  assert_clean alpha
}
works="#!/bin/sh
echo ran >>$trace"
script 101.mount 644 <<<"$works"
refuses "it is not executable; run: chmod +x $conf/101.mount"
script 101.mount <<<"#!/no/such/shell"
refuses "run '$conf/101.mount': No such file or directory"
for mode in 775 757 777; do
  script 101.mount $mode <<<"$works"
  refuses "others than root can write to '$conf/101.mount'; run: chmod go-w $conf/101.mount"
done
script 101.mount <<<"$works"
on_alpha chown 1000 $conf/101.mount
refuses "'$conf/101.mount' is not owned by root; run: chown root $conf/101.mount"
without 101.mount
on_alpha mkdir $conf/101.mount
refuses "run '$conf/101.mount': Permission denied"
on_alpha sh -c "rmdir $conf/101.mount && mkdir -m 777 /root/open && cp /bin/true /root/open/x && ln -s /root/open/x $conf/101.mount"
refuses "others than root can write to '/root/open'; run: chmod go-w /root/open"
on_alpha sh -c "rm -r /root/open $conf/101.mount; ln -s /nowhere $conf/101.mount"
ok start 101
ok stop 101
without 101.mount
script 101.start 666 <<<"touch /root/ran"
expect 79 start 101
assert_one_line "others than root can write to '$conf/101.start'"
without 101.start
assert_eq "$(traced)" "" "what none of them did"
script common.sh <<<"$works"
on_alpha ln -s common.sh $conf/101.mount
ok start 101
assert_eq "$(traced)" ran "a link to a script in the same directory"
ok stop 101
without 101.mount common.sh

step "text from the host, in the guest only: its shell, its confinement, its links"
script 101.start 600 <<'END_OF_SCRIPT'
umount -l /proc/1 2>/dev/null
ls -l /proc/self/fd >/root/fds 2>&1
grep -E '^(CapEff|Seccomp):' /proc/self/status >/root/confined
ls /etc/vz /var/lib/vz >/root/seen 2>&1 || true
END_OF_SCRIPT
ok start 101 --wait
assert_eq "$(inside 101 cat /root/confined)" "$(inside 101 "grep -E '^(CapEff|Seccomp):' /proc/self/status")" "confinement"
assert_absent "$(inside 101 cat /root/fds)" "$conf" "descriptors"
assert_contains "$(inside 101 cat /root/seen)" "No such file"
ok exec2 101 'mv /bin/sh /bin/sh.kept; [ ! -e /bin/bash ] || mv /bin/bash /bin/bash.kept'
script 101.stop <<<"true"
expect 79 stop 101
assert_contains "$err" "Error executing stop script $conf/101.stop: run 'bash' in the container: No such file or directory"
ok stop 101 --fast
ok mount 101
on_alpha sh -c "cd $root/bin && mv sh.kept sh; [ ! -e bash.kept ] || mv bash.kept bash"
ok umount 101
without 101.start 101.stop

step "Ctrl-C while one hangs: it ends with all that it started, and what was begun is undone"
hangs="#!/bin/sh
trap 'echo told >>$trace; exit 1' TERM
sleep 4000 &
sleep 4001 & wait"
# hung_up SIGNAL COMMAND: a second after it was begun.
hung_up() {
  status=0
  err=$(on_alpha timeout --foreground -s "$1" 1 vzctl "${@:2}" 101 2>&1 >/dev/null) || status=$?
  assert_eq "$status" 124 "status of $2 that got SIG$1"
  eventually 5 no_sleeper
}
no_sleeper() { ! on_alpha pgrep -f '[s]leep 400' >/dev/null; }
for signal in INT TERM; do
  for event in premount mount; do
    script 101.$event <<<"$hangs"
    hung_up $signal start
    assert_contains "$err" "Error executing $event script $conf/101.$event: Cancelled by signal"
    assert_ct 101 exist unmounted down
    assert_clean alpha
    assert_eq "$(traced)" told "what the $event script saw of SIG$signal"
    without 101.$event
  done
  script 101.start <<<"sleep 4002 & sleep 4003"
  hung_up $signal start
  assert_contains "$err" "Error executing start script $conf/101.start: Cancelled"
  assert_ct 101 exist unmounted down
  assert_clean alpha
  without 101.start
  ok start 101
  script 101.stop <<<"sleep 4004 & sleep 4005"
  hung_up $signal stop
  assert_ct 101 exist mounted running
  without 101.stop
  script 101.umount <<<"$hangs"
  hung_up $signal stop
  assert_ct 101 exist mounted down
  assert_eq "$(traced)" told "what the umount script saw of SIG$signal"
  without 101.umount
  ok umount 101
  assert_clean alpha
done

step "kill -9 in a mount script: the next start does not take the half of it"
script 101.mount <<<"#!/bin/sh
echo begun >>$trace; sleep 2; echo done >>$trace"
on_alpha timeout --foreground -s KILL 1 vzctl start 101 >/dev/null 2>&1 || true
assert_ct 101 exist mounted down
eventually 5 no_sleeper
assert_eq "$(traced)" begun "trace of what was killed"
ok start 101
assert_eq "$(traced)" "begun done" "trace of the next start"
ok stop 101
on_alpha timeout --foreground -s KILL 1 vzctl mount 101 >/dev/null 2>&1 || true
traced >/dev/null
expect 0 mount 101
assert_eq "$(traced)" "begun done" "trace of the next mount"
ok umount 101
assert_clean alpha
script 101.start <<<"sleep 2"
on_alpha timeout --foreground -s KILL 3 vzctl start 101 >/dev/null 2>&1 || true
status=0
vz start 101 >/dev/null 2>&1 || status=$?
[ "$status" = 0 ] || [ "$status" = 32 ] || fail "start after one that was killed in its start script: exit status $status"
ok stop 101
without 101.mount 101.start
traced >/dev/null
assert_clean alpha

step "what a mount script mounts is there inside, with the guest's ids, and goes with the stop"
ok create 102 --ostemplate tiny --diskspace 64M
on_alpha sh -c 'mkdir -p /var/lib/vz/data/deep /root/plain && echo of-the-host >/var/lib/vz/data/file && chown 1000 /var/lib/vz/data/deep && echo plain >/root/plain/file'
script 101.mount <<'END_OF_SCRIPT'
#!/bin/sh -e
. /etc/vz/vz.conf
. $VE_CONFFILE
mkdir -p $VE_ROOT/data "$VE_ROOT/with blank"
mount -n --bind /var/lib/vz/data $VE_ROOT/data
mount -n -t tmpfs -o mode=755 scratch $VE_ROOT/data/deep
mount -n --bind /var/lib/vz/data/deep "$VE_ROOT/with blank"
mount -o remount,bind,ro "$VE_ROOT/with blank"
END_OF_SCRIPT
mounts_below() { on_alpha sh -c "grep -c ' $root/' /proc/self/mountinfo" || true; }
ok start 101
ok start 102
assert_eq "$err" "" "errors of start"
assert_eq "$(inside 101 'cat /data/file; stat -c %u:%g /data/file /data/deep "/with blank"' | xargs)" "of-the-host 0:0 0:0 1000:0" "files"
ok exec2 101 'echo more >/data/more && touch /data/deep/here && ! touch "/with blank/x" 2>/dev/null'
assert_eq "$(on_alpha stat -c %u:%g /var/lib/vz/data/more)" 0:0 "owner on the host of what the guest wrote"
on_alpha test ! -e /var/lib/vz/data/deep/here
on_alpha test -e $root/data/deep/here
expect 1 exec2 102 'grep -e /data -e blank /proc/self/mountinfo'
ok stop 102
ok exec2 101 reboot
is_back() { [ "$(inside 101 'cat /data/file')" = of-the-host ]; }
eventually 10 is_back
assert_eq "$(mounts_below)" 3 "mounts below VE_ROOT of what runs"
expect 16 suspend 101
for point in /data /data/deep "/with blank"; do
  assert_contains "$err" "has a mount of the host's on '$point', which criu cannot bring back: unmount it in the CT, or stop the CT instead"
done
expect 16 migratable 101
assert_contains "$out" "has a mount of the host's on '/data'"
ok exec2 101 'cat /data/file'
ok stop 101
assert_eq "$(mounts_below)" 0 "mounts below VE_ROOT of what is stopped"
assert_eq "$(on_alpha sh -c 'cat /var/lib/vz/data/file /var/lib/vz/data/more' | xargs)" "of-the-host more" "files on the host"
for how in mount start; do
  ok $how 101
  assert_eq "$(mounts_below)" 3 "mounts after $how"
  [ $how = mount ] || ok stop 101 --skip-umount
  ok umount 101
  assert_eq "$(mounts_below)" 0 "mounts after umount"
done
assert_clean alpha
if on_alpha sh -c 'command -v criu >/dev/null || [ -x /var/lib/vessel/criu/criu ]'; then
  ok start 101
  ok exec2 101 'setsid unshare -m tail -f /dev/null >/dev/null 2>&1 </dev/null &'
  has_own_mounts() { inside 101 '[ "$(readlink /proc/$(pidof tail)/ns/mnt)" != "$(readlink /proc/1/ns/mnt)" ]'; }
  eventually 5 has_own_mounts
  ok exec2 101 'umount /data/deep /data "/with blank"'
  expect 16 migratable 101
  assert_contains "$out" "(tail) has a mount of the host's on '/data', which criu cannot bring back: restart it, or stop the CT instead"
  ok exec2 101 'kill $(pidof tail)'
  expect 0 migratable 101
  ok suspend 101
  assert_clean_but_dump() { assert_eq "$(mounts_below)" 0 "mounts of what is suspended"; }
  assert_clean_but_dump
  ok resume 101
  ok stop 101
fi

step "a failing mount script leaves no mounts"
on_alpha sh -c "echo exit 1 >>$conf/101.mount"
expect 79 start 101
assert_eq "$(mounts_below)" 0 "mounts of what failed to start"
assert_ct 101 exist unmounted down
assert_clean alpha

step "mounts that hide one another, and one that is in use"
without 101.mount
ok mount 101
on_alpha sh -c "mkdir -p $root/over/in && mount -t tmpfs a $root/over/in && mount -t tmpfs b $root/over && mkdir $root/over/out && mount -t tmpfs c $root/over/out"
assert_eq "$(mounts_below)" 3 "mounts below VE_ROOT"
ok umount 101
assert_clean alpha
ok mount 101
on_alpha sh -c "mount -t tmpfs a $root/over && (cd $root/over && exec sleep 4100) >/dev/null 2>&1 </dev/null &"
eventually 5 on_alpha pgrep -f '[s]leep 4100' >/dev/null
expect 51 umount 101
assert_one_line "unmount '$root/over': Device or resource busy"
assert_ct 101 exist mounted down
on_alpha sh -c "kill \$(pgrep -f '[s]leep 4100')"
ok umount 101
assert_clean alpha

step "a mount whose ids cannot be mapped, and one where they are already"
script 101.mount <<END_OF_SCRIPT
#!/bin/sh -e
mkdir -p $root/data $root/srv/plain
mount --bind /var/lib/vz/data $root/data
mount --bind /root/plain $root/srv/plain
mount -t tmpfs inner $root/data/deep
mkdir -p $root/mapped
python3 /root/mount_mapped /var/lib/vz/data $root/mapped
END_OF_SCRIPT
on_alpha sh -c 'cat >/root/mount_mapped' <<'END_OF_PROGRAM'
import ctypes, os, struct, subprocess, sys

libc = ctypes.CDLL(None, use_errno=True)

def call(number, *arguments):
    result = libc.syscall(number, *arguments)
    if result < 0:
        sys.exit("system call %d: %s" % (number, os.strerror(ctypes.get_errno())))
    return result

# A user namespace in which 0 is 1000 of the host.
holder = subprocess.Popen(["unshare", "--user", "sleep", "60"])
while os.readlink("/proc/%d/ns/user" % holder.pid) == os.readlink("/proc/self/ns/user"):
    pass
for kind in "uid", "gid":
    with open("/proc/%d/%s_map" % (holder.pid, kind), "w") as f:
        f.write("0 1000 1")
namespace = os.open("/proc/%d/ns/user" % holder.pid, os.O_RDONLY)
holder.kill()
holder.wait()
open_tree, move_mount, mount_setattr = 428, 429, 442
tree = call(open_tree, -100, sys.argv[1].encode(), 1)  # OPEN_TREE_CLONE
call(mount_setattr, tree, b"", 0x1000, struct.pack("QQQQ", 0x100000, 0, 0, namespace), ctypes.c_size_t(32))
call(move_mount, tree, b"", -100, sys.argv[2].encode(), 4)
END_OF_PROGRAM
expect 0 start 101
assert_absent "$err" "$root/mapped'" "warnings of what is mapped already"
assert_eq "$(on_alpha stat -c %u $root/mapped/file) $(inside 101 stat -c %u /mapped/file)" "1000 65534" "owner of what is mapped already"
if on_alpha sh -c 'stat -f -c %T /root/plain | grep -q overlay'; then
  assert_contains "$err" "Warning: the ids of '$root/srv/plain' (overlay) cannot be mapped: the CT sees its files as nobody's"
fi
assert_eq "$(inside 101 'cat /srv/plain/file /data/file; stat -c %u /data/file /data/deep' | xargs)" "plain of-the-host 0 0" "files"
ok stop 101
assert_eq "$(mounts_below)" 0 "mounts below VE_ROOT"
without 101.mount

step "the host's shutdown is held up neither by a stop script that fails nor by one that hangs"
ok set 101 --autostop stop --stop-timeout 1 --save
for text in "exit 5" "sleep 4200"; do
  script 101.stop <<<"$text"
  ok start 101
  out=$(on_alpha sh -c '"$(dirname "$(command -v vzctl)")/../libexec/vessel/vz-boot" stop --within 10' 2>&1) || fail "vz-boot stop: $out"
  assert_contains "$out" "Error: not stopped: "
  assert_ct 101 exist unmounted down
  assert_clean alpha
done
without 101.stop

step "destroy puts the scripts away"
for event in premount mount start stop umount postumount; do script 101.$event <<<"#!/bin/sh"; done
ok destroy 101
assert_eq "$(on_alpha sh -c "cd $conf && ls 101.* | xargs")" \
  "101.conf.destroyed 101.mount.destroyed 101.postumount.destroyed 101.premount.destroyed 101.start.destroyed 101.stop.destroyed 101.umount.destroyed"
ok create 101 --ostemplate tiny --diskspace 64M
assert_eq "$(on_alpha sh -c "cd $conf && ls 101.*")" 101.conf
ok destroy 101
ok destroy 102
on_alpha rm -rf /var/lib/vz/data
assert_clean alpha --all
