"""A program on a terminal of ours (vt100 or linux), and what is to be seen there."""
import fcntl
import os
import pty
import re
import select
import struct
import sys
import termios
import time

CSI = re.compile(rb"\x1b\[([?0-9;]*)([@-~])")


class Screen:
    """What ncurses writes to. Any other escape sequence is an error."""

    def __init__(self, rows, columns):
        self.resize(rows, columns)

    def resize(self, rows, columns):
        self.rows, self.columns = rows, columns
        self.cells = [[" "] * columns for _ in range(rows)]
        self.y = self.x = 0

    def lines(self):
        return ["".join(row).rstrip() for row in self.cells]

    def next_line(self):
        if self.y + 1 < self.rows:
            self.y += 1
        else:
            self.cells = self.cells[1:] + [[" "] * self.columns]

    def put(self, char):
        if self.x >= self.columns:
            self.next_line()
            self.x = 0
        self.cells[self.y][self.x] = char
        self.x += 1

    def clear(self, first, last):
        for place in range(first, last):
            self.cells[place // self.columns][place % self.columns] = " "

    def control(self, words, letter):
        numbers = [int(w) if w.isdigit() else 0 for w in words.split(b";")]
        first = max(1, numbers[0])
        at = self.y * self.columns + min(self.x, self.columns - 1)
        if letter == b"H":
            self.y = min(first, self.rows) - 1
            self.x = min(max(1, numbers[1] if len(numbers) > 1 else 1), self.columns) - 1
        elif letter in (b"A", b"B"):
            self.y = min(max(0, self.y + (first if letter == b"B" else -first)), self.rows - 1)
        elif letter in (b"C", b"D"):
            self.x = min(max(0, self.x + (first if letter == b"C" else -first)), self.columns - 1)
        elif letter == b"J":
            self.clear(0 if numbers[0] else at, self.rows * self.columns)
        elif letter == b"K":
            begin = self.y * self.columns
            self.clear(begin if numbers[0] else at, at + 1 if numbers[0] == 1 else begin + self.columns)
        elif letter == b"G":
            self.x = min(first, self.columns) - 1
        elif letter == b"d":
            self.y = min(first, self.rows) - 1
        elif letter == b"X":
            self.clear(at, min(at + first, (self.y + 1) * self.columns))
        elif letter in (b"P", b"@"):
            row, x = self.cells[self.y], min(self.x, self.columns - 1)
            blanks = [" "] * min(first, self.columns)
            row[x:] = (row[x + first :] + blanks if letter == b"P" else blanks + row[x:])[: self.columns - x]
        elif letter not in (b"m", b"r", b"h", b"l") and (words, letter) not in ((b"?0", b"c"), (b"?1", b"c")):
            raise ValueError("escape sequence ESC [ %r %r" % (words, letter))

    # Returns what is left: an escape sequence that has not come whole.
    def write(self, data):
        at = 0
        while at < len(data):
            byte = data[at : at + 1]
            if byte == b"\x1b":
                rest = data[at:]
                found = CSI.match(rest)
                if found:
                    self.control(found[1], found[2])
                    at += found.end()
                elif len(rest) < 3 or re.fullmatch(rb"\x1b\[[?0-9;]*", rest):
                    return rest
                elif rest[1:2] in b"()":
                    at += 3
                elif rest[1:2] in b"=>78M":
                    at += 2
                else:
                    raise ValueError("escape sequence %r" % rest[:8])
                continue
            at += 1
            if byte == b"\r":
                self.x = 0
            elif byte == b"\n":
                self.next_line()
            elif byte == b"\b":
                self.x = max(0, self.x - 1)
            elif byte == b"\t":
                self.x = min((self.x // 8 + 1) * 8, self.columns - 1)
            elif byte >= b" ":
                self.put(byte.decode("latin-1"))
            elif byte not in b"\0\x0e\x0f":
                raise ValueError("byte %r" % byte)
        return b""


class Program:
    def __init__(self, *words, rows=24, columns=80, **environment):
        self.master, slave = pty.openpty()
        self.slave = slave  # held open, to look at its settings when the program has gone
        self.before = termios.tcgetattr(slave)
        self.screen = Screen(rows, columns)
        self.words, self.data, self.left = words, b"", b""
        self.resize(rows, columns)
        self.pid = os.fork()
        if self.pid == 0:
            os.setsid()
            fcntl.ioctl(slave, termios.TIOCSCTTY, 0)
            for fd in range(3):
                os.dup2(slave, fd)
            os.environ.pop("NO_COLOR", None)
            os.environ.update({"TERM": "vt100"} | environment)
            os.execvp(words[0], words)

    def resize(self, rows, columns):
        self.screen.resize(rows, columns)
        fcntl.ioctl(self.master, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))

    def read(self, seconds):
        if not select.select([self.master], [], [], max(0, seconds))[0]:
            return False
        data = os.read(self.master, 65536)
        self.data += data
        self.left = self.screen.write(self.left + data)
        return True

    def type(self, text):
        os.write(self.master, text.encode())

    def fail(self, what):
        sys.exit("%s: %s; on the screen:\n%s" % (" ".join(self.words), what, "\n".join(self.screen.lines())))

    def expect(self, pattern, seconds=15):
        """Waits until a line matches, and returns the match."""
        end = time.time() + seconds
        while True:
            for line in self.screen.lines():
                if found := re.search(pattern, line):
                    return found
            left = end - time.time()
            if left <= 0:
                self.fail("no %r" % pattern)
            self.read(left)

    def expect_gone(self, pattern, seconds=15):
        end = time.time() + seconds
        while any(re.search(pattern, line) for line in self.screen.lines()):
            if time.time() > end:
                self.fail("still %r" % pattern)
            self.read(end - time.time())

    def end(self, wanted, seconds=15):
        """It ends, with this exit status (negative: by this signal), and leaves the terminal as it was."""
        end = time.time() + seconds
        while not (ended := os.waitpid(self.pid, os.WNOHANG))[0]:
            if time.time() > end:
                os.kill(self.pid, 9)
                self.fail("does not end")
            self.read(0.05)
        while self.read(0):
            pass
        status = os.waitstatus_to_exitcode(ended[1])
        if status != wanted:
            self.fail("exit status %d, wanted %d" % (status, wanted))
        if termios.tcgetattr(self.slave) != self.before:
            self.fail("the terminal is not as it was")
