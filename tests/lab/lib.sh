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
scenario_arguments=("$@")
export VESSEL_LAB=${VESSEL_LAB:-t$$} VESSEL_LAB_OWNER=$$
lab_hosts=()
scratch=$(mktemp -d) # for files of the script; gone when it ends
probes=${VESSEL_BUILD:-$lab_dir/../../build/release/stage}/libexec/vessel-tests
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

# To the errors: what fails may have its output sent elsewhere. In a subshell the parent judges.
trap 'status=$?; [ $BASH_SUBSHELL != 0 ] || say "FAILED: $scenario line $LINENO: $BASH_COMMAND (exit status $status)" >&2' ERR
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

# The template cache is the same on all hosts.
have_template() { on alpha vztmpl list --json | grep -q "\"name\": \"$1\""; }
need_tiny() { have_template tiny || on alpha vztmpl build tiny >/dev/null || fail "vztmpl build tiny"; }

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

# Once: the emulation of a virtual machine fails now and then, and nothing is known of what was to be tested then.
again_after_reset() {
  local resets
  [ "${VESSEL_BED:-lab}" = vm ] && [ -z "${VESSEL_AGAIN-}" ] && resets=$("$bed" resets) && [ -n "$resets" ] || return 0
  say "== the emulation reset ${resets//$'\n'/, } without a word of its kernel: once more"
  lab_down
  VESSEL_AGAIN=1 exec bash "$0" "${scenario_arguments[@]}"
}

lab_finish() {
  local status=$1
  trap - ERR EXIT
  set +e
  rm -rf "$scratch"
  if [ "$status" != 0 ] && [ "$status" != 77 ]; then
    show_logs
    again_after_reset
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

# scaled MS...: in seconds for sleep(1) and timeout(1), longer where hosts are slow.
scaled() {
  local ms
  for ms; do printf '%se-3\n' $((ms * slowness)); done
}

# Debian 13's systemd holds pidfds.
dumps_pidfds() {
  on alpha sh -c 'criu=/var/lib/vessel/criu/criu; [ -x $criu ] || criu=criu; $criu --version' |
    grep -qE '^Version: (4\.[1-9]|[5-9])'
}

now_ms() { echo $((${EPOCHREALTIME/[.,]/} / 1000)); }

is_clean() {
  local left
  left=$(leftovers "$@") && [ -z "$left" ]
}

# assert_clean HOST [--all]: stopped (--all: destroyed) containers left nothing there.
assert_clean() {
  local i
  for ((i = 0; i < 30; i++)); do
    is_clean "$@" && return
    sleep 0.1
  done
  fail "left on $1: $(leftovers "$@")"
}
