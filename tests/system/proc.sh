#!/bin/bash
# OpenVZ's files of /proc in /run/vz/proc, who serves them, and vzquota.
. "$(dirname "$0")/../lab/lib.sh"
. "$(dirname "$0")/../lab/ct.sh"

# tool STATUS COMMAND...: what it prints is then in $out, its errors in $err.
tool() {
  local wanted=$1 status=0
  shift
  out=$(on_alpha "$@" 2>"$err_file" </dev/null) || status=$?
  err=$(<"$err_file")
  [ "$status" = "$wanted" ] || fail "exit status $status, wanted $wanted: $*: $out $err"
}
# between LEAST VALUE MOST WHAT
between() { [ "$1" -le "$2" ] && [ "$2" -le "$3" ] || fail "$4: $2, wanted $1 to $3"; }
proc=/run/vz/proc

step "up"
lab_up alpha
need_tiny
on_alpha test -c /dev/fuse || skip "there is no FUSE here (/dev/fuse)"
# In a private area of the path that unxsVZ and Proxmox know.
on_alpha mkdir -p -m 700 /vz/private
ok create 101 --ostemplate tiny --diskspace 64M:70M --ram 64M --swap 0 --numproc 100 --ipadd 10.77.0.51 --private /vz/private/101
ok create 102 --ostemplate tiny --diskspace 64M --ram 64M --netif_add eth0,00:18:51:00:00:01,veth102.0,00:18:51:00:00:02
ok create 103 --ostemplate tiny --diskspace 64M
ok create 104 --ostemplate tiny --layout dir
ok start 101
ok start 102

step "without a mount"
tool 3 vzprocfs status
tool 0 vzprocfs ls
assert_eq "$(sort <<<"$out" | xargs)" "bc/ user_beancounters vz/"
tool 0 vzprocfs ls bc
assert_eq "$(xargs <<<"$out")" "resources 0/ 101/ 102/"
tool 0 vzprocfs cat vz/vswap vz/version
assert_eq "$out" $'Version: 1.0\n'"$(on_alpha uname -r)"
for words in "cat" "cat nothing" "cat vz" "cat bc/103/resources" "ls vz/vestat" "ls a b" "start it" "" "go"; do tool 1 vzprocfs $words; done
assert_contains "$err" "start, stop, status, cat or ls expected"

step "served"
tool 0 vzprocfs start
tool 0 vzprocfs status
assert_eq "$out" "$proc is served"
pid=$(on_alpha cat /run/vzprocfs.pid)
tool 0 vzprocfs start
assert_eq "$(on_alpha cat /run/vzprocfs.pid)" "$pid" "PID after a second start"
assert_eq "$(on_alpha sh -c "find $proc -type f | sort | xargs")" "$(xargs <<END
$proc/bc/0/resources $proc/bc/101/ioacct $proc/bc/101/resources $proc/bc/102/ioacct $proc/bc/102/resources $proc/bc/resources
$proc/user_beancounters $proc/vz/veinfo $proc/vz/veip $proc/vz/version $proc/vz/vestat $proc/vz/veth $proc/vz/vswap $proc/vz/vzquota
END
)"

step "rights"
assert_eq "$(on_alpha stat -c %a:%u $proc/user_beancounters $proc/vz/vestat $proc/vz/version | xargs)" "400:0 400:0 444:0"
as_nobody() { on_alpha setpriv --reuid 65534 --clear-groups "$@"; }
assert_eq "$(as_nobody cat $proc/vz/version)" "$(on_alpha uname -r)"
for file in user_beancounters vz/vestat vz/vzquota bc/101/ioacct; do
  ! as_nobody cat $proc/$file 2>/dev/null || fail "anybody reads $file"
done
for change in "echo x >$proc/vz/version" "rm -f $proc/vz/version" "mkdir $proc/bc/105" "chmod 644 $proc/vz/vestat"; do
  ! on_alpha sh -c "$change" 2>/dev/null || fail "allowed: $change"
done

