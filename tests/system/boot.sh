#!/bin/bash
# vz-boot: what starts at boot and in which order, how containers end at shutdown, and that no container and nobody who holds
# one keeps the others from it.
. "$(dirname "$0")/../lab/lib.sh"
. "$(dirname "$0")/../lab/ct.sh"

step "up"
need python3
lab_up alpha
need_tiny

# boot STATUS WORD...: vz-boot; what it says is then in $out, with its errors.
boot_program='"$(dirname "$(command -v vzctl)")/../libexec/vessel/vz-boot"'
vz_boot() { on_alpha sh -c "exec $boot_program \"\$@\"" vz-boot "$@"; }
boot() {
  local wanted=$1 status=0
  shift
  out=$(vz_boot "$@" 2>&1) || status=$?
  [ "$status" = "$wanted" ] || fail "exit status $status, wanted $wanted: vz-boot $*: $out"
}
lines() { printf '%s\n' "$@"; }
running() { on_alpha vzlist -H -o ctid 2>/dev/null | xargs; }
marks() { on_alpha ls -A /var/lib/vz/reboot 2>/dev/null | xargs; }
conf() { on_alpha sed -i "/^${1%%=*}=/d; \$a $1" /etc/vz/vz.conf; }
# The order in which vzctl began to work, from the log.
begun() { on_alpha sh -c "sed -n 's/.* vzctl : CT \([0-9]*\) : $1.*/\1/p' /var/log/vzctl.log; : >/var/log/vzctl.log" | xargs; }
all_stop() {
  for ctid in $(running); do ok stop "$ctid" --fast; done
  on_alpha rm -rf /var/lib/vz/reboot
}

for ctid in 101 102 103 104 105; do ok create "$ctid" --ostemplate tiny --diskspace 32M --ram 32M; done
ok set 101 --onboot yes --save
ok set 102 --onboot yes --bootorder 5 --save
ok set 103 --onboot yes --bootorder 10 --save
ok set 104 --onboot no --save
assert_eq "$(on_alpha vzlist -aH -o ctid,onboot,bootorder,autostop 103 | xargs)" "103 yes 10 -"

step "the command line"
boot 20
boot 20 nonsense
boot 20 stop --within soon
assert_eq "$out" "Error: --within takes seconds, not 'soon'"
on_alpha mv /etc/vz/vz.conf /etc/vz/vz.conf.other
boot 10 start
on_alpha mv /etc/vz/vz.conf.other /etc/vz/vz.conf

step "VIRTUOZZO=no: nothing"
conf VIRTUOZZO=no
boot 0 start
assert_eq "$(running)" ""
conf VIRTUOZZO=yes

step "what has ONBOOT starts, the highest BOOTORDER first, one after the other"
begun "Starting" >/dev/null
boot 0 start
assert_eq "$out" "$(lines "CT 103: started" "CT 102: started" "CT 101: started")"
assert_eq "$(begun "Starting")" "103 102 101" "order of starts"
assert_eq "$(running)" "101 102 103"
since=$(init_of 101)
boot 0 start
assert_eq "$out" "" "a second start says"
assert_eq "$(init_of 101)" "$since" "init after a second start"

step "vzlist: the table, its order, JSON"
ok set 102 --ipadd 10.77.0.62 --save
ok set 104 --ipadd 10.77.0.64 --ipadd fd77::64 --save
assert_eq "$(on_alpha vzlist 102)" "$(lines "      CTID      NPROC STATUS    IP_ADDR         HOSTNAME" \
  "       102          1 running   10.77.0.62      -")" "vzlist 102"
assert_eq "$(on_alpha vzlist -Ho ctid | xargs)" "101 102 103"
assert_eq "$(on_alpha vzlist -aHo ctid -s -ctid | xargs)" "105 104 103 102 101" "by CTID, descending"
assert_eq "$(on_alpha vzlist -aHo ctid -s -bootorder 102 103 | xargs)" "103 102" "by BOOTORDER, descending"
assert_eq "$(on_alpha vzlist -aj | python3 -c 'import json, sys
for ct in json.load(sys.stdin): print(ct["ctid"], ct["status"], ct["ip"])')" "$(lines "101 running []" "102 running ['10.77.0.62']" \
  "103 running []" "104 stopped ['10.77.0.64', 'fd77::64']" "105 stopped []")" "vzlist -aj"
