#!/bin/bash
# Stock Debian with systemd: boots well, restarts, stops, is suspended and resumed, and is nobody's twin.
. "$(dirname "$0")/../lab/lib.sh"
. "$(dirname "$0")/../lab/ct.sh"

step "up"
lab_up alpha

is_well() { [ "$(inside "$1" systemctl is-system-running)" = running ]; }
assert_well() {
  assert_eq "$(inside "$1" systemctl is-system-running)" running "systemctl is-system-running in $1"
  assert_eq "$(inside "$1" systemctl --failed --no-legend --plain)" "" "systemctl --failed in $1"
}
is_password() { inside "$1" perl -e "'\$h = (getpwnam(\"root\"))[1]; exit(crypt(\"$2\", \$h) ne \$h)'"; }

# MPTCP is what Go's listeners use where the kernel has it.
try_migratable() {
  local id=$1 suite=$2 mptcp='perl -e "socket(S, 2, 1, 262) or exit 3; sleep \$ARGV[0]"'
  step "Debian $suite: what keeps it from being moved running"
  ok migratable "$id"
  assert_contains "$out" "CT $id can be moved running"
  ok exec2 "$id" "$mptcp 0"
  ok exec2 "$id" "systemd-run -q --unit=odd $mptcp 1000"
  eventually 5 inside "$id" 'pidof perl' >/dev/null
  expect 16 migratable "$id"
  assert_contains "$out" "(perl, odd.service) has a socket of protocol MPTCP, which criu cannot dump: stop it"
  expect 16 migratable "$id" --json
  assert_eq "$(python3 -c 'import json, sys
o = json.load(sys.stdin)
print(o["ctid"], o["running"], o["migratable"], [(x["command"], x["unit"]) for x in o["obstacles"]])' <<<"$out")" \
    "$id True False [('perl', 'odd.service')]" "migratable --json"
  expect 16 suspend "$id"
  assert_contains "$err" "odd.service) has a socket of protocol MPTCP"
  ok exec2 "$id" systemctl stop odd
}