step "user_beancounters"
text=$(on_alpha cat $proc/user_beancounters)
assert_eq "$(head -n 1 <<<"$text")" "Version: 2.5"
assert_eq "$(grep -c . <<<"$text")" $((2 + 3 * 24)) "lines"
assert_eq "$(awk 'NR > 2 { n[NF]++ } END { print n[7], n[6] }' <<<"$text")" "3 69" "rows of 7 and of 6 fields"
assert_eq "$(awk 'NR > 2 && NF == 7 { print $1 }' <<<"$text" | xargs)" "101: 102: 0:"
# row CTID NAME COLUMN
row() { awk -v ct="$1:" -v name="$2" -v n="$3" '/:/ { in_it = $1 == ct; if (in_it) $1 = "" } { $0 = $0 } in_it && $1 == name { print $n }' <<<"$text"; }
assert_eq "$(row 101 numproc 2) $(row 101 numproc 5)" "1 100"
assert_eq "$(row 101 physpages 5)" 16384
assert_eq "$(row 102 numproc 5)" 9223372036854775807
assert_eq "$(row 101 physpages 6)" 0 "failcnt"
ok exec2 101 'mount -t tmpfs none /mnt && head -c 30m /dev/zero >/mnt/file'
text=$(on_alpha cat $proc/user_beancounters)
between 7680 "$(row 101 physpages 2)" 12000 "pages held"
between "$(row 101 physpages 2)" "$(row 101 physpages 3)" 16384 "maxheld"
between 1 "$(row 0 numproc 2)" 100000 "processes of the host"
assert_eq "$(on_alpha cat $proc/bc/101/resources | awk '{ print $1 }' | xargs)" \
  "$(on_alpha vzlist -L | awk '$1 ~ /^[a-z]+$/ { print $1 }' | sed -n '/kmemsize/,/swappages/p' | xargs)" "names in vzlist's order"
assert_eq "$(on_alpha awk '$1 == "swappages" { print $5 }' $proc/bc/101/resources)" 0
assert_eq "$(on_alpha vzubc -f $proc/bc/resources 101 | grep -c physpages)" 1 "vzubc reads it"
status=0
vz exec2 101 'i=0; while [ $i -lt 120 ]; do sleep 1 & i=$((i + 1)); done' >/dev/null 2>&1 || status=$?
[ "$status" != 0 ] || fail "no limit of processes"
text=$(on_alpha cat $proc/user_beancounters)
[ "$(row 101 numproc 6)" -gt 0 ] || fail "a refused fork is not counted"
has_room() { [ "$(on_alpha vzlist -Ho numproc 101)" -lt 10 ]; }
eventually 5 has_room

step "vestat"
# busy CTID: ticks of user and system time
busy() { on_alpha awk -v ct="$1" '$1 == ct { print $2 + $3 + $4 }' $proc/vz/vestat; }
assert_eq "$(on_alpha awk '{ print length }' $proc/vz/vestat | sort -u)" 251 "lengths of lines"
assert_eq "$(on_alpha awk 'NR == 2 { print $1, $2, $5, $12 }' $proc/vz/vestat)" "VEID user uptime numsched"
before=$(busy 101)
ok exec2 101 'end=$(($(cut -d. -f1 /proc/uptime) + 2)); while [ "$(cut -d. -f1 /proc/uptime)" -lt $end ]; do :; done'
between 30 $(($(busy 101) - before)) $((500 * slowness)) "ticks of a second or two"
[ "$(busy 102)" -lt "$(busy 101)" ] || fail "the idle one has worked as well"
between 1 "$(on_alpha awk '$1 == 101 { print int($5 / 100) }' $proc/vz/vestat)" $((60 * slowness)) "seconds of uptime"
between 1 "$(on_alpha awk '$1 == 101 { print int($8 / 1e9) }' $proc/vz/vestat)" $((60 * slowness)) "and in nanoseconds"

step "one open file, read again from its beginning, is new"
assert_eq "$(on_alpha python3 -c '
import os, subprocess
f = os.open("'$proc'/vz/veinfo", os.O_RDONLY)
first, rest = os.pread(f, 3, 0), os.pread(f, 9999, 3)
subprocess.run(["vzctl", "--quiet", "stop", "102", "--fast"], check=True)
again = os.pread(f, 9999, 0)
print((first + rest).count(b"\n"), again.count(b"\n"), os.pread(f, 9999, len(again)))')" "3 2 b''"
! on_alpha test -e $proc/bc/102 || fail "the files of a stopped container"
ok start 102

