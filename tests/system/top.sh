#!/bin/bash
# vztop: what it measures, as text, as JSON and on a terminal, which it leaves as it was however it ends.
. "$(dirname "$0")/../lab/lib.sh"
. "$(dirname "$0")/../lab/ct.sh"

# top STATUS ARGUMENT...: what it prints is then in $out, its errors in $err.
top() {
  local wanted=$1 status=0
  shift
  out=$(on_alpha vztop "$@" 2>"$err_file" </dev/null) || status=$?
  err=$(<"$err_file")
  [ "$status" = "$wanted" ] || fail "exit status $status, wanted $wanted: vztop $*: $out $err"
}
json() { python3 -c 'import json, sys; d = json.load(sys.stdin); sys.exit(0 if eval(sys.argv[1]) else 1)' "$1" <<<"$out" || fail "$1 is not so of: $out"; }
field() { awk -v id="$1" -v n="$2" '$1 == id { print $n }' <<<"$out"; }

step "up"
need python3
lab_up alpha
need_tiny
top 0 -b -n 1
assert_contains "$out" "Containers: 0 running"
ok create 101 --ostemplate tiny --diskspace 64M --ram 64M --swap 0 --name web --numproc 100 --ipadd 10.77.0.50
ok create 102 --ostemplate tiny --diskspace 64M --ram 128M
ok create 103 --ostemplate tiny --diskspace 64M
ok start 101 --wait
ok start 102 --wait
# One that works, with a name and a command line for terminals to stumble over.
ok exec2 101 'setsid sh -c "printf \"\\033[2Jbusy\" >/proc/\$\$/comm; while :; do :; done" "$(printf "\\033]0;title\\007")" >/dev/null 2>&1 </dev/null &'
ok exec2 101 'mount -t tmpfs none /mnt && head -c 20m /dev/zero >/mnt/file'

step "text"
top 0 -b -n 2 -d 0.5
assert_eq "$(grep -c '^vztop - ' <<<"$out")" 2 "samples"
assert_contains "$out" "Containers: 2 running;"
assert_eq "$(awk '$1 == 101 { print $2, $3, $6 }' <<<"$out" | uniq)" "web running 64.0M"
assert_eq "$(awk '$1 == 101 && $4 > 1' <<<"$out" | wc -l)" 2 "samples that see it work"
assert_eq "$(awk '$1 == 103' <<<"$out")" "" "one that does not run"
assert_eq "$(awk 'length > 80' <<<"$out")" "" "lines beyond 80 columns"
top 0 -a -o -ctid
assert_eq "$(awk '$1 ~ /^10/ { print $1 }' <<<"$out" | xargs)" "103 102 101" "order, once without being told how often"
assert_eq "$(field 103 3)" stopped
assert_contains "$out" "2 running, 1 not"
top 0 -E 101 -l
assert_absent "$out" $'\e' "text for a pipe"
assert_contains "$out" 'sh -c printf'
assert_contains "$out" '\x1b]0;title\x07'
assert_eq "$(awk 'NR > 5 && $1 != 101' <<<"$out")" "" "processes of others"
assert_eq "$(awk 'NR > 5 { print $3 }' <<<"$out" | sort -u)" 0 "users, as they are in there"
top 0 -E web
assert_contains "$out" '\x1b[2Jbusy'
assert_absent "$out" $'\e'
top 0 -E101 -o pid
assert_eq "$(awk 'NR > 5 { print $2 }' <<<"$out" | sort -nc 2>&1)" "" "order of PIDs"
top 0 -E 0 -n 1
assert_contains "$out" vz-supervisor
assert_absent "$out" busy
top 0 -E
assert_contains "$out" vz-supervisor
assert_contains "$out" busy
top 0 -L
assert_contains " $(xargs <<<"$out") " " memory_limit "
for name in $out; do top 0 -n 1 -d 0.1 -o "$name"; done
top 0 -E -L
for name in $out; do top 0 -E 101 -n 1 -d 0.1 -o "$name"; done

