#!/bin/bash
# exec, enter and console: statuses, streams, signals, terminals; and that nothing stays behind.
. "$(dirname "$0")/../lab/lib.sh"
. "$(dirname "$0")/../lab/ct.sh"

step "up"
need python3
lab_up alpha
need_tiny
ok create 101 --ostemplate tiny --diskspace 64M
ok start 101 --wait
processes() { inside 101 ps -o args | sed 1d | grep -v 'ps -o' | sort; }
processes_before=$(processes)
descriptors() { on_alpha sh -c 'ls /proc/$(cat /run/vz/101/supervisor)/fd | wc -l'; }
descriptors_before=$(descriptors)

step "exit statuses"
expect 0 exec 101 true
expect 8 exec 101 false
expect 8 exec 101 'exit 200'
for status in 0 1 7 125 255; do expect "$status" exec2 101 "exit $status"; done
expect 143 exec2 101 'kill $$'
expect 127 exec2 101 no-such-program
assert_contains "$err" no-such-program
expect 20 exec 101
assert_eq "$err" "No command line given for exec"
expect 21 exec no-such-name true

step "words, streams"
expect 0 exec2 101 echo one "two  three" '' '$HOME' ';' echo four
assert_eq "$out" $'one two three  /root\nfour' "words are joined for the shell"
expect 3 exec2 101 'echo out; echo err >&2; exit 3'
assert_eq "$out" out stdout
assert_eq "$err" err stderr
assert_eq "$(echo in | inside 101 cat)" in stdin
assert_eq "$(inside 101 cat </dev/null)" "" "empty stdin"
assert_eq "$(printf 'echo $((6 * 7))\nexit 5\n' | { inside 101 - || echo "status $?"; })" $'42\nstatus 5' "a script"
expect 0 exec2 101 'echo $PATH:$USER:$LOGNAME:$HOME; pwd; umask'
assert_eq "$out" "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin:root:root:/root
/root
0022" environment
on_alpha env SECRET=1 BASH_ENV=/x vzctl exec2 101 'test -z "$SECRET$BASH_ENV"' || fail "the caller's environment came in"
sum=$(inside 101 'i=0; while [ $i -lt 20 ]; do seq 1 100000; i=$((i + 1)); done' | md5sum)
assert_eq "$sum" "$(for _ in {1..20}; do seq 1 100000; done | md5sum)" "12 MB of output"
assert_eq "$(head -c 20000000 /dev/zero | inside 101 'wc -c')" 20000000 "20 MB of input"
status=0
on_alpha sh -c 'vzctl exec2 101 "yes" | head -n 1 >/dev/null' || status=$?
assert_eq "$status" 0 "output that nobody reads on"
on_alpha sh -c 'vzctl exec2 101 "sleep 1; echo late" >/dev/null 2>&1 <&-' || fail "exec without an open stdin"

step "a program as it is, and a script of the host's"
expect 0 exec3 101 printf '%s|' 'two  words' '$HOME' ''
assert_eq "$out" 'two  words|$HOME||' "arguments"
expect 7 exec3 101 sh -c 'exit 7'
expect 8 exec3 101 no-such-program
expect 20 exec3 101
on_alpha sh -c 'printf "echo from \$(hostname) >&2; cat /root/mark 2> /dev/null\nexit 9\n" > /root/script'
expect 9 runscript 101 /root/script
assert_contains "$err" "from "
expect 11 runscript 101 /root/no-such-script
expect 20 runscript 101
ok create 102 --ostemplate tiny --diskspace 64M --hostname scripted
expect 9 runscript 102 /root/script
assert_contains "$err" "from scripted"
assert_ct 102 exist unmounted down
ok destroy 102

step "signals are passed on"
for signal in TERM HUP INT QUIT; do
  status=0
  on_alpha timeout --preserve-status -s "$signal" 1 vzctl exec2 101 "trap 'exit 33' $signal; while true; do sleep 0.1; done" || status=$?
  assert_eq "$status" 33 "SIG$signal"
done
is_as_before() { [ "$(processes)" = "$processes_before" ]; }
eventually 5 is_as_before

step "a command ends with the vzctl that runs it"
# Not the shell alone: also what it waits for, as with Ctrl-C on a terminal.
for signal in TERM HUP INT QUIT; do
  on_alpha timeout -s "$signal" 1 vzctl exec2 101 "sleep 2000; true" >/dev/null 2>&1 || true
  eventually 5 is_as_before
done
on_alpha timeout -s KILL 1 vzctl exec2 101 "exec sleep 2001" >/dev/null 2>&1 || true
eventually 5 is_as_before
# Who does not want that is heard.
on_alpha sh -c 'timeout -s KILL 1 vzctl exec2 101 "trap \"\" HUP; exec sleep 2002" >/dev/null 2>&1' || true
ok exec2 101 'kill $(pidof sleep)'
eventually 5 is_as_before
# Nor does a program's end take away what it has left running on purpose.
ok exec2 101 'sleep 2003 >/dev/null 2>&1 &'
ok exec2 101 'kill $(pidof sleep)'
eventually 5 is_as_before