step "load averages"
has_btf=
on_alpha test -e /sys/kernel/btf/vmlinux && has_btf=yes || say "this kernel does not describe its types (BTF): no load averages"
# load CTID: over 1 minute, in hundredths
load() { on_alpha vzlist -Ho laverage "$1" | sed -n 's|^ *\([0-9]*\)\.\([0-9][0-9]\)/[0-9.]*/[0-9.]*$|\1\2|p' | sed 's/^0*\(.\)/\1/'; }
has_load() { [ -n "$(load "$1")" ]; }
if [ -n "$has_btf" ]; then
  eventually 15 has_load 102
  assert_eq "$(load 102)" 0 "load of one that does nothing"
  # Two that run, one of them in a group that the guest made.
  ok exec2 102 '(while :; do :; done) >/dev/null 2>&1 & (while :; do :; done) >/dev/null 2>&1 &
    mkdir -p /sys/fs/cgroup/more && echo $! >/sys/fs/cgroup/more/cgroup.procs'
  loaded=$SECONDS
fi

step "veinfo, veip, veth, ioacct"
assert_eq "$(on_alpha sed -n 's/^       101     0 *[0-9]*      //p' $proc/vz/veinfo)" 10.77.0.51
assert_eq "$(on_alpha awk '{ print $1 }' $proc/vz/veinfo | xargs)" "101 102 0"
assert_eq "$(on_alpha tail -n 1 $proc/vz/veip)" "                             10.77.0.51 0"
assert_eq "$(on_alpha tail -n 1 $proc/vz/veth | xargs)" "00:18:51:00:00:02 veth102.0 00:18:51:00:00:01 eth0 102 allow"
# Without a limit cgroup v1 has not counted since Linux 6.10.
ok set 101 --iolimit 1G
written() { on_alpha awk '$1 == "write" { print $2 }' $proc/bc/101/ioacct; }
before=$(written)
ok exec2 101 'dd if=/dev/zero of=/root/file bs=1M count=8 conv=fsync'
between $((8 << 20)) $(($(written) - before)) $((10 << 20)) "bytes written"

step "vzquota, and what the kernel would tell of it"
tool 0 vzquota stat 101
assert_eq "$(sed -n 1p <<<"$out")" "   resource          usage       softlimit      hardlimit    grace"
assert_eq "$(awk '{ print length }' <<<"$out" | sort -u)" 66
used=$(awk '/1k-blocks/ { print $2 }' <<<"$out")
assert_eq "$(awk '/1k-blocks/ { print $3, $4 }' <<<"$out")" "65536 71680"
between $((8 * 1024)) "$used" 40000 "KiB used"
assert_eq "$used" "$(on_alpha vzlist -Ho diskspace 101 | xargs)" "vzlist's number"
assert_eq "$(on_alpha awk '/^101: / { getline; print $1, $2, $3, $4, $6 }' $proc/vz/vzquota)" "1k-blocks $used 65536 71680 259200"
assert_eq "$(on_alpha awk '/: / { print $1, $2 }' $proc/vz/vzquota | tail -n +2)" $'101: /vz/private/101\n102: /var/lib/vz/private/102'
ok exec2 101 'dd if=/dev/zero of=/root/file bs=1M count=63 conv=fsync'
tool 0 vzquota stat 101
assert_contains "$out" "*" "usage above the soft limit"
ok exec2 101 rm /root/file
tool 0 vzquota -b stat 101
assert_eq "$(awk '{ print NF, $2, $5 }' <<<"$out" | head -n 1)" "5 65536 259200"
tool 6 vzquota stat 103
assert_eq "$err" "vzquota : (error) Quota is not running for id 103"
tool 0 vzquota show 103
assert_eq "$err" ""
tool 0 vzquota show 101
assert_contains "$err" "vzquota : (warning) Quota is running"
tool 0 vzquota -q show 101 -t
assert_eq "$err" ""
assert_contains "$out" "User/group quota: off"
tool 0 vzquota stat -j 101
assert_eq "$(python3 -c 'import json, sys; d = json.load(sys.stdin); print(d["ctid"], d["running"], d["diskspace"]["hardlimit"])' <<<"$out")" "101 True 71680"
for case in "5 on 101" "5 on 101 --nocheck" "1 on 103" "6 off 103" "1 off 101 -f" "5 drop 101" "0 drop 103 -f" "11 drop 104" "11 stat 999" "6 stat 104" \
  "11 show 104" "4 init 103 -p /vz -b 1 -B 2 -i 3 -I 4 -e 5 -n 6" "1 setlimit2 101 -u 5 1 2 3 4" "2" "2 what 101" "2 stat" "2 stat nobody" \
  "2 stat 101 102" "2 setlimit 103" "2 setlimit 103 -b x" "2 setlimit 103 -e 5q" "2 stat --what 101"; do
  read -r status words <<<"$case"
  tool "$status" vzquota $words
  [ "$status" = 0 ] || assert_contains "$out$err" "vzquota : (error) "
