# shellcheck shell=bash
# Sourced by scenario scripts, tests/system/*.sh, tests/lab/*_test.sh and tests/vm/*_test.sh: a bed for the script alone, which
# is gone when the script ends, and assertions.
#
#   . "$(dirname "$0")/../lab/lib.sh"
#   lab_up alpha beta client        hosts, see "scripts/lab help"
#   on alpha vzctl start 101        runs there; output and exit status as here
#   assert_clean alpha
#
# Environment: VESSEL_BED=lab (the default) or vm: what the hosts are; VESSEL_MUST_RUN=1 a skip is a failure; VESSEL_KEEP=1 the bed
# stays up after a failure, for a look inside.
set -Eeuo pipefail

lab_dir=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
scenario=$(basename "$0" .sh)
export VESSEL_LAB=${VESSEL_LAB:-t$$} VESSEL_LAB_OWNER=$$
lab_hosts=()
# $slowness: how much longer things may take than on this machine itself.
case ${VESSEL_BED:-lab} in
  lab) bed=$lab_dir/lab slowness=1 ;;
  vm) bed=$lab_dir/../vm/vm slowness=10 ;;
  *) echo "VESSEL_BED: '$VESSEL_BED' is neither lab nor vm" && exit 2 ;;
esac

say() { printf '%s\n' "$*"; }
step() { printf -- '-- %s\n' "$*"; }

fail() {
  say "FAILED: $*"
  trap - ERR
  exit 1
}

# The host lacks something: say what.
skip() {
  [ -z "${VESSEL_MUST_RUN-}" ] || fail "must run, but cannot: $*"
  say "skipped: $*"
  exit 77
}

need() {
  local program
  for program in "$@"; do
    [ -n "$(command -v "$program")" ] || skip "there is no program '$program'"
  done
}

trap 'say "FAILED: $scenario line $LINENO: $BASH_COMMAND (exit status $?)"' ERR
trap 'lab_finish $?' EXIT

lab_up() {
  [ "$(id -u)" = 0 ] || skip "not root"
  grep -qw overlay /proc/filesystems || skip "this kernel has no overlay file system"
  need unshare nsenter setpriv ip sshd losetup
  "$bed" sweep
  "$bed" up --hosts "$(IFS=, && echo "$*")" || {
    [ $? != 77 ] || skip "see above"
    fail "the bed does not come up"
  }
  lab_hosts=("${@%%:*}")
}

lab_down() {
  lab_hosts=()
  "$bed" down
}

on() {
  local host=$1
  shift
  "$bed" run "$host" -- "$@"
}

# leftovers HOST [--all]
leftovers() { on "$1" bash -s -- ${2-} <"$lab_dir/leftovers"; }

show_logs() {
  local host
  for host in "${lab_hosts[@]}"; do
    say "== logs of $host"
    on "$host" sh -c 'tail -n 40 /var/log/vzctl.log /var/log/vzmigrate.log 2>/dev/null' || true
    leftovers "$host" || true
  done
}

lab_finish() {
  local status=$1
  trap - ERR EXIT
  set +e
  if [ "$status" != 0 ] && [ "$status" != 77 ]; then
    show_logs
    if [ -n "${VESSEL_KEEP-}" ]; then
      say "bed '$VESSEL_LAB' stays up: VESSEL_LAB=$VESSEL_LAB scripts/$(basename "$bed") shell HOST, then: down"
      exit "$status"
    fi
  fi
  [ "$(id -u)" != 0 ] || lab_down || status=1
  exit "$status"
}

# ---- assertions --------------------------------------------------------------------------------------------------------

assert_eq() { [ "$1" = "$2" ] || fail "${3-value}: '$1', wanted '$2'"; }
assert_contains() { [[ $1 = *"$2"* ]] || fail "${3-text} lacks '$2': $1"; }
assert_absent() { [[ $1 != *"$2"* ]] || fail "${3-text} has '$2': $1"; }

# assert_status N COMMAND...
assert_status() {
  local wanted=$1 status=0
  shift
  "$@" || status=$?
  [ "$status" = "$wanted" ] || fail "exit status $status, wanted $wanted: $*"
}

# eventually SECONDS COMMAND...: until it succeeds.
eventually() {
  local seconds=$(($1 * slowness)) end=$((SECONDS + $1 * slowness + 1))
  shift
  until "$@"; do
    [ "$SECONDS" -lt "$end" ] || fail "not within $seconds s: $*"
    sleep 0.1
  done
}

now_ms() { echo $((${EPOCHREALTIME/[.,]/} / 1000)); }

is_clean() { [ -z "$(leftovers "$@")" ]; }

# assert_clean HOST [--all]: stopped (--all: destroyed) containers left nothing there.
assert_clean() {
  local i
  for ((i = 0; i < 30; i++)); do
    is_clean "$@" && return
    sleep 0.1
  done
  fail "left on $1: $(leftovers "$@")"
}
