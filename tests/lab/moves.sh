# shellcheck shell=bash
# Sourced by scenarios that move containers: guests with an echo server, a client that talks to it, and moves.

# make_guest HOST CTID TEMPLATE ADDRESS [OPTION...]: created, started and answering on port 7.
make_guest() {
  local host=$1 id=$2 template=$3 address=$4
  shift 4
  on "$host" vzctl --quiet create "$id" --ostemplate "$template" --ipadd "$address" --diskspace 2G "$@"
  on "$host" vzctl --quiet start "$id" --wait
  start_echo "$host" "$id"
}

# start_echo HOST CTID: an echo server on port 7.
start_echo() {
  local host=$1 id=$2
  on "$host" vzctl exec "$id" 'cat > /usr/bin/probe-echo; chmod 755 /usr/bin/probe-echo' < "$probes/probe-echo"
  if on "$host" vzctl exec "$id" 'command -v systemd-run > /dev/null'; then
    on "$host" vzctl exec "$id" systemd-run -q --unit=echo /usr/bin/probe-echo 7
  else
    on "$host" vzctl exec "$id" 'setsid probe-echo 7 > /dev/null 2>&1 < /dev/null &'
  fi
}

# guard HOST CTID: besides new connections to port 7 the guest lets in only what its firewall knows, and it knows only
# what it has seen from the first segment on.
guard() {
  local init
  init=$(on "$1" sed -n 's/^INIT="\(.*\)"$/\1/p' "/run/vz/$2/state")
  on "$1" nsenter -t "$init" -n nft -f - <<'END_OF_RULES'
table inet guard {
  chain input { type filter hook input priority 0; policy drop;
    ct state established accept
    ct state new tcp dport 7 tcp flags & (fin | syn | rst | ack) == syn accept
    meta l4proto { 1, 58 } accept # by number: Debian without netbase has no /etc/protocols
  }
}
END_OF_RULES
  on "$1" nsenter -t "$init" -n sysctl -qw net.netfilter.nf_conntrack_tcp_loose=0
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

# start_memory_probe HOST CTID MIB [HOT]: a program that checks so much memory and rewrites the first HOT MiB of it, for ever.
start_memory_probe() {
  on "$1" vzctl exec "$2" 'cat > /usr/bin/probe-memory; chmod 755 /usr/bin/probe-memory' < "$probes/probe-memory"
  on "$1" vzctl exec "$2" "setsid probe-memory $3 /root/checked ${4-} > /dev/null 2>&1 < /dev/null &"
  eventually 60 memory_checked "$1" "$2" 0
}
memory_checks() { on "$1" vzctl exec "$2" 'test ! -e /root/checked || cut -d" " -f1 /root/checked'; }
memory_checked() { [[ $(memory_checks "$1" "$2") -gt $3 ]]; }
# assert_right HOST CTID: all of that memory was checked once more, and is right.
assert_right() {
  local now
  now=$(memory_checks "$1" "$2")
  eventually 60 memory_checked "$1" "$2" $((now + 1))
  assert_eq "$(on "$1" vzctl exec "$2" cat /root/checked | cut -d' ' -f2)" 0 "wrong numbers in its memory"
}

# allow_pages HOST...: what a page store and its source need of a host, for the duration of the script. The hosts of a lab have the
# settings of this machine.
page_settings="vm.unprivileged_userfaultfd fs.pipe-user-pages-soft"
allow_pages() {
  on "$1" test -e /proc/sys/vm/unprivileged_userfaultfd || skip "this kernel has no userfaultfd"
  page_hosts=("$@")
  # shellcheck disable=SC2086
  [ "${VESSEL_BED:-lab}" = vm ] || trap 'status=$?; put_settings '"$(sysctl -n $page_settings | xargs)"'; lab_finish $status' EXIT
  put_settings 1 0
}
# put_settings FAULTS PIPES
put_settings() {
  local host set=(sysctl -qw vm.unprivileged_userfaultfd="$1" fs.pipe-user-pages-soft="$2")
  [ "${VESSEL_BED:-lab}" = vm ] || { "${set[@]}" && return; }
  for host in "${page_hosts[@]}"; do on "$host" "${set[@]}"; done
}
# Whether HOST's kernel tells which memory is written by userfaultfd(2).
tracks_writes() { [ "$(on "$1" uname -r | awk -F. '{ print $1 * 100 + $2 }')" -ge 607 ]; }

# The seconds of the freeze in what vzmigrate --times printed.
frozen() { sed -n 's/ *Total suspended time: *//p' <<<"$1"; }

median() { sort -n | awk '{v[NR] = $1} END {print v[int((NR + 1) / 2)]}'; }