assert_eq "$(on_alpha vzlist -jo onboot,ctid 103 | python3 -c 'import json, sys; print(json.load(sys.stdin))')" \
  "[{'onboot': True, 'ctid': 103}]" "vzlist -jo"

step "shutdown suspends, or stops what AUTOSTOP says, in the opposite order, and marks"
ok start 104
ok start 105
ok exec2 105 'setsid tail -f /dev/null >/dev/null 2>&1 </dev/null & sleep 0.1; touch /run/mark'
ok set 102 --autostop stop --save
begun "" >/dev/null
boot 0 stop
assert_eq "$(tail -n 2 <<<"$out")" "$(lines "CT 102: stopped" "CT 103: suspended")"
assert_eq "$(head -n 3 <<<"$out" | sort)" "$(lines "CT 101: suspended" "CT 104: suspended" "CT 105: suspended")"
assert_eq "$(running)" ""
assert_eq "$(marks)" "101 102 103 104 105" "marks"
assert_ct 101 exist unmounted down suspended
assert_ct 102 exist unmounted down
boot 0 stop
assert_eq "$(marks)" "101 102 103 104 105" "marks after a second stop"

step "boot resumes; what was marked starts, but not with ONBOOT=no or DISABLED, and marks are used up"
ok set 103 --disabled yes --save
on_alpha touch /var/lib/vz/reboot/999
boot 0 start
assert_eq "$(running)" "101 102 105"
ok exec2 105 'test -e /run/mark && pidof tail >/dev/null'
expect 1 exec2 102 test -e /run/mark
assert_eq "$(marks)" ""
assert_ct 103 exist unmounted down suspended
assert_ct 104 exist unmounted down suspended
ok set 103 --disabled no --save
on_alpha rm -r /var/lib/vz/dump/Dump.103 /var/lib/vz/dump/Dump.104
ok stop 105
ok stop 101
ok stop 102
boot 0 start
assert_eq "$(running)" "101 102 103" "without a mark"

step "VE_STOP_MODE; a suspend that fails is a stop"
conf VE_STOP_MODE=stop
ok set 103 --autostop suspend --save
conf CRIU=/bin/false
boot 0 stop
assert_contains "$out" "CT 103: Error: not suspended: "
assert_contains "$out" "CT 103: stopped"
assert_absent "$out" "CT 101: Error"
for ctid in 101 102 103; do assert_ct "$ctid" exist unmounted down; done
conf CRIU=

step "one broken container: the others start, and the exit status tells"
on_alpha mv /var/lib/vz/private/103 /var/lib/vz/private/103.away
boot 1 start
assert_contains "$out" "CT 103: Error: not started: Container private area /var/lib/vz/private/103 does not exist"
assert_eq "$(tail -n 1 <<<"$out")" "Error: not started: 103"
assert_eq "$(running)" "101 102"
assert_eq "$(marks)" ""
on_alpha mv /var/lib/vz/private/103.away /var/lib/vz/private/103
boot 0 start
assert_eq "$out" "CT 103: started"

# stubborn CTID...: guests that take a minute to stop.
stubborn() {
  for ctid; do
    ok exec2 "$ctid" 'printf "#!/bin/sh\nsleep 60\n" >/etc/rc.shutdown; chmod +x /etc/rc.shutdown'
  done
}
# within SECONDS STATUS WORD...
within() {
  local most=$1 start=$SECONDS
  shift
  boot "$@"
  [ $((SECONDS - start)) -le $((most * slowness)) ] || fail "vz-boot ${*:2} took $((SECONDS - start)) s, wanted $most: $out"
}

step "a guest that does not obey: killed after STOP_TIMEOUT, or when the time is up"
stubborn 101 102
ok set 103 --autostop stop --save
ok set 101 --stop-timeout 1 --save
within 8 0 stop --within $((4 * slowness))
assert_contains "$out" "CT 101: stopped"
assert_contains "$out" "CT 102: Error: not stopped: it took more than"
assert_contains "$out" "CT 102: killed"
assert_contains "$out" "CT 103: stopped"
assert_eq "$(running)" ""
assert_eq "$(marks)" "101 102 103"
assert_clean alpha