step "vzpid: whose a process is"
init=$(on_alpha sh -c '. /run/vz/101/state && echo "$INIT"')
supervisor=$(on_alpha cat /run/vz/101/supervisor)
ok exec2 101 'sleep 2004 >/dev/null 2>&1 & echo $! >/run/sleeper'
sleeper=$(inside 101 cat /run/sleeper)
sleeper_here=$(on_alpha sh -c "grep -lE '^NSpid:\s+[0-9]+\s+$sleeper\$' /proc/[0-9]*/status" | tr -dc '0-9\n' | head -n 1)
listed=$(on_alpha vzpid -p "$init" "$supervisor" "$sleeper_here" 2147483647)
assert_eq "$listed" "$(printf '%s\t%s\t%s\t%s\n' Pid CT/Pid CTID Name "$init" 1 101 init \
  "$supervisor" "$supervisor" 0 vz-supervisor "$sleeper_here" "$sleeper" 101 sleep)"
assert_eq "$(echo "  PID TTY $init" | on_alpha vzpid -)" "$(printf 'Pid\tCTID\tName\n%s\t101\tinit' "$init")" "from standard input"
on_alpha vzpid -j "$sleeper_here" | python3 -c 'import json, sys
assert json.load(sys.stdin) == [{"pid": '"$sleeper_here"', "ct_pid": '"$sleeper"', "ctid": 101, "name": "sleep"}]'
! on_alpha vzpid 2>/dev/null || fail "vzpid without a PID ends well"
! on_alpha vzpid 1 x1 2>/dev/null || fail "vzpid takes what is no PID"
ok exec2 101 "kill $sleeper; rm /run/sleeper"
eventually 5 is_as_before

step "several at once"
pids=()
for i in 1 2 3 4 5 6 7 8; do
  { inside 101 "sleep 0.2; exit $i" || exit $?; } &
  pids+=($!)
done
for i in 1 2 3 4 5 6 7 8; do
  status=0
  wait "${pids[i - 1]}" || status=$?
  assert_eq "$status" "$i" "status of exec number $i"
done
status=0
on_alpha sh -c 'vzctl exec2 101 "sleep 30" & sleep 0.5; vzctl --quiet stop 101 --fast; wait $!' || status=$?
[ "$status" != 0 ] || fail "an exec ends well although its container was killed"
assert_clean alpha
ok start 101 --wait
descriptors_before=$(descriptors)

step "enter: a terminal"
expect 20 enter 101 --exec
expect 0 enter 101 --exec 'echo hello; exit' </dev/null
assert_contains "$out" "entered into CT 101"
assert_contains "$out" hello
assert_contains "$out" "exited from CT 101"
# A session with vzctl on a terminal; what is read by on_terminal follows.
session=$(
  cat <<'END'
import fcntl, os, pty, re, select, struct, subprocess, sys, termios, time

def resize(fd, rows, columns):
    fcntl.ioctl(fd, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))

class Session:
    def __init__(self, command, *arguments):
        self.pid, self.fd = pty.fork()
        if self.pid == 0:
            os.environ["TERM"] = "vt100"
            os.execvp("vzctl", ["vzctl", command, "101", *arguments])
        resize(self.fd, 33, 111)
        self.text = ""

    def expect(self, pattern, seconds=10):
        end = time.time() + seconds
        while not re.search(pattern, self.text):
            left = end - time.time()
            if left <= 0 or not select.select([self.fd], [], [], left)[0]:
                sys.exit("no %r in %r" % (pattern, self.text))
            try:
                data = os.read(self.fd, 65536)
            except OSError:
                data = b""
            if not data:
                sys.exit("ended, no %r in %r" % (pattern, self.text))
            self.text += data.decode(errors="replace")
        found = re.search(pattern, self.text)
        self.text = self.text[found.end():]
        return found

    def type(self, text):
        os.write(self.fd, text.encode())

    def end(self):
        try:
            while os.read(self.fd, 65536):
                pass
        except OSError:
            pass
        return os.waitstatus_to_exitcode(os.waitpid(self.pid, 0)[1])
END
)
on_terminal() { { echo "$session" && cat; } | on_alpha timeout 60 python3 -; }
on_terminal <<'END' || fail "enter on a terminal"
s = Session("enter")
s.expect("entered into CT 101")
s.type("echo at-$((1 + 1))\r")
s.expect("at-2\r\n")
s.type("tty; echo TERM=$TERM HIST=$HISTFILE\r")
s.expect(r"/dev/pts/\d+\r\n")
s.expect("TERM=vt100 HIST=/dev/null\r\n")
s.type("stty size\r")
s.expect("33 111\r\n")
resize(s.fd, 44, 77)
time.sleep(0.3)
s.type("stty size\r")
s.expect("44 77\r\n")

# Ctrl-C ends what runs, not the session.
s.type("sleep 3000; echo status-$?\r")
time.sleep(0.5)
s.type("\x03")
time.sleep(0.2)
s.type("echo alive-$((2 + 2))\r")
s.expect("alive-4\r\n")

