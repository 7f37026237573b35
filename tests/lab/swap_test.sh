#!/bin/bash
# A guest that puts a link where a directory was, while its files are copied: nothing of either host is read or written.
. "$(dirname "$0")/lib.sh"
. "$(dirname "$0")/moves.sh"
moves=${VESSEL_MOVES:-4} outside=/run/outside
lab_up alpha beta client

state_of() { on "$1" sh -c "stat -c '%a %u %g %s' $outside $outside/secret; cat $outside/secret"; }
is_running() { on "$1" vzctl status 101 | grep -q running; }

step "each host has a file that is its own"
for host in alpha beta; do
  on $host sh -c "umask 077; mkdir $outside; printf 'the text of $host' > $outside/secret"
  state_of $host > "$scratch/$host"
done

step "a guest that exchanges directories for links to there"
need_tiny alpha
make_guest alpha 101 tiny 10.77.0.50
on alpha vzctl exec 101 'cat > /usr/bin/probe-swap; chmod 755 /usr/bin/probe-swap' < "$probes/probe-swap"
on alpha vzctl exec 101 "setsid probe-swap /srv/swap $outside > /dev/null 2>&1 < /dev/null &"
eventually 10 on alpha vzctl exec 101 'test -e /srv/swap/l199'

step "it moves, or is refused by rsync, which sees what it does"
from=alpha to=beta
for ((i = 1; i <= moves; ++i)); do
  if on $from vzmigrate --online $to 101 > "$scratch/move" 2>&1; then
    read -r from to <<< "$to $from"
  else
    assert_contains "$(<"$scratch/move")" "rsync failed"
  fi
  is_running $from || fail "it does not run on $from: $(<"$scratch/move")"
  for host in alpha beta; do
    state_of $host | diff "$scratch/$host" - || fail "the guest reached a file of $host"
    on $host sh -c '! grep -rsl "the text of" /var/lib/vz/private /var/lib/vz/root' || fail "the guest has the text of a host's file"
  done
done
say "it is on $from after $moves moves"
assert_clean $to --all
