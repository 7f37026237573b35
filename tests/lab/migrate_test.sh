#!/bin/bash
# Moves of a small guest: live, stopped, refused, failing half-way.
. "$(dirname "$0")/lib.sh"
. "$(dirname "$0")/moves.sh"
lab_up alpha beta client
address=10.77.0.50
uid_map() { on "$1" sh -c '. /run/vz/101/state && cat /proc/$INIT/uid_map'; }

step "a tiny guest with a firewall on alpha, a client talking to it"
need nft
need_tiny
on alpha ip link add br1 type bridge
make_guest alpha 101 tiny $address --hostname box --name box
guard alpha 101
talk $address

step "refused before anything is touched, with the reason"
assert_status 10 on alpha vzmigrate --online beta 999
assert_status 4 on alpha vzmigrate --online nowhere.invalid 101
on alpha vzctl --quiet set 101 --netif_add eth1,,,,br1 --save
on beta ip link add veth101.1 type bridge
out=$(on alpha vzmigrate --online beta 101 2>&1) && fail "moved to a host without the bridge"
assert_contains "$out" "no bridge br1"
assert_contains "$out" "an interface veth101.1 already"
on beta ip link del veth101.1
on alpha vzctl --quiet set 101 --netif_del eth1 --save
on alpha ip link del br1
on beta vzctl --quiet create 102 --ostemplate tiny --ipadd $address --diskspace 256M --name box
out=$(on alpha vzmigrate --online beta box 2>&1) && fail "moved to a host with the same address and name"
assert_contains "$out" "address $address belongs to CT 102"
assert_contains "$out" "name box belongs to CT 102"
on beta vzctl --quiet destroy 102
on beta vzctl --quiet create 101 --ostemplate tiny --diskspace 256M
for half in /var/lib/vz/private/101 /etc/vz/conf/101.conf; do
  on beta mv $half $half.kept
  out=$(on alpha vzmigrate --online beta 101 2>&1) && fail "moved to a host that has such a CT, but for $half"
  assert_contains "$out" "CT 101 exists on the destination"
  on beta mv $half.kept $half
done
on beta vzctl --quiet destroy 101
on beta mount -t tmpfs -o size=8m,mode=700 small /var/lib/vz/private
out=$(on alpha vzmigrate --online beta 101 2>&1) && fail "moved to a host without space"
assert_contains "$out" "/var/lib/vz/private on the destination has 8 MiB free"
on beta umount /var/lib/vz/private
on beta sh -c 'sed "s/ fpu / /" /proc/cpuinfo > /root/cpuinfo && mount --bind /root/cpuinfo /proc/cpuinfo'
status=0
out=$(on alpha vzmigrate --online beta 101 2>&1) || status=$?
assert_eq $status 18 "exit status of a move to a host whose CPU is not enough"
assert_contains "$out" "the destination's CPU lacks: fpu"
on alpha vzmigrate --check-only beta 101 > /dev/null # not running, it may go there
on beta umount /proc/cpuinfo
assert_status 4 on alpha vzmigrate --check-only --ssh='-p 2222' beta 101
on alpha vzctl exec 101 sleep 1000 || true &
eventually 5 on alpha vzctl exec 101 pidof sleep > /dev/null
out=$(on alpha vzmigrate --online beta 101 2>&1) && fail "moved with an entered program"
assert_contains "$out" "entered from outside"
on alpha vzctl exec 101 'kill $(pidof sleep)'
wait
for host in beta there root@there 10.77.0.2 fd77::2; do
  assert_contains "$(on alpha vzmigrate --check-only --online $host 101)" "All checks passed" "checks of $host"
done
assert_eq "$(on alpha vzctl status 101)" "CTID 101 exist mounted running"
assert_eq "$(on beta vzctl status 101)" "CTID 101 deleted unmounted down"
assert_clean beta --all

