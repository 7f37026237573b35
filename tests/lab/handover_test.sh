#!/bin/bash
# Exactly one: a live move is broken at every one of its steps ("vzmigrate steps") by every fault below. After each,
# one host and only one runs the container, with its memory and files as they were, nothing is left on the other, and the
# next move works.
#
#   handover_test.sh [STEP [FAULT]]     only these; VESSEL_FAULTS="...": only these faults; VESSEL_TABLE=FILE: the results as a table
. "$(dirname "$0")/lib.sh"
. "$(dirname "$0")/moves.sh"
lab_up alpha beta client
address=10.77.0.50
only_step=${1-} only_fault=${2-}
read -ra faults <<<"${VESSEL_FAULTS:-here source destination criu-source criu-destination ssh cut}"
source=alpha destination=beta

step "a tiny guest that counts in memory and on its disk"
on alpha test -e /var/lib/vz/template/cache/tiny.tar.zst || on alpha vztmpl build tiny
make_guest alpha 101 tiny $address
on alpha vzctl exec 101 'cat > /root/counter; setsid sh /root/counter > /dev/null 2>&1 < /dev/null &' <<'END'
n=0
while :; do n=$((n + 1)); echo $n > /root/count.new; mv /root/count.new /root/count; sleep 0.05; done
END

# kill_like HOST REGEX: whatever has such a command line; false when nothing has.
kill_like() {
  on "$1" sh -c 'exec 2> /dev/null; found=1; for p in /proc/[0-9]*; do tr "\\0" " " < $p/cmdline | grep -qE "$1" && kill -9 ${p#/proc/} && found=0; done; exit $found' kill "$2"
}
# The process that carries the move out there, by its record.
kill_mover() {
  on "$1" sh -c 'exec 2> /dev/null; pid=$(sed -n "s/^PROCESS=\"\(.*\)\"/\1/p" /var/lib/vz/moves/101.*) && kill -9 $pid'
}
link_cut() {
  on "$source" nft add table inet cut
  for hook in input output; do
    on "$source" nft "add chain inet cut $hook { type filter hook $hook priority 0; policy accept; }"
    on "$source" nft "add rule inet cut $hook tcp sport 22 drop; add rule inet cut $hook tcp dport 22 drop"
  done
}
link_heal() { on "$source" nft delete table inet cut; }

# Exit status 1: there is nothing at this step that could fail so.
apply() {
  case $1 in
    source) kill_mover $source ;;
    destination) kill_mover $destination ;;
    criu-source) kill_like $source 'criu (dump|restore) ' ;;
    criu-destination) kill_like $destination 'criu (dump|restore) ' ;;
    ssh) kill_like $source '^ssh -o' ;;
    cut) link_cut ;;
  esac
}

reached() { on "$1" test -e /run/vz/fault.reached; }
ended() { ! kill -0 "$mover" 2>/dev/null; }
answers() { on client ping -c 1 -W 1 $address > /dev/null 2>&1; }
states() { on $source vzctl status 101; on $destination vzctl status 101; }
is_settled() {
  local both
  both=$(states)
  [[ $both != *moving* && $both != *in-doubt* && $both != *broken-off* ]] && [ "$(grep -c running <<<"$both")" = 1 ]
}
count() { on "$1" vzctl exec 101 cat /root/count; }

# one STEP SIDE FAULT: the result is in $result.
one() {
  local name=$1 side=$2 fault=$3 before began host swap served=
  host=${!side}
  before=$(count $source)
  on "$host" sh -c "mkdir -p /run/vz; echo $name $([ $fault = here ] && echo kill || echo pause) > /run/vz/fault"
  on $source vzmigrate --online $destination 101 > "$scratch/move" 2>&1 &
  mover=$!
  result=
  eventually 20 reached "$host"
  [ "$fault" = here ] || apply "$fault" || result=-
  on "$host" rm -f /run/vz/fault /run/vz/fault.reached
  began=$(now_ms)
  # A link comes back after 15 s, or when the mover has ended: it may be that nobody can serve before.
  if [ "$fault" = cut ]; then
    until ended || [ $(($(now_ms) - began)) -gt 15000 ]; do
      [ -n "$served" ] || ! answers || served=$(($(now_ms) - began))
    done
    link_heal
  fi
  eventually 30 answers
  [ -n "$served" ] || served=$(($(now_ms) - began))
  eventually 60 ended
  wait $mover || true
  eventually 60 is_settled
  if [[ $(on $destination vzctl status 101) = *running* ]]; then
    swap=$source source=$destination destination=$swap
    [ -n "$result" ] || result="there, $served ms"
  else
    [ -n "$result" ] || result="here, $served ms"
  fi
  local first second
  first=$(count $source)
  sleep 0.15
  second=$(count $source)
  [ "$first" -ge "$before" ] && [ "$second" -gt "$first" ] || fail "it does not go on as it was: $before, $first, $second"
  eventually 40 is_clean $destination --all
  assert_eq "$(on $source ls /var/lib/vz/moves)" "" "records on the host that has it"
  assert_eq "$(on $source sh -c 'ls /run/vz; ls -d /etc/vz/conf/*.migrating 2>/dev/null')" 101 "run files there"
}

table=${VESSEL_TABLE:-$scratch/table}
{ echo "| step | on | $(printf '%s | ' "${faults[@]}")" && echo "|---|---|$(printf -- '---|%.0s' "${faults[@]}")"; } > "$table"
while read -r side name what; do
  [ -z "$only_step" ] || [ "$only_step" = "$name" ] || continue
  step "$name ($side): $what"
  row="| $name | $side |"
  for fault in "${faults[@]}"; do
    [ -z "$only_fault" ] || [ "$only_fault" = "$fault" ] || continue
    one "$name" "$side" "$fault" < /dev/null || { cat "$scratch/move"; fail "at $name by $fault"; }
    say "   $fault: $result"
    row+=" $result |"
  done
  echo "$row" >> "$table"
done < <(on alpha vzmigrate steps)

step "and then it moves as ever"
on $source vzmigrate --online $destination 101 > /dev/null
on $destination vzctl --quiet stop 101 --fast
on $destination vzctl --quiet destroy 101
assert_clean alpha --all
assert_clean beta --all
[ -n "${VESSEL_TABLE-}" ] || cat "$table"