done
tool 0 vzquota setlimit 103 -b 90000 -B 100000 -e 0:1:0:5
assert_eq "$(on_alpha sed -n 's/^\(DISKSPACE\|QUOTATIME\)=//p' /etc/vz/conf/103.conf | xargs)" "90000:100000 3605"
between 100000 "$(on_alpha vzquota -b show 103 | awk 'NR == 1 { print $3 }')" 101000 "the image"
tool 0 vzquota -V
assert_contains "$out" "Vzquota version 2.5.0"
ok mount 103
tool 0 vzquota stat 103
ok umount 103

if [ -n "$has_btf" ]; then
  step "load averages: of two that run since then"
  is_loaded() { [ "$(load 102)" -ge 30 ]; }
  eventually 20 is_loaded
  # Samples of 2 since then, and one more.
  between 30 "$(load 102)" $((200 * ((SECONDS - loaded) / 5 + 2) / 12 + 5)) "hundredths"
  [ "$(load 101)" -lt 30 ] || fail "the other one is loaded as well: $(load 101)"
  assert_eq "$(on_alpha vzlist -jo laverage 102 | python3 -c 'import json, sys; l = json.load(sys.stdin)[0]["laverage"]
print(len(l), l[0] > l[1] > l[2] > 0)')" "3 True"
  assert_eq "$(on_alpha vzlist -aHo laverage 103 | xargs)" - "one that does not run"
fi

step "killed: an error to readers at once, and a start replaces it"
on_alpha sh -c "kill -KILL $pid"
is_dead() { ! on_alpha test -d /proc/"$pid"; }
eventually 5 is_dead
tool 1 timeout 5 cat $proc/vz/vestat
assert_contains "$err" "endpoint is not connected"
tool 3 vzprocfs status
tool 0 vzprocfs start
assert_eq "$(on_alpha grep -c " $proc " /proc/self/mountinfo)" 1 "mounts"
tool 0 grep -c . $proc/vz/veinfo

step "a text that is not made in time is an error to its reader alone"
pid=$(on_alpha cat /run/vzprocfs.pid)
on_alpha sh -c 'mv /etc/vz/vz.conf /root/vz.conf && mkfifo /etc/vz/vz.conf'
start=$SECONDS
on_alpha cat $proc/vz/veinfo >/dev/null 2>"$err_file" && fail "what was read without a configuration?"
assert_contains "$(<"$err_file")" "timed out"
between 9 $((SECONDS - start)) $((14 * slowness)) "seconds"
for i in 1 2 3; do on_alpha cat $proc/vz/veinfo >/dev/null 2>&1 & done
sleep 1
on_alpha ls $proc/bc >/dev/null
on_alpha sh -c 'rm /etc/vz/vz.conf && mv /root/vz.conf /etc/vz/vz.conf'
tool 0 timeout 2 cat $proc/vz/veinfo
step "stop: with readers, and somebody in it; twice"
on_alpha sh -c "cd $proc/vz; exec 7<$proc/vz/veinfo; vzprocfs stop && ! cat <&7 2>/dev/null" || fail "stop with an open file"
wait
assert_eq "$(on_alpha sh -c "grep -c ' $proc ' /proc/self/mountinfo; ls /run/vz" | xargs)" "0 101 102"
assert_eq "$(on_alpha vzlist -Ho laverage 102 | xargs)" - "load averages without vzprocfs"
tool 0 vzprocfs stop
tool 3 vzprocfs status
if on_alpha unshare --mount sh -c 'mount -t tmpfs none /dev && vzprocfs start' 2>"$err_file"; then fail "served without FUSE"; fi
assert_contains "$(<"$err_file")" "this host has no FUSE"
tool 0 vzprocfs cat vz/veinfo

step "down"
for ctid in 101 102; do ok stop $ctid --fast; done
for ctid in 101 102 103 104; do ok destroy $ctid; done
on_alpha sh -c 'rm -r /vz'
assert_clean alpha --all
