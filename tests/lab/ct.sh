# shellcheck shell=bash
# Sourced after lib.sh by scripts whose containers are on the lab host alpha. Every command there is bounded.
patience=$((60 * slowness))
on_alpha() { on alpha timeout -k 5 "$patience" "$@"; }
vz() { on_alpha vzctl "$@"; }

# expect STATUS VZCTL-ARGUMENT...: its output is then in $out, its errors in $err.
err_file=$scratch/err
expect() {
  local wanted=$1 status=0
  shift
  out=$(vz "$@" 2>"$err_file") || status=$?
  err=$(<"$err_file")
  [ "$status" = "$wanted" ] || fail "exit status $status, wanted $wanted: vzctl $*: $out $err"
}
# ok VZCTL-ARGUMENT...: succeeds; whatever it says is of no interest.
ok() { expect 0 "$@"; }

# inside CTID COMMAND...: in the container, quiet about why it fails.
inside() { vz exec2 "$@"; }
# refused CTID WHAT COMMAND...: fails in the container, and not because the command does not exist or hangs.
refused() {
  local ctid=$1 what=$2 status=0
  shift 2
  out=$(vz exec2 "$ctid" "$@" 2>&1) || status=$?
  case $status in
    0) fail "$what is allowed: $out" ;;
    124 | 126 | 127 | 137) fail "$what could not be tried (exit status $status): $out" ;;
  esac
}

# break_off TIMEOUT-ARGUMENT...: a command under timeout(1), counted when the signal came before its end; with
# --preserve-status, when the signal also kept it from success.
broken_off=0
break_off() { on_alpha timeout "$@" >/dev/null 2>&1 || broken_off=$((broken_off + 1)); }
# assert_broken_off WHAT: at least one since the last time.
assert_broken_off() {
  [ "$broken_off" -gt 0 ] || fail "no $1 was broken off"
  broken_off=0
}

is_status() { [ "$(vz status "$1")" = "CTID $*" ]; }
assert_ct() { assert_eq "$(vz status "$1")" "CTID $*" "vzctl status $1"; }
# The PID on alpha of the container's init.
init_of() { on_alpha sed -n 's/^INIT="\(.*\)"$/\1/p' "/run/vz/$1/state" </dev/null; } # leaves input to its caller

# knob CTID FILE [V2-FILE]: what the kernel has for the container, in cgroup v1 or v2.
knob() {
  local v1=/sys/fs/cgroup/${2%%.*}/vz/$1/$2 v2=vz/$1/${3-$2}
  on_alpha sh -c 'for file; do [ ! -e "$file" ] || exec cat "$file"; done; echo "no such knob: $*" >&2; exit 1' \
    knob "$v1" "/sys/fs/cgroup/$v2" "/sys/fs/cgroup/unified/$v2"
}
