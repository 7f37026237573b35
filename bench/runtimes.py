"""What bench/lifecycle drives: one class per container runtime, all with the same methods.

create, start, execute, stop, destroy, checkpoint and restore do one operation on container number I and return the time
it took in milliseconds; they raise Failed when it did not work. start is from the command to the first instruction of
the guest's init."""
import json
import os
import select
import shutil
import signal
import subprocess
import time

TIMEOUT = 60
FIRST_ID, ID_COUNT = 1 << 20, 65536


class Failed(Exception):
    pass


def spawn(argv, log):
    # Not /dev/null, which is the host's: crun and lxc give their standard input to the container's root (fchown).
    empty, end = os.pipe()
    os.close(end)
    try:
        return os.posix_spawnp(argv[0], argv, os.environ, file_actions=[
            (os.POSIX_SPAWN_DUP2, empty, 0), (os.POSIX_SPAWN_DUP2, log, 1), (os.POSIX_SPAWN_DUP2, log, 2)])
    finally:
        os.close(empty)


def wait_gone(pid, timeout=TIMEOUT):
    """True when process PID, a child or not, ended in time."""
    try:
        fd = os.pidfd_open(pid)
    except ProcessLookupError:
        return True
    poller = select.poll()
    poller.register(fd, select.POLLIN)
    gone = bool(poller.poll(timeout * 1000))
    os.close(fd)
    return gone


def reap_orphans():
    """We are PID 1 of the sandbox."""
    try:
        while os.waitpid(-1, os.WNOHANG)[0]:
            pass
    except ChildProcessError:
        pass


def children(pid):
    with open(f"/proc/{pid}/task/{pid}/children") as f:
        return [int(word) for word in f.read().split()]


def parent(pid):
    with open(f"/proc/{pid}/stat") as f:
        return int(f.read().rpartition(")")[2].split()[1])


class Runtime:
    name = ""
    needs = ()              # programs
    veth = True             # can have a network interface of its own
    boots = False           # can boot a distribution and wait for it: boot()

    def __init__(self, work, guest, net):
        self.dir, self.guest, self.net = f"{work}/{self.name}", guest, net
        os.makedirs(self.dir, exist_ok=True)
        self.log_path = f"{self.dir}/log"
        self.log = os.open(self.log_path, os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC)

    @classmethod
    def missing(cls):
        absent = [p for p in cls.needs if not shutil.which(p)]
        return f"no {absent[0]}" if absent else ""

    def run(self, *argv):
        """Milliseconds that a command took."""
        os.ftruncate(self.log, 0)
        os.lseek(self.log, 0, os.SEEK_SET)
        begin = time.monotonic_ns()
        pid = spawn(argv, self.log)
        if not wait_gone(pid):
            os.kill(pid, signal.SIGKILL)
            os.waitpid(pid, 0)
            raise Failed(f"{' '.join(argv)}: no end in {TIMEOUT} s")
        status = os.waitpid(pid, 0)[1]
        took = (time.monotonic_ns() - begin) / 1e6
        if status:
            with open(self.log_path, errors="replace") as f:
                lines = f.read().strip().splitlines()
            raise Failed(f"{' '.join(argv)}: {lines[0] if lines else status}")
        return took

    def first_instruction(self, i, command):
        """Milliseconds from COMMAND to what the guest's init wrote."""
        path = f"{self.root(i)}/started"
        if os.path.exists(path):
            os.unlink(path)
        begin = time.monotonic_ns()
        command()
        deadline = time.monotonic() + TIMEOUT
        while time.monotonic() < deadline:
            try:
                with open(path) as f:
                    text = f.read()
                if text.endswith("\n"):
                    return (int(text) - begin) / 1e6
            except FileNotFoundError:
                pass
            time.sleep(0.0005)
        raise Failed("the guest's init never ran")

    def unsupported(self, *_):
        raise Failed("not supported")

    def destroy(self, i):
        begin = time.monotonic_ns()
        shutil.rmtree(f"{self.dir}/{i}")
        return (time.monotonic_ns() - begin) / 1e6

    create = start = execute = stop = checkpoint = restore = list_all = supervisor = unsupported


