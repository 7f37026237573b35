# shellcheck shell=bash
# Sourced by the beds, tests/lab/lab and tests/vm/vm: what the hosts of both are called, where they are, and which processes
# are theirs.

lab_cache=${VESSEL_CACHE:-/var/tmp/vessel-cache}
lab_stage=${VESSEL_BUILD:-$top/build/release/stage}
declare -A number=([alpha]=1 [beta]=2 [gamma]=3 [delta]=4 [client]=100)

# use_lab NAME: everything of it is in $lab_state.
use_lab() {
  [[ $1 =~ ^[a-z0-9][a-z0-9-]{0,15}$ ]] && [ "$1" != cache ] || die "VESSEL_LAB: '$1' is no name for a lab"
  lab=$1
  lab_state=/var/tmp/vessel-$lab
}

mac_of() { printf '02:00:77:00:00:%02x' "${number[$1]}"; }

# What ip -batch makes of a host with a bare eth0.
network_of() {
  cat <<END
link set lo up
link add br0 type bridge forward_delay 0 mcast_snooping 0
link set br0 address $(mac_of "$1")
link set eth0 master br0 up
link set br0 up
address add 10.77.0.${number[$1]}/24 dev br0
address add fd77::${number[$1]}/64 dev br0 nodad
END
}

# ---- processes: "PID START-TIME BOOT-ID" names one for ever --------------------------------------------------------

boot_id=$(</proc/sys/kernel/random/boot_id)

start_time() {
  local stat
  { read -r stat <"/proc/$1/stat"; } 2>/dev/null || return 1
  read -r -a stat <<<"${stat##*) }"
  [ "${stat[0]}" != Z ] && echo "${stat[19]}"
}

remember_process() { echo "$1 $(start_time "$1") $boot_id" >"$2"; }

# The PID remembered in FILE if that process lives.
live_pid() {
  local pid start boot
  { read -r pid start boot <"$1"; } 2>/dev/null || return 1
  [ "$boot" = "$boot_id" ] && [ "$(start_time "$pid")" = "$start" ] && echo "$pid"
}

wait_for() {
  local what=$1 i
  shift
  for ((i = 0; i < 500; i++)); do
    "$@" && return
    sleep 0.01
  done
  die "$what did not happen within 5 s"
}

# in_switch COMMAND...: in the network that joins the hosts.
in_switch() {
  local pid
  pid=$(live_pid "$lab_state/switch") || die "the switch of lab '$lab' is gone"
  nsenter --net="/proc/$pid/ns/net" "$@"
}
