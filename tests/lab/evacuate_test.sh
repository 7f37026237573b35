#!/bin/bash
# Several containers in one command: all of them, some at the same time, one that cannot; and what a terminal is shown.
. "$(dirname "$0")/lib.sh"
. "$(dirname "$0")/moves.sh"
lab_up alpha beta
need_tiny

step "three guests on alpha, one of them stopped"
for id in 101 102 103; do
  on alpha vzctl --quiet create $id --ostemplate tiny --ipadd 10.77.0.$((id - 50)) --diskspace 256M
done
on alpha vzctl --quiet start 101 --wait
on alpha vzctl --quiet start 102 --wait
mark=$(on alpha vzctl exec 101 'echo $$ > /tmp/mark; setsid tail -f /dev/null > /dev/null 2>&1 < /dev/null & cat /tmp/mark')

step "mistakes"
assert_status 1 on alpha vzmigrate --all beta 101
assert_status 1 on alpha vzmigrate --parallel 0 --all beta
assert_status 1 on alpha vzmigrate beta
assert_status 10 on alpha vzmigrate beta 101 999
assert_contains "$(on alpha vzmigrate --dry-run --evacuate beta)" "3 of 3 containers can be moved"

step "one that cannot be moved keeps no other"
on beta vzctl --quiet create 102 --ostemplate tiny --diskspace 256M
status=0
out=$(on alpha vzmigrate --evacuate --parallel 3 beta 2>&1) || status=$?
assert_eq "$status" 9 "exit status"
assert_contains "$out" "CT 102: Error: CT 102 exists on the destination"
assert_contains "$out" "2 of 3 containers moved"
assert_contains "$out" "Error: not moved: 102 (exit status 9)"
assert_eq "$(on beta vzlist -Ho ctid,status -a | xargs)" "101 running 102 stopped 103 stopped"
assert_eq "$(on alpha vzlist -Ho ctid,status -a | xargs)" "102 running"
assert_eq "$(on beta vzctl exec 101 'cat /tmp/mark; pidof tail | wc -w')" "$mark"$'\n1' "a program that goes on"
on beta vzctl --quiet destroy 102

step "by name and number, one after the other"
on beta vzctl --quiet set 103 --name third --save
out=$(on beta vzmigrate --online alpha 101 2>&1)
assert_absent "$out" "CT 101: "
out=$(on beta vzmigrate alpha third 103 2>&1)
assert_absent "$out" "containers moved"
assert_eq "$(on beta vzlist -Ha 2>&1)" "Container(s) not found"
assert_contains "$(on alpha vzmigrate beta 103 102)" "2 of 2 containers moved"
assert_eq "$(on beta vzlist -Ho ctid,status -a | xargs)" "102 running 103 stopped"

step "Ctrl-C ends those that are under way, and begins no more"
on beta vzmigrate --evacuate alpha > /dev/null
for id in 101 102; do on alpha vzctl exec $id 'head -c 100m /dev/urandom > /root/large'; done
status=0
out=$(on alpha timeout -s INT 0.7 vzmigrate --evacuate --rsync=--bwlimit=2m beta 2>&1) || status=$?
assert_contains "$out" "Cancelled by signal"
assert_contains "$out" "(not begun)"
assert_eq "$(on alpha vzlist -Ho ctid,status -a | xargs)" "101 running 102 running 103 stopped"
eventually 5 assert_clean beta --all

step "a terminal is shown how far it is, a pipe is not"
draw='import os, pty, sys
pid, terminal = pty.fork()
if pid == 0:
    os.execvp(sys.argv[1], sys.argv[1:])
try:
    while data := os.read(terminal, 65536):
        sys.stdout.buffer.write(data)
except OSError:
    pass
sys.exit(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))'
out=$(on alpha python3 -c "$draw" vzmigrate --online --rsync=--bwlimit=30m beta 102) || fail "a move on a terminal: $out"
assert_contains "$out" "Syncing private: "
assert_contains "$out" " MiB/s, 0:0"
assert_contains "$(tr '\r' '\n' <<< "$out" | grep -a 'Successfully')" "Successfully completed"
out=$(on beta vzmigrate --online alpha 102)
assert_absent "$out" "MiB/s"
on alpha vzctl --quiet suspend 102
on alpha sh -c 'head -c 8M /dev/urandom > /var/lib/vz/dump/Dump.102/more.img'
out=$(on alpha python3 -c "$draw" vzmigrate --bwlimit 5m beta 102) || fail "a suspended move on a terminal: $out"
assert_contains "$out" "Dump: "
on beta rm /var/lib/vz/dump/Dump.102/more.img
on beta vzctl --quiet resume 102
on beta vzmigrate --online alpha 102 > /dev/null

step "nothing is left"
for id in 101 102; do on alpha vzctl --quiet stop $id --fast; done
for id in 101 102 103; do on alpha vzctl --quiet destroy $id; done
assert_clean alpha --all
assert_clean beta --all