class Vessel(Runtime):
    name, needs, boots = "vessel", ("vzctl", "vzlist"), True

    def root(self, i):
        return f"/var/lib/vz/private/{self.id(i)}"   # VE_LAYOUT=dir: that is where its / is

    def id(self, i):
        return str(2_000_000 + i)

    def create(self, i):
        took = self.run("vzctl", "--quiet", "create", self.id(i), "--ostemplate", self.guest.template)
        if self.net:
            self.run("vzctl", "--quiet", "set", self.id(i), "--netif_add", f"eth0,,,,{self.net}", "--save")
        return took

    def start(self, i):
        return self.first_instruction(i, lambda: self.run("vzctl", "--quiet", "start", self.id(i)))

    def boot(self, i):
        return self.run("vzctl", "--quiet", "start", self.id(i), "--wait")

    def execute(self, i):
        return self.run("vzctl", "--quiet", "exec", self.id(i), "true")

    def stop(self, i):
        return self.run("vzctl", "--quiet", "stop", self.id(i))

    def destroy(self, i):
        return self.run("vzctl", "--quiet", "destroy", self.id(i))

    def checkpoint(self, i):
        return self.run("vzctl", "--quiet", "suspend", self.id(i))

    def restore(self, i):
        return self.run("vzctl", "--quiet", "resume", self.id(i))

    def list_all(self):
        return self.run("vzlist", "-a")

    def init(self, i):
        with open(f"/run/vz/{self.id(i)}/state") as f:
            return int(dict(line.strip().split("=", 1) for line in f)["INIT"].strip('"'))

    def supervisor(self, i):
        return parent(self.init(i))


class Lxc(Runtime):
    name = "lxc"
    needs = ("lxc-start", "lxc-attach", "lxc-stop", "lxc-create", "lxc-ls")
    boots = True
    config = "/usr/share/lxc/config"

    def root(self, i):
        return f"{self.dir}/{i}/rootfs"

    def path(self, i):
        return ("-P", self.dir, "-n", str(i))

    def create(self, i):
        config = f"{self.dir}/{i}.conf"
        with open(config, "w") as f:
            f.write(self.text())
        template = f"{self.dir}/template"
        with open(template, "w") as f:
            f.write('#!/bin/sh\nfor a; do case $a in --rootfs=*) root=${a#*=};; esac; done\n'
                    f'mkdir -p "$root" && exec tar --numeric-owner --exclude=./dev/* -xpf {self.guest.tar} -C "$root"\n')
        os.chmod(template, 0o755)
        return self.run("lxc-create", *self.path(i), "-f", config, "-t", template)

    def text(self):
        lines = [f"lxc.include = {self.config}/{f}" for f in ("common.conf", "userns.conf")
                 if os.path.exists(f"{self.config}/{f}")]
        lines += [f"lxc.idmap = {kind} 0 {FIRST_ID} {ID_COUNT}" for kind in "ug"]
        lines += ["lxc.signal.halt = SIGRTMIN+4", "lxc.apparmor.profile = unconfined"]
        lines += ["lxc.net.0.type = veth", f"lxc.net.0.link = {self.net}"] if self.net else ["lxc.net.0.type = empty"]
        return "\n".join(lines) + "\n"

    def start(self, i):
        return self.first_instruction(i, lambda: self.run("lxc-start", *self.path(i)))

    def boot(self, i):
        """As vzctl start --wait does it, with the means of lxc."""
        begin = time.monotonic_ns()
        self.run("lxc-start", *self.path(i))
        while (time.monotonic_ns() - begin) / 1e9 < TIMEOUT:
            try:
                self.run("lxc-attach", *self.path(i), "--", "systemctl", "is-system-running", "--wait")
                break
            except Failed as e:
                if str(e).endswith("degraded"):
                    break
                time.sleep(0.005)
        return (time.monotonic_ns() - begin) / 1e6

    def execute(self, i):
        return self.run("lxc-attach", *self.path(i), "--", "/bin/true")

    def stop(self, i):
        return self.run("lxc-stop", *self.path(i))

    def destroy(self, i):
        return self.run("lxc-destroy", *self.path(i))

    def checkpoint(self, i):
        return self.run("lxc-checkpoint", *self.path(i), "-s", "-D", f"{self.dir}/{i}.dump")

    def restore(self, i):
        return self.run("lxc-checkpoint", *self.path(i), "-r", "-D", f"{self.dir}/{i}.dump")

    def list_all(self):
        return self.run("lxc-ls", "-P", self.dir, "--fancy")

    def supervisor(self, i):
        out = subprocess.run(["lxc-info", *self.path(i), "-pH"], capture_output=True, text=True, timeout=TIMEOUT, check=True)
        return parent(int(out.stdout))


