#!/bin/bash
# What a client sends while a guest stands still is there when it goes on: nobody waits for a retransmission timer, whose
# shortest time is 200 ms. A bridged link and routed addresses.
. "$(dirname "$0")/lib.sh"
. "$(dirname "$0")/moves.sh"
lab_up alpha beta client
need_tiny
moves=5
margin_ms=60 # beyond the freeze: announcing, passing on, and the machine's other work

on alpha vzctl --quiet create 101 --ostemplate tiny --diskspace 64M --netif_add eth0,,,,br0 --ipadd 10.77.0.50
on alpha vzctl --quiet start 101 --wait
on alpha vzctl exec 101 'ip address add 10.77.0.51/24 dev eth0; ip -6 address add fd77::51/64 dev eth0'
start_echo alpha 101

from=alpha to=beta
for address in 10.77.0.51 10.77.0.50 fd77::51; do
  step "$address: $moves moves, each message answered when the freeze is over"
  : > "$scratch/beyond"
  for ((i = 0; i < moves; i++)); do
    talk $address
    frozen_ms=$(frozen "$(on $from vzmigrate --online --times $to 101)" | awk '{ print int($1 * 1000) }')
    worst=$(hang_up)
    say "frozen $frozen_ms ms, worst round trip $worst ms"
    echo $((worst - frozen_ms)) >> "$scratch/beyond"
    read -r from to <<< "$to $from"
  done
  beyond=$(median < "$scratch/beyond")
  [ "$beyond" -lt $margin_ms ] || fail "the client waited for $beyond ms longer than the guest stood still"
done

step "a bridge listens no longer, and a failed move gives what came to the guest here"
for host in alpha beta; do
  assert_contains "$(on $host ip -d link show br0)" "promiscuity 0" "br0 of $host"
done
talk 10.77.0.51
on $from sh -c 'echo sent pause > /run/vz/fault'
on $from vzmigrate --online --max-freeze 100 $to 101 > /dev/null 2>&1 &
eventually 20 on $from test -e /run/vz/fault.reached
on $from rm /run/vz/fault /run/vz/fault.reached
wait $! && fail "moved within 100 ms"
say "worst round trip of a move that was given up: $(hang_up) ms"
assert_eq "$(on $from vzctl status 101)" "CTID 101 exist mounted running"
assert_contains "$(on $from ip -d link show br0)" "promiscuity 0" "br0 of $from"
assert_clean $to --all
