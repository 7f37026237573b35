#!/bin/bash
# What a container cannot see, cannot do, and cannot make the host do.
. "$(dirname "$0")/../lab/lib.sh"
. "$(dirname "$0")/../lab/ct.sh"

probe=$probes/probe-syscalls
[ -x "$probe" ] || skip "$probe is not built"

step "up"
lab_up alpha
need_tiny
ok create 101 --ostemplate tiny --diskspace 64M
ok create 102 --ostemplate tiny --diskspace 64M
vz mount 101 >/dev/null
on_alpha sh -c 'cat >/var/lib/vz/root/101/bin/probe && chmod 755 /var/lib/vz/root/101/bin/probe' <"$probe"
on_alpha sh -c 'printf "#!/bin/sh\n/bin/probe >/root/probe.of-init 2>&1\n" >/var/lib/vz/root/101/etc/rc
  chmod 755 /var/lib/vz/root/101/etc/rc'
vz umount 101 >/dev/null
ok start 101 --wait
ok start 102 --wait
ok exec2 102 'setsid sleep 4321 >/dev/null 2>&1 &'
on_alpha sh -c 'setsid sleep 5432 >/dev/null 2>&1 &'
marker=$(on_alpha pgrep -f '^sleep 5432')
other=$(on_alpha pgrep -f '^sleep 4321')
[ -n "$marker" ] && [ -n "$other" ] || fail "no processes to look for"

step "processes of the host and of other containers"
processes=$(inside 101 ps)
assert_absent "$processes" 4321 "ps in the container"
assert_absent "$processes" 5432 "ps in the container"
assert_absent "$processes" supervisor "ps in the container"
assert_eq "$(inside 101 'cat /proc/1/comm')" init
for pid in "$marker" "$other" "$(init_of 102)"; do
  expect 1 exec2 101 "kill -9 $pid"
  assert_contains "$err" "No such process"
done
inside 101 'kill -9 -1' >/dev/null 2>&1 || true
on_alpha kill -0 "$marker" "$other"
on_alpha kill -0 "$(init_of 101)"

step "mounts and files of the host"
mounts=$(inside 101 cat /proc/self/mountinfo)
for what in /var/lib/vz /etc/vz "$(cd "$(dirname "$0")/../.." && pwd)" /var/log overlay; do
  assert_absent "$mounts" "$what" "mountinfo in the container"
done
assert_eq "$(awk '{ print $5 }' <<<"$mounts" | grep -v '^/dev/' | sort | tr '\n' ' ')" \
  "/ /dev /proc /proc/diskstats /proc/partitions /proc/swaps /run /sys /sys/block /sys/class/block /sys/dev/block /sys/fs/cgroup " \
  "mount points in the container"
assert_contains "$(on_alpha findmnt -no OPTIONS /var/lib/vz/root/101)" nosuid
assert_absent "$(awk '$5 == "/" { print $6 }' <<<"$mounts")" nosuid "options of its root"
expect 1 exec2 101 'test -e /etc/vz'
expect 1 exec2 101 'ls /proc/1/root/etc/vz /proc/self/root/../etc/vz /../etc/vz'
ok exec2 101 'mkdir /tmp/j /tmp/j/k && cd /tmp/j && ls ../../../../../../etc/hostname'
assert_eq "$(inside 101 cat /../../etc/hostname)" ct101
assert_contains "$(inside 101 'touch /sys/x 2>&1; true')" "Read-only file system"

step "open descriptors of the caller"
descriptors='for fd in /proc/self/fd/*; do readlink $fd; done; ls /proc/1/fd'
expected=$(inside 101 "$descriptors" </dev/null | grep -c .)
leaky=$(on_alpha sh -c 'exec 7</ 8</etc 9>/dev/shm/x; exec vzctl exec2 101 "$1"' sh "$descriptors" </dev/null)
assert_eq "$(grep -c . <<<"$leaky")" "$expected" "descriptors in an exec of a caller with open ones"
assert_absent "$leaky" /dev/shm descriptors
ok stop 101
on_alpha sh -c 'exec 7</ 8</etc; exec vzctl start 101 --wait' >/dev/null
assert_eq "$(inside 101 'ls /proc/1/fd' | tr '\n' ' ')" "0 1 2 " "descriptors of init"