class Crun(Runtime):
    name, needs, veth = "crun", ("crun",), False

    def root(self, i):
        return f"{self.dir}/{i}/rootfs"

    def crun(self, *argv):
        return self.run("crun", "--root", f"{self.dir}/state", *argv)

    def create(self, i):
        """Not an operation of crun: what its user does before, unpacking and writing config.json."""
        begin = time.monotonic_ns()
        os.makedirs(self.root(i))
        self.run("tar", "--numeric-owner", "-xpf", self.guest.tar, "-C", self.root(i))
        self.run("chown", "-R", f"{FIRST_ID}:{FIRST_ID}", self.root(i))
        with open(f"{self.dir}/{i}/config.json", "w") as f:
            json.dump(self.spec(i), f)
        return (time.monotonic_ns() - begin) / 1e6

    def spec(self, i):
        if not os.path.exists(f"{self.dir}/config.json"):
            self.run("crun", "spec", "-f", f"{self.dir}/config.json")
        with open(f"{self.dir}/config.json") as f:
            spec = json.load(f)
        spec["process"].update(terminal=False, args=["/sbin/init"])
        spec["root"]["readonly"] = False
        spec["linux"]["namespaces"] = [{"type": t} for t in ("user", "mount", "pid", "network", "ipc", "uts", "cgroup")]
        spec["linux"]["cgroupsPath"] = f"vzbench-{i}"
        for kind in ("uidMappings", "gidMappings"):
            spec["linux"][kind] = [{"containerID": 0, "hostID": FIRST_ID, "size": ID_COUNT}]
        return spec

    def start(self, i):
        return self.first_instruction(i, lambda: self.crun("run", "--detach", "--bundle", f"{self.dir}/{i}", str(i)))

    def execute(self, i):
        return self.crun("exec", str(i), "/bin/true")

    def stop(self, i):
        begin = time.monotonic_ns()
        with open(f"{self.dir}/state/{i}/status") as f:
            init = json.load(f)["pid"]
        self.crun("kill", str(i), "TERM")
        wait_gone(init)
        reap_orphans()
        self.crun("delete", str(i))
        return (time.monotonic_ns() - begin) / 1e6

    def checkpoint(self, i):
        version = subprocess.run(["crun", "--version"], capture_output=True, text=True, timeout=TIMEOUT, check=True).stdout
        if "+CRIU" not in version:
            raise Failed("this crun is built without CRIU")
        return self.crun("checkpoint", "--image-path", f"{self.dir}/{i}.dump", str(i))

    def restore(self, i):
        return self.crun("restore", "--detach", "--image-path", f"{self.dir}/{i}.dump", "--bundle", f"{self.dir}/{i}", str(i))

    def list_all(self):
        return self.crun("list")


class Bare(Runtime):
    """The floor: unshare and nsenter, with the same namespaces and nothing else."""
    name, needs, veth = "bare", ("unshare", "nsenter"), False

    def __init__(self, *args):
        super().__init__(*args)
        self.running = {}

    def root(self, i):
        return f"{self.dir}/{i}"

    def create(self, i):
        os.makedirs(self.root(i))
        return self.run("tar", "--numeric-owner", "-xpf", self.guest.tar, "-C", self.root(i))

    def start(self, i):
        def command():
            self.running[i] = spawn(["unshare", "--user", "--map-root-user", "--mount", "--pid", "--fork", "--net", "--ipc",
                                     "--uts", "--cgroup", "--root", self.root(i), "/sbin/init"], self.log)
        return self.first_instruction(i, command)

    def execute(self, i):
        init = children(self.running[i])[0]
        return self.run("nsenter", "--target", str(init), "--all", "--root", "--wd", "/bin/true")

    def stop(self, i):
        outer = self.running.pop(i)
        init = children(outer)[0]
        begin = time.monotonic_ns()
        os.kill(init, signal.SIGTERM)
        os.waitpid(outer, 0)
        return (time.monotonic_ns() - begin) / 1e6


ALL = (Vessel, Lxc, Crun, Bare)