step "JSON"
top 0 -ja -d 1
json '[c["ctid"] for c in d["containers"] if c["status"] == "running"] == [101, 102]'
json '[c for c in d["containers"] if c["ctid"] == 101][0]["cpu"] > 1 and 0.9 < d["interval"] < 10'
json '(lambda c: c["name"] == "web" and 20 << 20 < c["memory"] < c["memory_limit"] == 64 << 20 and c["nproc_limit"] == 100 > c["nproc"] >= 2)([c for c in d["containers"] if c["ctid"] == 101][0])'
json '(lambda c: 0 < c["disk"] < c["disk_limit"] <= 64 << 20)([c for c in d["containers"] if c["ctid"] == 101][0])'
json '(lambda c: c["status"] == "stopped" and c["cpu"] is None and c["memory"] is None)([c for c in d["containers"] if c["ctid"] == 103][0])'
json 'd["host"]["cpus"] >= 1 and d["host"]["memory"] > 0 and d["host"]["cpu"] > 0'
top 0 -j -E 101
json '{p["ctid"] for p in d["processes"]} == {101} and any(p["cpu"] and p["cpu"] > 1 and p["command"] == "\x1b[2Jbusy" and p["args"][-1] == "\x1b]0;title\x07" for p in d["processes"])'
on_alpha sh -c 'ping -q -i 0.02 -c 200 -s 1000 10.77.0.50 >/dev/null' &
pinging=$!
sleep 0.5
top 0 -j -d 1
json '(lambda c: c["recv"] > 1000 and c["sent"] > 1000)([c for c in d["containers"] if c["ctid"] == 101][0])'
json '(lambda c: c["recv"] < 1000)([c for c in d["containers"] if c["ctid"] == 102][0])'
wait $pinging

step "what it refuses"
top 1 -E 999
assert_eq "$err" "Container 999 does not exist"
top 1 -E 103
assert_eq "$err" "Container 103 is not running"
for words in "-o colour" "-E -o disk" "-d 0" "-d x" "-d 1e9" "-n 0" "101 102" "-E nobody" "--no-such-option"; do
  top 1 $words
  assert_eq "$out" ""
  assert_eq "$(wc -l <<<"$err")" 1 "lines of: $err"
done

step "on a terminal"
on_alpha env PYTHONPATH="$lab_dir" PYTHONDONTWRITEBYTECODE=1 timeout 90 python3 - <<'END' || fail "on a terminal"
import os, re, signal, sys, time
from screen import Program

top = Program("vztop", "-d", "0.5")
top.expect(r"^ CTID NAME   STATUS   %CPU   MEM LIMIT  SWAP PROC  READ WRITE  RECV  SENT  DISK$")
top.expect(r"^  101 web    running +\d+\.\d ")
top.expect(r"^  102 ct102  running ")
top.expect(r"^vztop - .* load average: ")
top.expect(r"Sorted by cpu, every 0.5 s")

# Other sizes, silly ones among them.
top.resize(12, 45)
top.expect(r"^ CTID NAME   STATUS   %CPU   MEM LIMIT PROC$")
for rows, columns in ((1, 1), (2, 3), (3, 200), (500, 2), (7, 20)):
    top.resize(rows, columns)
    time.sleep(0.15)
top.resize(30, 120)
top.expect(r"^ CTID NAME .* DISK$")
top.expect(r"^  101 web ")