step "live, there and back, its clock and connection go on"
on alpha vzctl exec 101 'echo kept > /root/file; ln /root/file /root/hard; mkfifo /root/fifo'
on alpha vzctl --quiet set 101 --ipadd 10.77.0.51 --numproc 77 2> /dev/null  # not saved: holds until it stops
on alpha vzctl exec 101 'echo first > /root/late; echo old > /root/moved; mkdir /root/gone; touch /root/gone/x'
before=$(on alpha vzctl exec 101 'cut -d. -f1 /proc/uptime') ids=$(uid_map alpha)
# What changes between the last round of copying and the freeze.
on alpha sh -c 'echo dump-prepared pause > /run/vz/fault'
on alpha vzmigrate --online --times -v beta box > "$scratch/times" &
moving=$!
eventually 20 on alpha test -e /run/vz/fault.reached
on alpha vzctl exec 101 'cd /root && echo again > late && mv moved renamed && rm -r gone && chown 7:8 renamed'
on alpha rm /run/vz/fault /run/vz/fault.reached
wait $moving
assert_contains "$(<"$scratch/times")" "at step dump-prepared: pause" "what -v says"
for phase in Prepare Sync "Sync, 2nd round" "Prepare dump" "Suspend + Dump" "Copy dump file" "Second rsync" "Undump + Resume" "Total suspended time"; do
  grep -qF "$phase: " "$scratch/times" || fail "--times does not tell '$phase': $(<"$scratch/times")"
done
assert_eq "$(on beta vzctl exec 101 'cd /root && cat late renamed && stat -c %u:%g renamed && ! ls -d gone moved 2> /dev/null')" \
  $'again\nold\n7:8' "what changed last"
on beta vzctl exec 101 'rm /root/late /root/renamed'
assert_eq "$(on beta vzctl status box)" "CTID 101 exist mounted running"
assert_eq "$(on alpha vzctl status 101)" "CTID 101 deleted unmounted down"
assert_eq "$(on beta vzctl exec 101 'cat /root/hard; stat -c %h /root/file')" $'kept\n2'
assert_eq "$(uid_map beta)" "$ids" "its range of user ids"
after=$(on beta vzctl exec 101 'cut -d. -f1 /proc/uptime')
[ "$after" -ge "$before" ] || fail "its clock went back from $before to $after"
on client ping -c 1 -W 2 10.77.0.51 > /dev/null || fail "an address that was not saved is lost by the move"
assert_absent "$(on beta cat /etc/vz/conf/101.conf)" 10.77.0.51
assert_clean alpha --all
on beta vzmigrate --online fd77::1 101
worst=$(hang_up)
say "worst round trip of two moves: $worst ms"
# A neighbour that is not told where it went asks again after a second.
[ "$worst" -lt $((900 * slowness)) ] || fail "the client waited for $worst ms"
assert_clean beta --all

step "--json: each line an object, the phases of the freeze among them"
on alpha vzmigrate --json --online beta 101 > "$scratch/events"
on beta vzmigrate --json -v alpha 999 >> "$scratch/events" 2> /dev/null && fail "moved what is not there"
on alpha vzctl --quiet create 103 --ostemplate tiny --name other
on beta vzmigrate --json --check-only --online --parallel 2 alpha 101 >> "$scratch/events"
on alpha vzctl --quiet set 103 --name box --save
on beta vzmigrate --json --online alpha 101 >> "$scratch/events" 2> /dev/null && fail "moved to a host with its name"
on alpha vzctl --quiet destroy 103
python3 - "$scratch/events" <<'END_OF_PROGRAM' || fail "$(<"$scratch/events")"
import json, sys
events = [json.loads(line) for line in open(sys.argv[1])]
names = [e["event"] for e in events]
ends = [e for e in events if e["event"] == "end"]
assert [e["status"] for e in ends] == [0, 10, 0, 45], ends
assert ends[0]["error"] == "" and "does not exist" in ends[1]["error"] and ends[1]["ctid"] == 999, ends
moved = events[:names.index("end")]
assert all(e["ctid"] == 101 for e in moved) and moved[0] == {"ctid": 101, "event": "begin", "to": moved[0]["to"], "running": True, "online": True}
phases = [e["phase"] for e in moved if e["event"] == "phase"]
times = moved[-1]
assert times["event"] == "times" and [p["phase"] for p in times["phases"]] == phases, (times, phases)
frozen = sum(p["seconds"] for p in times["phases"] if p["frozen"])
assert abs(frozen - times["frozen_seconds"]) < 1e-6 and 0.01 < frozen < 60, times
assert [e["text"] for e in events if e["event"] == "problem"] == ["the name box belongs to CT 103 on the destination"]
END_OF_PROGRAM
on beta vzmigrate --online alpha 101 > /dev/null

