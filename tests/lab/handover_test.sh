#!/bin/bash
# Exactly one: a live move is broken at every one of its steps ("vzmigrate steps") by every fault below. After each,
# one host and only one runs the container, with its memory and files as they were, nothing is left on the other, and the
# next move works.
#
#   handover_test.sh [STEP [FAULT]]     only these; VESSEL_STEPS="...", VESSEL_FAULTS="...": several; VESSEL_TABLE=FILE: the
#                                       results as a table; VESSEL_HOW="...": options of the move in place of --online
#
# The faults are told in docs/handover.md.
. "$(dirname "$0")/lib.sh"
. "$(dirname "$0")/moves.sh"
lab_up alpha beta client
address=10.77.0.50
only_steps=${1-${VESSEL_STEPS-}} only_fault=${2-}
read -ra faults <<<"${VESSEL_FAULTS:-here source destination criu-source criu-destination ssh cut cut-out cut-in slow lossy disk-source disk-destination}"
read -ra how <<<"${VESSEL_HOW:---online}"
[ -z "${VESSEL_HOW-}" ] || allow_pages alpha beta
source=alpha destination=beta

# Disks that can be filled: one for what the host notes (records, locks, configurations), one for private areas.
small_disks() {
  on "$1" sh -ec '
    mkdir -p /mnt/notes /mnt/areas
    mount -t tmpfs -o size=1M small-disk /mnt/notes
    mount -t tmpfs -o size=200M small-disk /mnt/areas
    mkdir /mnt/notes/moves /mnt/notes/lock /mnt/areas/private
    cp -a /etc/vz /mnt/notes/etc
    mkdir -p /var/lib/vz/moves /var/lib/vz/lock /var/lib/vz/private
    mount --bind /mnt/notes/moves /var/lib/vz/moves
    mount --bind /mnt/notes/lock /var/lib/vz/lock
    mount --bind /mnt/areas/private /var/lib/vz/private
    mount --bind /mnt/notes/etc /etc/vz'
}
if [[ ${faults[*]} = *disk* ]]; then
  small_disks alpha
  small_disks beta
fi

if [[ ${faults[*]} = *power* ]]; then
  [ "${VESSEL_BED:-lab}" = vm ] || skip "power fails in the VM bed only"
  # At boot moves are brought to their end, and the guest is started.
  for h in alpha beta; do on $h systemctl --quiet enable --now vz.service; done
fi

count_in_guest() { on "$1" vzctl exec 101 'setsid sh /root/counter > /dev/null 2>&1 < /dev/null &'; }

step "a tiny guest that counts in memory and on its disk"
need_tiny alpha
make_guest alpha 101 tiny $address --onboot yes
on alpha vzctl exec 101 'cat > /root/counter; sync' <<'END'
n=0
while :; do n=$((n + 1)); echo $n > /root/count.new; mv /root/count.new /root/count; sleep 0.05; done
END
count_in_guest alpha
[ -z "${VESSEL_MIB-}" ] || start_memory_probe alpha 101 "$VESSEL_MIB"

# kill_like HOST REGEX: whatever has such a command line; false when nothing has.
kill_like() {
  on "$1" sh -c 'exec 2> /dev/null; found=1; for p in /proc/[0-9]*; do tr "\\0" " " < $p/cmdline | grep -qE "$1" && kill -9 ${p#/proc/} && found=0; done; exit $found' kill "$2"
}
# The process that carries the move out there, by its record.
kill_mover() {
  on "$1" sh -c 'exec 2> /dev/null; pid=$(sed -n "s/^PROCESS=\"\(.*\)\"/\1/p" /var/lib/vz/moves/101.*) && kill -9 $pid'
}
# drop_packets WHICH HOOK...: of ssh between the hosts.
drop_packets() {
  local which=$1 hook
  shift
  on "$source" nft add table inet cut
  for hook; do
    on "$source" nft "add chain inet cut $hook { type filter hook $hook priority 0; policy accept; }"
    on "$source" nft "add rule inet cut $hook tcp sport 22 $which drop; add rule inet cut $hook tcp dport 22 $which drop"
  done
}
# fill_disk HOST DISK: to the last block.
fill_disk() { on "$1" sh -c '! cat /dev/zero > /mnt/$1/ballast 2> /dev/null' sh "$2"; }

# The guest is there from "synced" on, and the disk that it lives on is not for us to fill.
needs_room() { on alpha vzmigrate steps | sed '/ synced /,$d' | grep -q " $1 "; }