step "somebody holds it and does not let go: killed nevertheless"
boot 0 start
vz stop 102 >/dev/null 2>&1 &
holder=$!
is_locked() { on_alpha test -e /var/lib/vz/lock/102.lck; }
eventually 5 is_locked
within 10 0 stop --within $((4 * slowness))
assert_contains "$out" "CT 102: Error: not stopped: Container already locked"
wait "$holder" || true
assert_eq "$(running)" ""
assert_clean alpha

step "somebody has it for a moment: waited for"
ok start 101
ok start 103
on_alpha sh -c 'printf "%s\nbusy\n" $$ >/var/lib/vz/lock/103.lck; sleep 1; rm /var/lib/vz/lock/103.lck' &
holder=$!
is_locked() { on_alpha test -e /var/lib/vz/lock/103.lck; }
eventually 5 is_locked
boot 0 stop
assert_contains "$out" "CT 103: stopped"
assert_absent "$out" "CT 103: Error"
wait "$holder"

is_unlocked() { [ -z "$(on_alpha ls -A /var/lib/vz/lock)" ]; }
step "Ctrl-C and SIGTERM of stop: what runs on has no mark"
all_stop
boot 0 start
conf VE_PARALLEL=1
for signal in INT TERM; do
  out=$(on_alpha timeout -s "$signal" "$(scaled 1500)" sh -c "exec $boot_program stop" 2>&1) || true
  assert_contains "$out" "Error: not stopped (broken off):"
  eventually 5 is_unlocked
  assert_contains " $(running) " " 102 "
  assert_absent " $(marks) " " 102 "
  for ctid in $(marks); do assert_absent " $(running) " " $ctid " "running, and marked"; done
  all_stop
  boot 0 start
done

step "Ctrl-C of start: what was not begun keeps its mark, and the next start goes on"
all_stop
conf VE_PARALLEL=1
for ctid in 101 102 103; do ok set "$ctid" --bootorder 7 --save; done
boot 0 start
boot 0 stop --within 0
assert_eq "$(running)" "" "running after a stop without patience"
assert_eq "$(marks)" "101 102 103"
for delay in $(scaled 60 150); do
  on_alpha timeout -s INT "$delay" sh -c "exec $boot_program start" >/dev/null 2>&1 || true
done
for ctid in $(marks); do assert_absent " $(running) " " $ctid " "running, and marked"; done
boot 0 start
assert_eq "$(running)" "101 102 103"
assert_eq "$(marks)" ""

step "kill -9 of it leaves nothing running"
all_stop
on_alpha timeout -s KILL "$(scaled 80)" sh -c "exec $boot_program start" >/dev/null 2>&1 || true
boot 0 start
assert_eq "$(running)" "101 102 103"

step "the init script of hosts without systemd"
all_stop
on_alpha sh -c "boot=$boot_program; sed \"s|@boot@|\$boot|; s|@procfs@|vzprocfs|\" >/root/vz.init" <"$lab_dir/../../etc/vz.init.in"
init() { assert_status "$1" on_alpha sh /root/vz.init "${@:2}" >/dev/null 2>&1; }
init 3 status
init 0 start
assert_eq "$(running)" "101 102 103"
init 0 status
served() { on_alpha vzprocfs status >/dev/null; }
on_alpha test ! -c /dev/fuse || served || fail "the init script does not start vzprocfs"
ok exec2 101 touch /run/mark
init 0 restart
assert_eq "$(running)" "101 102 103"
expect 1 exec2 101 test -e /run/mark
init 0 stop
init 3 status
! served || fail "the init script does not stop vzprocfs"
assert_eq "$(running)" ""
init 3 nonsense
on_alpha mv /etc/vz/vz.conf /etc/vz/vz.conf.other
init 6 start
on_alpha mv /etc/vz/vz.conf.other /etc/vz/vz.conf
boot 0 start

step "down"
conf VE_PARALLEL=0
all_stop
assert_clean alpha
for ctid in 101 102 103 104 105; do ok destroy "$ctid"; done
assert_clean alpha --all