step "directories renamed behind the second copy come whole"
on alpha vzctl exec 101 'mkdir -p /root/a/b/c && echo deep > /root/a/b/c/file && mkdir /root/away && echo x > /root/away/file && echo l > /root/l'
on alpha sh -c 'rm -f /run/vz/fault.reached; echo dump-prepared pause > /run/vz/fault'
on alpha vzmigrate --online beta 101 > /dev/null &
eventually 30 on alpha test -e /run/vz/fault.reached
on alpha vzctl exec 101 'cd /root && mv a moved && mv moved/b . && mv away a && ln l a/linked && mv l a/l2'
on alpha rm /run/vz/fault
wait $!
assert_eq "$(on beta vzctl exec 101 'cd /root && find . | sort | tr "\n" " " && cat b/c/file a/file a/linked && stat -c %h a/linked')" \
  $'. ./a ./a/file ./a/l2 ./a/linked ./b ./b/c ./b/c/file ./fifo ./file ./hard ./moved deep\nx\nl\n2' "files"
on beta vzmigrate --online alpha 101 > /dev/null
on alpha rm /run/vz/fault.reached

step "a failure on the destination gives it back running, nothing is left there"
talk $address
on beta sh -c 'mkdir -p /etc/vz/broken && sed -i "\$aCRIU=/bin/false" /etc/vz/vz.conf'
assert_status 17 on alpha vzmigrate --online beta 101
on beta sed -i '$d' /etc/vz/vz.conf
on beta sh -c 'printf "#!/bin/sh\ncase \$1 in --version) echo Version: 99;; *) exit 1;; esac\n" > /root/criu && chmod 755 /root/criu && echo CRIU=/root/criu >> /etc/vz/vz.conf'
assert_status 7 on alpha vzmigrate --online --keep-dst beta 101
on beta test -d /var/lib/vz/private/101.migrating
assert_eq "$(on beta vzctl status 101)" "CTID 101 deleted unmounted down"
assert_status 7 on alpha vzmigrate --online beta 101
assert_status 6 on alpha vzmigrate --online --rsync=--no-such-option beta 101
assert_eq "$(on alpha vzctl status 101)" "CTID 101 exist mounted running"
assert_clean beta --all
worst=$(hang_up) # in the argument of a command its failure would be lost
say "worst round trip of a move that failed: $worst ms"

step "what --keep-dst has kept is what the next try goes on with, and needs no space a second time"
on alpha vzctl exec 101 'dd if=/dev/urandom of=/root/much bs=1M count=15 2> /dev/null'
on beta mount -t tmpfs -o size=48m,mode=700 small /var/lib/vz/private
assert_status 7 on alpha vzmigrate --online --keep-dst beta 101
on beta sed -i '$d' /etc/vz/vz.conf
on beta touch /var/lib/vz/private/101.migrating/kept
on alpha vzmigrate --online beta 101 > /dev/null
on beta test -e /var/lib/vz/private/101/kept || fail "all files were copied anew"
on beta vzmigrate --online alpha 101 > /dev/null
on beta umount /var/lib/vz/private
assert_clean beta --all

step "what was kept is given the size of today, or makes way for another layout"
keep() { assert_status 6 on alpha vzmigrate --keep-dst --rsync=--no-such-option beta 102; }
on alpha vzctl --quiet create 102 --ostemplate tiny --diskspace 128M
keep
on beta touch /var/lib/vz/private/102.migrating/kept
on alpha vzctl --quiet set 102 --diskspace 64M --save
size=$(on alpha stat -c %s /var/lib/vz/private/102/root.img)
on alpha vzmigrate beta 102 > /dev/null
assert_eq "$(on beta sh -c 'cd /var/lib/vz/private/102 && ls && stat -c %s root.img')" $'kept\nroot.img\n'"$size" "private area"
on beta vzctl --quiet destroy 102
on alpha vzctl --quiet create 102 --ostemplate tiny --layout dir
keep
on alpha vzctl --quiet destroy 102
on alpha vzctl --quiet create 102 --ostemplate tiny --diskspace 64M
on alpha vzmigrate beta 102 > /dev/null
assert_eq "$(on beta ls /var/lib/vz/private/102)" root.img "private area"
on beta vzctl --quiet destroy 102
assert_clean beta --all