step "devices"
assert_eq "$(inside 101 'cd /dev && echo *')" "fd full mqueue null ptmx pts random shm stderr stdin stdout tty urandom zero" /dev
# forbidden WHAT COMMAND...: refused, and it says so.
forbidden() {
  refused 101 "$@"
  [[ $out =~ not\ permitted|ermission\ denied|Read-only\ file\ system ]] || fail "$1 failed otherwise: $out"
}
forbidden "mknod of a disk" "mknod /tmp/disk b 7 0"
forbidden "mknod of /dev/mem" "mknod /tmp/mem c 1 1"
loop=$(on_alpha losetup -j /var/lib/vz/private/102/root.img | cut -d : -f 1)
major=$((16#$(on_alpha stat -c %t "$loop"))) minor=$((16#$(on_alpha stat -c %T "$loop")))
on_alpha mknod -m 666 /var/lib/vz/root/101/disk b "$major" "$minor"
on_alpha mknod -m 666 /var/lib/vz/root/101/mem c 1 1
forbidden "reading a disk whose node is there" "dd if=/disk of=/dev/null count=1"
forbidden "writing to it" "dd if=/dev/zero of=/disk count=1 conv=notrunc"
forbidden "mounting it" "mount -t ext4 /disk /mnt"
forbidden "reading memory" "dd if=/mem of=/dev/null count=1"
on_alpha rm /var/lib/vz/root/101/disk /var/lib/vz/root/101/mem
ok exec2 101 'mkdir -p /mnt && mount -t tmpfs none /mnt && umount /mnt'
on_alpha grep -q loop /proc/partitions || fail "no disks to look for"
assert_eq "$(inside 101 'cat /proc/partitions /proc/diskstats /proc/swaps; ls /sys/block /sys/class/block /sys/dev/block')" \
  "$(printf '/sys/block:\n\n/sys/class/block:\n\n/sys/dev/block:')" "disks by name"
paths=$(inside 101 'cat /sys/devices/virtual/block/*/loop/backing_file')
assert_contains "$paths" root.img "what the loop devices of the host show"
assert_absent "$paths" private "what the loop devices of the host show"

step "the kernel log"
forbidden "dmesg" dmesg
refused 101 "/dev/kmsg" "cat /dev/kmsg"
forbidden "/proc/kmsg" "cat /proc/kmsg"

step "sysrq, modules, sysctls"
refused 101 "a sysrq" "echo h >/proc/sysrq-trigger"
on_alpha sh -c 'mkdir -p /tmp/modules && head -c 4096 /dev/zero >/tmp/modules/x.ko && cat /tmp/modules/x.ko' |
  inside 101 'cat >/tmp/x.ko'
on_alpha rm -r /tmp/modules
forbidden "insmod" "insmod /tmp/x.ko"
forbidden "rmmod" "rmmod loop"
for name in kernel/panic kernel/core_pattern kernel/sysrq kernel/randomize_va_space vm/overcommit_memory vm/drop_caches fs/file-max \
  kernel/printk kernel/modprobe; do
  on_alpha test -e "/proc/sys/$name" || continue
  value=$(on_alpha cat "/proc/sys/$name" 2>/dev/null || echo 1)
  forbidden "writing the sysctl $name" "echo '$value' >/proc/sys/$name"
done
ok exec2 101 'echo 1 >/proc/sys/net/ipv4/ip_forward'
ok exec2 101 hostname changed
assert_eq "$(on_alpha hostname)" alpha "name of the host"
assert_eq "$(inside 101 ip -o link | awk -F ': ' '{ print $2 }' | grep -v '^tunl\|^sit\|^gre\|^erspan\|^ip_\|^ip6' | tr '\n' ' ')" "lo " \
  "interfaces"

step "its own limits"
for file in memory.max memory.high pids.max cpu.max cpu.weight cgroup.freeze; do
  # A file that is not there cannot be raised either; but nothing may be made in its place.
  refused 101 "writing $file" "echo max >/sys/fs/cgroup/$file"
done
ok exec2 101 'mkdir /sys/fs/cgroup/mine && rmdir /sys/fs/cgroup/mine'
if on_alpha test -e /sys/fs/cgroup/memory/memory.limit_in_bytes; then
  ok exec2 101 mkdir /tmp/cg
  for file in memory.limit_in_bytes pids.max cpu.shares cpu.cfs_quota_us cpuset.cpus devices.allow; do
    case $file in devices.allow) value=a ;; cpuset.cpus) value=0 ;; memory.*) value=-1 ;; *) value=100000 ;; esac
    # A hierarchy of several controllers is mounted with all of them.
    controllers=$(inside 101 cat /proc/1/cgroup | awk -F : -v name="${file%%.*}" 'index("," $2 ",", "," name ",") { print $2 }')
    before=$(knob 101 "${file/%.allow/.list}")
    ok exec2 101 "mount -t cgroup -o $controllers none /tmp/cg && test -e /tmp/cg/$file"
    forbidden "writing $file" "echo $value >/tmp/cg/$file"
    assert_eq "$(knob 101 "${file/%.allow/.list}")" "$before" "$file"
    ok exec2 101 umount /tmp/cg
  done