try_suspend() {
  local id=$1 suite=$2 address=$3 before said
  step "Debian $suite: suspended and resumed under a connection"
  vz exec "$id" 'cat >/usr/bin/probe-echo; chmod 755 /usr/bin/probe-echo; systemd-run -q --unit=echo /usr/bin/probe-echo 7' <"$probes/probe-echo"
  eventually 10 answers "$address"
  before=$(inside "$id" cut -d. -f1 /proc/uptime)
  said=$(patience=90 on_alpha bash -c '
    exec 3<>/dev/tcp/$1/7 && echo before >&3 && read -r -t 10 line <&3 && [ "$line" = before ] || exit 10
    vzctl suspend $0 || exit 11
    vzctl status $0
    vzctl resume $0 || exit 12
    echo after >&3 && read -r -t 10 line <&3 && [ "$line" = after ] || exit 13' "$id" "$address") ||
    fail "suspend and resume: exit status $?: $said"
  grep -qx "CTID $id exist unmounted down suspended" <<<"$said" || fail "no line says suspended: $said"
  assert_ct "$id" exist mounted running
  ok exec2 "$id" systemctl restart cron
  assert_well "$id"
  [ "$(inside "$id" cut -d. -f1 /proc/uptime)" -ge "$before" ] || fail "its clock went back"
  on_alpha curl -sf -m 10 -o /dev/null "http://$address/" || fail "nginx does not answer"
  assert_eq "$(inside "$id" hostname)" other.example.org
  ok suspend "$id"
  expect 0 start "$id"
  assert_contains "$out" "Dump file /var/lib/vz/dump/Dump.$id exists, trying to restore from it"
  ok exec2 "$id" systemctl restart cron
}

try_suite() {
  local suite=$1 id=1$1 twin=2$1 address=10.77.0.1$1 template=test-debian-$1 first
  step "Debian $suite: boots"
  ok create "$id" --ostemplate "$template" --hostname "deb$suite.example.org" --nameserver 192.0.2.53 \
    --searchdomain example.org --ipadd "$address" --config vswap-512m
  ok set "$id" --userpasswd root:stopped
  ok start "$id" --wait
  assert_contains "$out" "Container started successfully"
  assert_well "$id"
  assert_eq "$(inside "$id" cat /proc/1/comm)" systemd
  assert_contains "$(inside "$id" cat /etc/os-release)" "VERSION_ID=\"$suite\""
  assert_eq "$(inside "$id" systemctl is-active ssh cron nginx dbus systemd-logind | sort -u)" active "services"
  assert_eq "$(inside "$id" systemd-detect-virt --container)" container-other
  [ -n "$(inside "$id" 'echo $BASH_VERSION')" ] || fail "exec uses another shell than bash"

  step "Debian $suite: a shell whose input ends, ends"
  expect 0 enter "$id" </dev/null
  status=0
  out=$(echo 'echo $((6 * 7))' | on_alpha vzctl enter "$id") || status=$?
  assert_eq "$status" 0 "exit status of a shell at the end of its input"
  assert_contains "$out" 42

  step "Debian $suite: names and passwords"
  assert_eq "$(inside "$id" hostname)" "deb$suite.example.org"
  assert_eq "$(inside "$id" hostname -f)" "deb$suite.example.org"
  assert_eq "$(inside "$id" cat /etc/resolv.conf)" $'search example.org\nnameserver 192.0.2.53' resolv.conf
  is_password "$id" stopped || fail "the password given while it was stopped is not root's"
  ok set "$id" --userpasswd root:running --hostname other.example.org --nameserver 192.0.2.54 --save
  is_password "$id" running || fail "the password given while it runs is not root's"
  expect 74 set "$id" --userpasswd nobody-there:x
  assert_eq "$(inside "$id" hostname)" other.example.org
  ok set "$id" --searchdomain live.example.org --save
  assert_eq "$(inside "$id" cat /etc/resolv.conf)" $'search live.example.org\nnameserver 192.0.2.54' resolv.conf
  on_alpha sh -c "! grep -rE 'stopped|userpasswd' /etc/vz/conf/$id.conf" || fail "a password is stored"
  on_alpha sh -c "! grep -E 'root:(stopped|running)' /var/log/vzctl.log" || fail "a password is in the log"

  step "Debian $suite: reboot and poweroff inside"
  ok exec2 "$id" touch /run/mark
  first=$(init_of "$id")
  vz exec "$id" systemctl reboot >/dev/null 2>&1 || true
  eventually 30 is_other_init "$id" "$first"
  eventually 30 is_well "$id"
  expect 1 exec2 "$id" test -e /run/mark
  assert_well "$id"
  vz exec "$id" systemctl poweroff >/dev/null 2>&1 || true
  eventually 30 is_status "$id" exist unmounted down
  assert_clean alpha

  ok start "$id" --wait
  if [ "$suite" = 13 ] && ! dumps_pidfds; then
    step "Debian $suite: the host's criu is too old to suspend it"
    expect 16 suspend "$id"
    assert_contains "$err" "holds a pidfd, which criu"
    assert_well "$id"
  else
    try_migratable "$id" "$suite"
    try_suspend "$id" "$suite" "$address"
  fi

  step "Debian $suite: a second one is no twin"
  ok create "$twin" --ostemplate "$template" --config vswap-512m
  ok start "$twin" --wait
  assert_well "$twin"
  for file in /etc/machine-id /etc/ssh/ssh_host_ed25519_key.pub /etc/ssh/ssh_host_ed25519_key; do
    first=$(inside "$id" cat "$file")
    [ -n "$first" ] && [ "$first" != "$(inside "$twin" cat "$file")" ] || fail "$file is empty or the same in two containers"
  done
  first=$(inside "$twin" cat /etc/machine-id)
  expect 0 restart "$twin" --wait
  assert_absent "$out" "Killing container"
  assert_eq "$(inside "$twin" cat /etc/machine-id)" "$first" "machine-id after a restart"

  step "Debian $suite: stops and goes"
  expect 0 stop "$id"
  assert_absent "$out" "Killing container"
  ok stop "$twin"
  assert_clean alpha
  ok destroy "$id"
  ok destroy "$twin"
  assert_clean alpha --all
}

is_other_init() {
  local now
  now=$(init_of "$1" 2>/dev/null) && [ -n "$now" ] && [ "$now" != "$2" ]
}
answers() { on_alpha bash -c "exec 3<>/dev/tcp/$1/7" 2>/dev/null; }

tried=0
for suite in 12 13; do
  if ! have_template "test-debian-$suite"; then
    say "no template test-debian-$suite (scripts/lib/templates builds it from the package mirror)"
    continue
  fi
  tried=$((tried + 1))
  try_suite "$suite"
done
[ "$tried" = 2 ] || skip "$((2 - tried)) of 2 Debian templates are missing"
