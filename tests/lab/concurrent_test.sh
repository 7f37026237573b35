#!/bin/bash
# Several things at once: two moves of one container, other commands beside a move, moves in opposite directions, ten together.
. "$(dirname "$0")/lib.sh"
. "$(dirname "$0")/moves.sh"
lab_up alpha beta client

step "a tiny guest"
need_tiny alpha
make_guest alpha 101 tiny 10.77.0.50
on alpha vzctl exec 101 'setsid sleep 4321 > /dev/null 2>&1 < /dev/null & echo > /run/mark'
as_it_was() { on "$1" vzctl exec2 101 'test -e /run/mark && pidof sleep > /dev/null' || fail "its memory is not what it was"; }

# told STATUS TEXT HOST COMMAND...: it ends with STATUS and says TEXT, within 3 s.
told() {
  local status=0 wanted=$1 text=$2 host=$3 out began=$SECONDS
  shift 3
  out=$(on "$host" timeout $((60 * slowness)) "$@" 2>&1) || status=$?
  [ "$status" = "$wanted" ] || fail "exit status $status, wanted $wanted: $*: $out"
  assert_contains "$out" "$text" "$*"
  [ $((SECONDS - began)) -le $((3 * slowness)) ] || fail "it took $((SECONDS - began)) s: $*"
}

step "two moves of one container at once: one is done, the other is told so"
on alpha vzmigrate --online beta 101 > "$scratch/first" 2>&1 &
first=$!
on alpha vzmigrate --online beta 101 > "$scratch/second" 2>&1 &
second=$!
one=0 other=0
wait $first || one=$?
wait $second || other=$?
[ $((one == 0)) != $((other == 0)) ] || fail "exit statuses $one and $other: $(cat "$scratch/first" "$scratch/second")"
grep -qE "already locked|is not running|has moved|config file does not exist" "$scratch/first" "$scratch/second" ||
  fail "not told why: $(cat "$scratch/first" "$scratch/second")"
as_it_was beta
assert_clean alpha --all

# pause HOST STEP: the next move waits there.
pause() { on "$1" sh -c "mkdir -p /run/vz; rm -f /run/vz/fault*; echo $2 pause > /run/vz/fault"; }
paused() { on "$1" test -e /run/vz/fault.reached; }
go_on() { on "$1" rm -f /run/vz/fault /run/vz/fault.reached; }

step "beside a move while files are copied: what changes the container is refused, what looks at it is not"
pause beta copied
on beta vzmigrate --online alpha 101 > "$scratch/move" 2>&1 &
mover=$!
eventually 20 paused beta
for command in stop "stop --fast" "set 101 --ram 256M" suspend destroy restart umount; do
  read -r verb rest <<< "$command"
  # shellcheck disable=SC2086
  told 9 "already locked" beta vzctl $verb 101 ${rest#101 }
done
told 20 "already locked" beta vzmigrate alpha 101
told 0 running beta vzctl status 101
told 0 101 beta vzlist -H -o ctid
told 0 here beta vzctl exec 101 echo here
told 14 "" alpha vzctl start 101
go_on beta
wait $mover || fail "the move failed beside other commands: $(<"$scratch/move")"
as_it_was alpha
assert_clean beta --all

step "a shell that was entered meanwhile keeps it here, running, with the reason"
pause alpha copied
on alpha vzmigrate --online beta 101 > "$scratch/move" 2>&1 &
mover=$!
eventually 20 paused alpha
on alpha sh -c 'vzctl exec 101 sleep 4' &
entered=$!
sleep "$(scaled 500)"
go_on alpha
status=0
wait $mover || status=$?
[ "$status" != 0 ] || fail "moved with a program of this host in it"
assert_contains "$(<"$scratch/move")" "vzctl exec" "what kept it"
told 0 running alpha vzctl status 101
wait $entered || fail "vzctl exec did not survive"
as_it_was alpha
assert_clean beta --all

# exec_in_freeze: a program is to be run while it stands still on alpha.
exec_in_freeze() {
  pause alpha frozen
  on alpha vzmigrate --online beta 101 > "$scratch/move" 2>&1 &
  mover=$!
  eventually 20 paused alpha
  on alpha timeout $((60 * slowness)) vzctl exec2 101 'echo > /root/inside; echo inside' > "$scratch/exec" 2>&1 &
  exec=$!
  sleep "$(scaled 500)"
  assert_eq "$(<"$scratch/exec")" "" "what ran while it stood still"
}

step "exec while it stands still: run when it goes on here"
exec_in_freeze
on alpha sh -c 'kill -9 $(cat /run/vz/fault.reached); rm /run/vz/fault*'
wait $mover && fail "moved by one that was killed"
wait $exec || fail "not run: $(<"$scratch/exec")"
assert_eq "$(<"$scratch/exec")" inside
on alpha vzctl exec2 101 rm /root/inside
as_it_was alpha
eventually 20 is_clean beta --all
eventually 20 on alpha sh -c '[ -z "$(ls -A /var/lib/vz/moves; ls -A /var/lib/vz/lock)" ]' # its watchdog is through

step "exec while it stands still: not run when it goes on there"
exec_in_freeze
go_on alpha
wait $mover || fail "the move failed: $(<"$scratch/move")"
began=$SECONDS status=0
wait $exec || status=$?
assert_eq "$status" 31 "exit status of exec"
assert_contains "$(<"$scratch/exec")" "not running"
[ $((SECONDS - began)) -le $((5 * slowness)) ] || fail "it took $((SECONDS - began)) s to be told so"
as_it_was beta
on beta vzctl exec2 101 'test ! -e /root/inside' || fail "it ran"
assert_clean alpha --all

step "ten more; two in opposite directions at once"
on beta sh -c 'for i in $(seq 102 111); do vzctl --quiet create $i --ostemplate tiny --ipadd 10.77.0.$((i - 40)) && vzctl --quiet start $i && vzctl exec $i "echo $i > /run/mark" || exit 1; done'
on beta vzmigrate --online alpha 102 > /dev/null
on alpha vzmigrate --online beta 102 > "$scratch/there" 2>&1 &
there=$!
on beta vzmigrate --online alpha 103 > "$scratch/back" 2>&1 &
back=$!
wait $there || fail "102: $(<"$scratch/there")"
wait $back || fail "103: $(<"$scratch/back")"
on alpha vzmigrate --online beta 103 > /dev/null

step "ten moves together"
began=$(now_ms)
on beta vzmigrate --online alpha 102 > /dev/null
one=$(($(now_ms) - began))
on alpha vzmigrate --online beta 102 > /dev/null
ids=$(seq 102 111)
began=$(now_ms)
# shellcheck disable=SC2086
on beta vzmigrate --online --parallel 10 alpha $ids > "$scratch/ten" 2>&1 || fail "$(<"$scratch/ten")"
ten=$(($(now_ms) - began))
say "one move $one ms, ten $ten ms"
[ $ten -lt $((15 * one)) ] || fail "ten together took much longer than one after the other"
for id in $ids; do
  assert_eq "$(on alpha vzctl exec $id cat /run/mark)" $id "what $id remembers"
  on client ping -n -c 1 -W 5 10.77.0.$((id - 40)) > /dev/null || fail "$id is not reached"
done
on alpha sh -c 'for i in $(seq 102 111); do vzctl --quiet stop $i --fast && vzctl --quiet destroy $i || exit 1; done'
assert_clean alpha --all
on beta sh -c 'vzctl --quiet stop 101 --fast && vzctl --quiet destroy 101'
assert_clean beta --all
