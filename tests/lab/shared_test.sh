#!/bin/bash
# Memory that processes share goes ahead: the freeze sends what differs, and it is whole.
. "$(dirname "$0")/lib.sh"
. "$(dirname "$0")/moves.sh"
address=10.77.0.50 mib=${VESSEL_MIB:-256}
[ "$slowness" = 1 ] || mib=48

lab_up alpha beta client

inside() { on "$1" vzctl exec2 101 "$2"; }
checked() { inside "$1" 'test ! -e /root/shared || cut -d" " -f1 /root/shared'; }
checked_again() { [[ $(checked "$1") -gt $2 ]]; }
assert_shared_right() {
  eventually 60 checked_again "$1" $(($(checked "$1") + 1))
  assert_eq "$(inside "$1" 'cut -d" " -f2 /root/shared')" 0 "wrong numbers in its memory"
}
# images SAID: seconds that the images took in the freeze, of which shared memory was the most.
images() { sed -n 's/ *Copy dump file: *\([0-9.]*\).*/\1/p' <<< "$1"; }
sent() { on "$1" cat /sys/class/net/eth0/statistics/tx_bytes; }

step "a guest with two programs that share $mib MiB"
need_tiny alpha
make_guest alpha 101 tiny $address --ram $((mib + 128))M
inside alpha 'cat > /usr/bin/probe-shared; chmod 755 /usr/bin/probe-shared' < "$probes/probe-shared"
inside alpha "setsid probe-shared $mib /root/shared > /dev/null 2>&1 < /dev/null &"
eventually 60 checked_again alpha 0

step "moved there and back over a link on which it takes $((mib * 8 / 400)) s at the least: the freeze does not wait for that"
for host in alpha beta; do on $host tc qdisc add dev eth0 root tbf rate 400mbit burst 1m latency 100ms; done
for hosts in "alpha beta" "beta alpha"; do
  read -r from to <<< "$hosts"
  before=$(sent "$from")
  out=$(on "$from" vzmigrate --online --precopy 0 --times "$to" 101)
  over=$(((8 * ($(sent "$from") - before)) >> 20))
  assert_shared_right "$to"
  assert_clean "$from" --all
  say "frozen for $(frozen "$out") s, $(images "$out") of it for images; $over Mbit over the link"
  [ "$slowness" != 1 ] || awk "BEGIN { exit !($(images "$out") < $mib * 8 / 400 / 2) }" || fail "the freeze waited for the link: $out"
done
for host in alpha beta; do on $host tc qdisc del dev eth0 root; done

step "and where memory goes in rounds, or follows"
if [ -e /proc/sys/vm/unprivileged_userfaultfd ] && tracks_writes alpha; then
  allow_pages alpha beta
  on alpha vzmigrate --online --precopy 2 beta 101 > /dev/null
  assert_shared_right beta
  on beta vzmigrate --lazy alpha 101 > /dev/null
  assert_shared_right alpha
  put_settings 0 16384
fi

step "a killed receiver leaves it here, and nothing there"
on beta sh -c "mkdir -p /run/vz; echo restored kill > /run/vz/fault"
on alpha vzmigrate --online --precopy 0 beta 101 > "$scratch/move" 2>&1 && fail "moved"
on beta rm -f /run/vz/fault /run/vz/fault.reached
eventually 30 is_clean beta --all
assert_shared_right alpha