heal() {
  case $1 in
    cut* | lossy) on "$source" nft delete table inet cut ;;
    slow) on "$source" tc qdisc del dev eth0 root ;;
    disk*) for h in alpha beta; do on $h rm -f /mnt/notes/ballast /mnt/areas/ballast; done ;;
  esac
}

# apply FAULT STEP. Exit status 1: there is nothing at this step that could fail so.
apply() {
  case $1 in
    source) kill_mover $source ;;
    destination) kill_mover $destination ;;
    criu-source) kill_like $source 'criu (dump|restore) ' ;;
    criu-destination) kill_like $destination 'criu (dump|restore) ' ;;
    ssh) kill_like $source '^ssh -o' ;;
    page-path) kill_like $destination '^vzmigrate pages' ;;
    cut) drop_packets "" input output ;;
    cut-out) drop_packets "" output ;;
    cut-in) drop_packets "" input ;;
    lossy) drop_packets "numgen random mod 10 == 0" input output ;;
    slow) on "$source" tc qdisc add dev eth0 root tbf rate 8mbit burst 32k latency 400ms ;;
    power-*) for h in $lost; do "$bed" cut "$h"; done ;;
    disk-source) fill_disk "$source" notes ;;
    disk-destination) fill_disk "$destination" notes && { ! needs_room "$2" || fill_disk "$destination" areas; } ;;
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
goes_on() {
  local first second
  first=$(count $source)
  sleep 0.15
  second=$(count $source)
  [ "$first" -ge "$1" ] && [ "$second" -gt "$first" ] || fail "it does not go on as it was: $1, $first, $second"
}

note_service() { [ -n "$served" ] || ! answers || served=$(($(now_ms) - began)); } # the first time it answers
has_lost() { [[ " $lost " = *" $1 "* ]]; } # its power

# one STEP SIDE FAULT: the result is in $result.
one() {
  local name=$1 side=$2 fault=$3 before began host swap served= lost=
  host=${!side}
  before=$(count $source)
  on "$host" sh -c "mkdir -p /run/vz; echo $name $([ $fault = here ] && echo kill || echo pause) > /run/vz/fault"
  on $source vzmigrate "${how[@]}" $destination 101 > "$scratch/move" 2>&1 &
  mover=$!
  result=
  eventually 20 reached "$host"
  case $fault in
    power-both) lost="$source $destination" ;;
    power-*) lost=${fault#power-} lost=${!lost} ;;
  esac
  [ "$fault" = here ] || apply "$fault" "$name" || result=-
  has_lost "$host" || on "$host" rm -f /run/vz/fault /run/vz/fault.reached
  began=$(now_ms)
  for h in $lost; do "$bed" boot "$h"; done &
  while [ -n "$lost" ] && kill -0 $! 2>/dev/null; do note_service; done
  # A link comes back after 15 s, or when the mover has ended: it may be that nobody can serve before.
  if [[ $fault = cut* ]]; then
    until ended || [ $(($(now_ms) - began)) -gt 15000 ]; do note_service; done
    heal "$fault"
  fi
  eventually 30 answers
  note_service
  eventually 60 ended
  wait $mover || true
  eventually 60 is_settled
  [[ $fault = cut* ]] || heal "$fault"
  if [[ $(on $destination vzctl status 101) = *running* ]]; then
    swap=$source source=$destination destination=$swap
    [ -n "$result" ] || result="there, $served ms"
  else
    [ -n "$result" ] || result="here, $served ms"
  fi
  if has_lost "$source"; then
    result+=", booted"
    assert_contains "$(on $source vzctl exec 101 cat /root/counter)" "while :" "what it had synced"
    count_in_guest $source
  else
    goes_on "$before"
    [ -z "${VESSEL_MIB-}" ] || assert_right $source 101
  fi
  eventually 40 is_clean $destination --all
  assert_eq "$(on $source ls /var/lib/vz/moves)" "" "records on the host that has it"
  assert_eq "$(on $source sh -c 'ls /run/vz; ls -d /etc/vz/conf/*.migrating 2>/dev/null')" 101 "run files there"
}

table=${VESSEL_TABLE:-$scratch/table}
{ echo "| step | on | $(printf '%s | ' "${faults[@]}")" && echo "|---|---|$(printf -- '---|%.0s' "${faults[@]}")"; } > "$table"
while read -r side name what; do
  [ -z "$only_steps" ] || [[ " $only_steps " = *" $name "* ]] || continue
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
on $source vzmigrate "${how[@]}" $destination 101 > /dev/null
on $destination vzctl --quiet stop 101 --fast
on $destination vzctl --quiet destroy 101
assert_clean alpha --all
assert_clean beta --all
[ -n "${VESSEL_TABLE-}" ] || cat "$table"