# Job control.
s.type("sleep 3001\r")
time.sleep(0.5)
s.type("\x1a")
s.expect("Stopped")
s.type("jobs\r")
s.expect(r"Stopped.*sleep 3001")
s.type("bg\r")
time.sleep(0.2)
s.type("jobs\r")
s.expect("Running")
s.type("kill %1; wait; echo done-$((3 + 3))\r")
s.expect("done-6\r\n")
s.type("exit 9\r")
if (status := s.end()) != 9:
    sys.exit("exit status %d, wanted 9" % status)

# --exec types the command first.
s = Session("enter", "--exec", "echo", "first")
s.expect("first\r\n")
s.type("exit\r")
s.end()

# The terminal goes away: so does the session.
s = Session("enter")
s.expect("entered into CT 101")
s.type("sleep 3002\r")
time.sleep(0.5)
os.close(s.fd)
os.waitpid(s.pid, 0)

# Our own terminal is as it was, also when the session is killed.
master, slave = pty.openpty()
before = termios.tcgetattr(slave)
pid = os.fork()
if pid == 0:
    os.setsid()
    fcntl.ioctl(slave, termios.TIOCSCTTY, 0)
    for fd in range(3):
        os.dup2(slave, fd)
    os.execvp("vzctl", ["vzctl", "enter", "101"])
time.sleep(1)
if termios.tcgetattr(slave)[3] & termios.ICANON:
    sys.exit("the terminal is not raw during a session")
os.write(master, b"exit\r")
os.waitpid(pid, 0)
if termios.tcgetattr(slave) != before:
    sys.exit("the terminal is not as it was")
END
eventually 5 is_as_before
assert_eq "$(descriptors)" "$descriptors_before" "open descriptors of the supervisor"

step "console: a login of the guest's"
for bad in x 0 -1 64 1x; do
  expect 21 console 101 -- "$bad"
  assert_eq "$err" "Invalid tty number: $bad"
done
expect 20 console 101 1 2
expect 0 console 101 </dev/null
assert_contains "$out" "Attached to CT 101 (ESC . to detach)"
ok exec2 101 "sed -i 's/^root:[^:]*:/root::/' /etc/shadow"
on_terminal <<'END' || fail "console on a terminal"
def log_in(s):
    s.expect("login: ")
    s.type("root\r")
    s.expect("# ")

s = Session("console")
s.expect(r"Attached to CT 101 \(ESC \. to detach\)")
log_in(s)
s.type("tty; stty size\r")
s.expect(r"/dev/pts/\d+\r\n33 111\r\n")

# An Esc before any other key is the guest's.
s.type("cat -v\r")
time.sleep(0.3)
s.type("\x1bx.!\r")
s.expect(r"\^\[x\.!\r\n\^\[x\.!\r\n")
s.type("\x03")

# It is one's own, another one is another's.
second = subprocess.run(["vzctl", "console", "101"], capture_output=True, text=True, stdin=subprocess.DEVNULL)
if second.returncode != 9 or "is attached already, by process %d" % s.pid not in second.stderr:
    sys.exit("a second one is attached: %r" % second)
other = Session("console", "3")
other.expect("login: ")
other.type("\x1b.")
other.expect("Detached from CT 101")
if (status := other.end()) != 0:
    sys.exit("detached with exit status %d" % status)

# After a logout the next one can log in.
s.type("exit\r")
log_in(s)

# Secure attention: whatever ran on the terminal is dead, in a session of its own or deaf.
s.type("trap '' HUP TERM; sleep 3100 & sleep 3101 | sleep 3102 & true\r")
time.sleep(0.5)
s.type("\x1b")
time.sleep(0.2)
s.type("!")
log_in(s)
if subprocess.run(["vzctl", "exec2", "101", "pidof", "sleep"], stdin=subprocess.DEVNULL).returncode == 0:
    sys.exit("the secure attention key left something")

# Detached, the session is over.
s.type("sleep 3103\r")
time.sleep(0.3)
s.type("\x1b.")
s.expect("Detached from CT 101")
if (status := s.end()) != 0:
    sys.exit("detached with exit status %d" % status)

# Our terminal goes away, and so does the session.
s = Session("console")
log_in(s)
os.close(s.fd)
os.waitpid(s.pid, 0)
END
eventually 5 is_as_before
assert_eq "$(descriptors)" "$descriptors_before" "open descriptors of the supervisor"
ok suspend 101
ok resume 101

step "console: the container stops"
on_terminal <<'END' || fail "a console of a container that stops"
s = Session("console")
s.expect("login: ")
subprocess.run(["vzctl", "--quiet", "stop", "101"], stdin=subprocess.DEVNULL, check=True)
if (status := s.end()) != 0:
    sys.exit("its container stopped, and the exit status is %d" % status)
END
expect 31 console 101
assert_eq "$err" "Container is not running"

step "down"
assert_clean alpha
ok destroy 101
assert_clean alpha --all
