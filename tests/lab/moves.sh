# shellcheck shell=bash
# Sourced by scenarios that move containers: guests with an echo server, a client that talks to it, and moves.

probe=${VESSEL_BUILD:?}/libexec/vessel-tests/probe-echo

# make_guest HOST CTID TEMPLATE ADDRESS [OPTION...]: created, started and answering on port 7.
make_guest() {
  local host=$1 id=$2 template=$3 address=$4
  shift 4
  on "$host" vzctl --quiet create "$id" --ostemplate "$template" --ipadd "$address" --diskspace 2G "$@"
  on "$host" vzctl --quiet start "$id" --wait
  on "$host" vzctl exec "$id" 'cat > /usr/bin/probe-echo; chmod 755 /usr/bin/probe-echo' < "$probe"
  if on "$host" vzctl exec "$id" 'command -v systemd-run > /dev/null'; then
    on "$host" vzctl exec "$id" systemd-run -q --unit=echo /usr/bin/probe-echo 7
  else
    on "$host" vzctl exec "$id" 'setsid probe-echo 7 > /dev/null 2>&1 < /dev/null &'
  fi
}

# talk ADDRESS: one connection from the client, until hang_up.
talk() {
  on client sh -c "rm -f /tmp/talk*; setsid $lab_dir/client $1 7 /tmp/talk > /tmp/talk.err 2>&1 &"
  eventually 10 on client test -e /tmp/talk.ready
}

# The worst round trip from here on.
mark() {
  on client touch /tmp/talk.mark
  eventually 10 on client test -e /tmp/talk.marked
  on client rm /tmp/talk.marked
}

# Prints the worst round trip in ms; fails when a message was lost or repeated or the connection broke.
hang_up() {
  sleep 0.5
  on client touch /tmp/talk.stop
  eventually 40 on client test -e /tmp/talk
  on client python3 -c '
import json, sys
r = json.load(open("/tmp/talk"))
if r["error"] is not None or r["wrong"] or r["sent"] < 10:
    sys.exit("the connection suffered: %s" % r)
print(round(r["worst"] * 1000))'
}

median() { sort -n | awk '{v[NR] = $1} END {print v[int((NR + 1) / 2)]}'; }