step "it gives up rather than stand still for longer than is allowed"
talk $address
on alpha sh -c 'echo sent pause > /run/vz/fault'
on alpha vzmigrate --online --max-freeze 1500 beta 101 > "$scratch/late" 2>&1 &
late=$!
eventually 20 on alpha test -e /run/vz/fault.reached
sleep 2
on alpha rm /run/vz/fault /run/vz/fault.reached
status=0
wait $late || status=$?
assert_eq $status 22 "exit status of a move that took too long"
assert_contains "$(<"$scratch/late")" "more than 1500 ms"
hang_up > /dev/null
assert_clean beta --all
on alpha vzmigrate --online --max-freeze 60000 beta 101 > /dev/null
on beta vzmigrate --online alpha 101 > /dev/null

runs_somewhere() { [[ $(on alpha vzctl status 101; on beta vzctl status 101) = *running* ]]; }
step "kill -9 of either end before the hand-over: it runs on the source"
for victim in alpha beta; do
  on alpha vzmigrate --online beta 101 > /dev/null 2>&1 &
  sleep $((7 * slowness))e-1
  on $victim sh -c 'for p in /proc/[0-9]*; do case $(tr "\0" " " < $p/cmdline 2>/dev/null) in vzmigrate*) kill -9 ${p#/proc/};; esac; done'
  wait || true
  eventually 15 runs_somewhere
  home=alpha other=beta
  [[ $(on alpha vzctl status 101) = *running* ]] || home=beta other=alpha
  assert_contains "$(on $other vzctl status 101)" down
  eventually 10 on $home vzctl exec 101 true
  [ $home = alpha ] || on beta vzmigrate --online alpha 101 > /dev/null
done

step "stopped and started there, no faster than --bwlimit says; kept here with -r no"
on alpha vzctl exec 101 'dd if=/dev/urandom of=/root/much bs=1M count=12 2> /dev/null'
assert_status 1 on alpha vzmigrate --bwlimit 1 beta 101
began=$(now_ms)
on alpha vzmigrate --bwlimit 4M -r no beta 101
took=$(($(now_ms) - began))
[ $took -gt 2500 ] || fail "12 MiB at 4 MiB a second took $took ms"
assert_eq "$(on beta vzctl exec 101 cat /root/file)" kept
on alpha test -e /etc/vz/conf/101.conf.migrated
on alpha test -d /var/lib/vz/private/101
on beta vzctl --quiet stop 101 --fast
on alpha rm -rf /var/lib/vz/private/101
on beta vzmigrate -r yes alpha 101
assert_eq "$(on alpha vzctl status 101)" "CTID 101 exist unmounted down"
on beta sh -c '! ls -d /var/lib/vz/private/101 /etc/vz/conf/101.conf*' 2> /dev/null || fail "-r yes has left something on the source"

if on beta sh -c 'command -v sudo > /dev/null'; then
  step "by a user there who becomes root by sudo"
  on beta sh -ec 'useradd -m -p "*" mover && install -d -m 700 -o mover /home/mover/.ssh
    install -m 600 -o mover /root/.ssh/authorized_keys /home/mover/.ssh/authorized_keys'
  on alpha vzctl --quiet start 101 --wait
  out=$(on alpha vzmigrate --online --sudo mover@beta 101 2>&1) && fail "moved by a user who may not become root"
  assert_contains "$out" "by sudo without a password"
  on beta sh -c 'printf "%s\n" "Defaults:mover !secure_path" "mover ALL=(root) NOPASSWD: ALL" > /etc/sudoers.d/mover'
  on alpha vzmigrate --online --sudo mover@beta 101 > /dev/null
  assert_eq "$(on beta vzctl status 101)" "CTID 101 exist mounted running"
  on beta vzmigrate --online alpha 101 > /dev/null
  on alpha vzctl --quiet stop 101 --fast
fi

step "suspended, moved, resumed"
on alpha vzctl --quiet start 101
on alpha vzctl exec 101 'setsid tail -f /dev/null > /dev/null 2>&1 < /dev/null &'
on alpha vzctl --quiet suspend 101
on alpha vzmigrate beta 101
assert_eq "$(on beta vzctl status 101)" "CTID 101 exist unmounted down suspended"
on beta vzctl --quiet resume 101
on beta vzctl exec 101 'pidof tail > /dev/null'
on beta vzctl --quiet stop 101 --fast
on beta vzctl --quiet destroy 101
assert_clean alpha --all
assert_clean beta --all