# Keys.
top.type("h")
top.expect(r"^q +quit$")
top.expect(r"^arrows +mark")
top.type("x")
top.expect_gone(r"^q +quit$")
top.type("a")
top.expect(r"^  103 ct103 +stopped")
top.type("a")
top.expect_gone("ct103")
top.type("N")
top.expect("Sorted by ctid")
top.type("r")
top.expect("Sorted by ctid, reversed")
top.type("r>")
top.expect("Sorted by name,")
top.type("N+")
top.expect("Sorted by ctid, every 1 s")
top.type("-")
top.expect("every 0.5 s")
top.type("\x1bOB\x1bOB\x1bOA\r")
top.expect(r"^Processes of container 101: \d")
top.expect(r"^  101 +\d+ 0 +R .*\\x1b\[2Jbusy$")
top.type("l")
top.expect(r"sh -c printf")
top.expect_gone(r"ct102")
top.type("p")
top.expect(r"^Processes: \d")
top.type("\x1b")
top.expect(r"^  102 ct102 ")
top.type("\x1bOB\x1bOB\x1bOB\r")
top.expect(r"^Processes of container 102: 1;")
top.type("Z\x00\xff")
top.type("q")
top.end(0)
if b"\x1b]" in top.data:
    sys.exit("an escape sequence of the guest's: %r" % top.data)

# However it ends.
def started(*words, **environment):
    p = Program("vztop", "-d", "0.2", *words, **environment)
    p.expect(r"^  101 ")
    return p

started("-n", "2").end(0)
p = started()
p.type("\x03")
p.end(0)
p = started()
p.type("\x1c")
p.end(-signal.SIGQUIT)
for number in (signal.SIGTERM, signal.SIGHUP):
    p = started()
    os.kill(p.pid, number)
    p.end(-number)
p = started()
os.close(p.slave)
os.close(p.master)
deadline = time.time() + 15
while not (ended := os.waitpid(p.pid, os.WNOHANG))[0]:
    if time.time() > deadline:
        sys.exit("outlives its terminal")
    time.sleep(0.05)
p = Program("bash", "--norc", "-i", PS1="ready> ")
p.expect("^ready>$")
p.type("vztop -d 0.2\r")
p.expect(r"^  101 ")
p.type("\x1a")
p.expect("^ready>")
p.type("clear; stty -a | grep -o ' -*icanon'\r")
p.expect("^ icanon$")
p.type("fg\r")
p.expect(r"^  101 ")
p.type("q")
p.expect(r"^ready>$")
p.type("exit\r")
p.end(0)
p = Program("vztop", TERM="no-such-terminal")
p.expect("terminal 'no-such-terminal' is not known here")
p.end(1)
p = Program("vztop", "-E", "103")
p.expect("Container 103 is not running")
p.end(1)

# Colours: of a process that works, where the terminal has them and nobody is against.
colour = re.compile(rb"\x1b\[(?:\d+;)*3[0-7]m")
for environment, wanted in (({"TERM": "linux"}, True), ({"TERM": "linux", "NO_COLOR": "1"}, False), ({"TERM": "linux", "NO_COLOR": ""}, True), ({"TERM": "vt100"}, False)):
    p = Program("vztop", "-E", "101", "-d", "0.2", **environment)
    p.expect(r"busy")
    p.type("q")
    p.end(0)
    if bool(colour.search(p.data)) != wanted:
        sys.exit("colours with %s: %r" % (environment, p.data))
END

step "one that stops, and one that is started, while it looks on"
on_alpha env PYTHONPATH="$lab_dir" PYTHONDONTWRITEBYTECODE=1 timeout 60 python3 - <<'END' || fail "changes"
import subprocess
from screen import Program

top = Program("vztop", "-d", "0.2", "-E", "102")
top.expect(r"^Processes of container 102: 1;")
every = Program("vztop", "-d", "0.2")
every.expect(r"^  102 ct102 ")
subprocess.run(["vzctl", "--quiet", "stop", "102"], check=True)
top.expect(r"^Processes of container 102: 0;")
every.expect_gone("ct102")
subprocess.run(["vzctl", "--quiet", "start", "102"], check=True)
top.expect(r"^Processes of container 102: 1;")
every.expect(r"^  102 ct102 ")
subprocess.run(["vzctl", "--quiet", "set", "102", "--ram", "96M"], check=True)
every.expect(r"^  102 ct102 .* 96.0M ")
for p in top, every:
    p.type("q")
    p.end(0)
END

step "down"
for ctid in 101 102; do ok stop $ctid --fast; done
for ctid in 101 102 103; do ok destroy $ctid; done
assert_clean alpha --all
