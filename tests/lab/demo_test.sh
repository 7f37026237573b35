#!/bin/bash
# The first thing that the README tells people to run, as they do. Where everything is set up and built it takes half a minute.
. "$(dirname "$0")/lib.sh"
[ "$(id -u)" = 0 ] || skip "not root"
grep -qw overlay /proc/filesystems || skip "this kernel has no overlay file system"
top=$lab_dir/../..

step "the demo"
start=$(now_ms)
"$top/scripts/demo" </dev/null >"$scratch/out" 2>&1 || { cat "$scratch/out" && fail "scripts/demo"; }
say "$((($(now_ms) - start) / 1000)) s"
assert_contains "$(<"$scratch/out")" "vzmigrate --online" "what it shows"
worst=$(sed -n 's/.*worst[^0-9]*\([0-9]*\) ms.*/\1/p' "$scratch/out" | tail -n 1)
[ "${worst:-0}" -gt 0 ] || fail "no worst round trip is told"
[ ! -e /var/tmp/vessel-demo ] || fail "the demo's lab is left"