fi
group=$(inside 101 cat /proc/1/cgroup)
while IFS=: read -r _ _ path; do assert_eq "$path" / "a group of init, seen inside"; done <<<"$group"

step "system calls"
names=$(sed -n '/kProbes\[\]/,/^};/s/^ *{"\([a-z0-9_-]*\)".*/\1/p' "$(dirname "$0")/../probe/syscalls.cpp")
[ "$(uname -m)" = x86_64 ] || names=$(grep -v "i386\|^iop" <<<"$names")
result=$(inside 101 probe)
for name in $names; do
  wanted=refused
  [ "$name" != unshare-mount ] || wanted=allowed
  grep -qx "$name $wanted" <<<"$result" || fail "$name: $(grep "^$name " <<<"$result"), wanted $wanted"
done
assert_eq "$(inside 101 cat /root/probe.of-init)" "$result" "the same from init"

step "exec is confined as init is"
of_init=$(inside 101 'cat /proc/1/status')
of_exec=$(inside 101 'cat /proc/self/status')
for field in CapInh CapPrm CapEff CapBnd CapAmb NoNewPrivs Seccomp Seccomp_filters Uid Gid Groups; do
  assert_eq "$(grep "^$field:" <<<"$of_exec")" "$(grep "^$field:" <<<"$of_init")" "$field of an exec'd process"
done
assert_eq "$(inside 101 'cd /proc/self/ns && for ns in *; do readlink $ns; done')" \
  "$(inside 101 'cd /proc/1/ns && for ns in *; do readlink $ns; done')" "namespaces of an exec'd process"
for ns in user mnt pid net ipc uts cgroup; do
  [ "$(inside 101 readlink /proc/1/ns/$ns)" != "$(on_alpha readlink /proc/1/ns/$ns)" ] || fail "it has the host's $ns namespace"
done
inside 101 'cat /proc/self/cgroup' | while IFS=: read -r _ _ path; do
  [[ $path = / || $path = /vz.exec ]] || fail "an exec'd process is in the group $path"
done

step "limits, priority and CPUs are not those of the caller"
limits='umask; cat /proc/$p/limits /proc/$p/oom_score_adj; grep Cpus_allowed_list /proc/$p/status; cut -d" " -f19 /proc/$p/stat'
odd='umask 077; ulimit -S -f 1000 -u 77 -n 500; echo 500 >/proc/self/oom_score_adj; exec taskset 1 nice -n 7 vzctl "$@"'
expected=$(inside 101 "p=1; $limits; p=self; $limits")
assert_eq "$(on_alpha bash -c "$odd" odd exec2 101 "p=1; $limits; p=self; $limits")" "$expected" "limits of an exec'd process"
ok stop 101
on_alpha bash -c "$odd" odd start 101 >/dev/null
assert_eq "$(inside 101 "p=1; $limits; p=self; $limits")" "$expected" "limits of init"
assert_eq "$(inside 101 "p=self; $limits")" "$(inside 101 "p=1; $limits")" "limits of an exec'd process beside those of init"

step "--capability"
bounding() { inside 101 sed -n 's/^CapBnd:[[:space:]]*//p' "/proc/$1/status"; }
has_capability() { [ $((16#$(bounding 1) >> $1 & 1)) = 1 ]; }
has_capability 13 || fail "no CAP_NET_RAW"
# sys_module sys_rawio sys_pacct sys_time audit_control mac_override mac_admin syslog wake_alarm block_suspend audit_read perfmon bpf
for number in 16 17 20 25 30 32 33 34 35 36 37 38 39; do ! has_capability $number || fail "it has capability $number"; done
ok set 101 --capability net_raw:off --capability sys_time:on --save
assert_contains "$err" "Unable to set capability on a running container"
has_capability 13 || fail "CAP_NET_RAW went without a restart"
ok restart 101 --wait
! has_capability 13 || fail "CAP_NET_RAW is still there"
has_capability 25 || fail "CAP_SYS_TIME did not come"
assert_eq "$(bounding self)" "$(bounding 1)" "CapBnd of an exec'd process"
forbidden "a raw socket without CAP_NET_RAW" "ping -c 1 -w 1 127.0.0.1"
assert_contains "$(inside 101 probe)" "clock_settime refused" "with CAP_SYS_TIME"
expect 21 set 101 --capability no_such:on --save
before=$(init_of 101)
expect 32 set 101 --capability sys_time:off --description told --save --setmode ignore
assert_contains "$err" "not saving configuration file"
on_alpha grep -qi 'SYS_TIME:on' /etc/vz/conf/101.conf || fail "stored with --setmode ignore"
! on_alpha grep -q told /etc/vz/conf/101.conf || fail "half of it is stored"
for words in "--setmode restart" "--setmode never --save" "--force" "--stop-timeout 90"; do
  # shellcheck disable=SC2086
  expect 20 set 101 --capability sys_time:off $words
done
ok set 101 --cpus 1 --save --setmode restart
assert_eq "$(init_of 101)" "$before" "its init: nothing called for a restart"
ok set 101 --capability sys_time:off --save --setmode restart
! [[ $err = *"Unable to"* ]] || fail "told although it is restarted: $err"
! has_capability 25 || fail "CAP_SYS_TIME did not go by --setmode restart"
expect 21 set 101 --capability net_raw:maybe --save

step "a guest's symbolic links lead nowhere on the host"
ok stop 101
root=/var/lib/vz/root/101
on_alpha sh -c 'echo "do not touch" >/etc/victim; mkdir -p /etc/victim.d'
host_files() { on_alpha sh -c 'cat /etc/victim; ls -A /etc/victim.d; for file in hostname hosts resolv.conf shadow; do test ! -e "/etc/$file" || md5sum "/etc/$file"; done; ls -ld /etc'; }
before=$(host_files)
# hostile SCRIPT: run in the guest's root; then start, set and stop touch nothing of the host and take no time.
hostile() {
  local status=0
  ok mount 101
  on_alpha sh -c "cd $root && $1"
  ok umount 101
  patience=20 vz start 101 --wait >/dev/null 2>&1 || status=$?
  [ "$status" != 124 ] || fail "start hangs with: $1"
  if [ "$status" = 0 ]; then
    patience=20 vz set 101 --hostname hostile --nameserver 192.0.2.1 --userpasswd root:secret >/dev/null 2>&1 || status=$?
    [ "$status" != 124 ] || fail "set hangs with: $1"
    vz stop 101 --fast >/dev/null
  fi
  assert_eq "$(host_files)" "$before" "files of the host after: $1"
  assert_ct 101 exist unmounted down
  leftovers alpha | grep -F /101 && fail "left after: $1"
  ok mount 101
  on_alpha sh -c "rm -rf $root/etc $root/proc $root/dev $root/sys $root/run && cp -a $root/../kept/. $root/"
  ok umount 101
}
ok mount 101
on_alpha sh -c "mkdir /var/lib/vz/root/kept && cd $root && cp -a etc proc dev sys run /var/lib/vz/root/kept/"
ok umount 101
files="etc/hostname etc/hosts etc/resolv.conf etc/shadow"
hostile "for file in $files; do ln -sf /etc/victim \$file; done"
hostile "for file in $files; do ln -sf ../../../../../../../../etc/victim \$file; done"
hostile "rm -f $files && mkfifo $files"
hostile "rm -f $files && mkdir $files"
hostile "mv etc etc.own && ln -s /etc etc"
hostile "mv etc etc.own && ln -s /etc/victim.d etc"
for directory in proc sys dev run; do
  hostile "rm -rf $directory && ln -s ../../../../../../../etc/victim.d $directory"
done
hostile "rm -rf proc && ln -s /etc proc"
hostile "rm -rf proc && touch proc"
on_alpha rm -rf /var/lib/vz/root/kept /etc/victim /etc/victim.d
ok start 101 --wait
ok exec2 101 true

step "down"
ok stop 101
ok stop 102
ok destroy 101
ok destroy 102
on_alpha kill "$marker"
assert_clean alpha --all
