#!/bin/bash
# convert, compact and quota*: what they say, that no file is another one afterwards, and that a kill half-way leaves the container as
# it was, or converted.
. "$(dirname "$0")/../lab/lib.sh"
. "$(dirname "$0")/../lab/ct.sh"

step "up"
need python3 fallocate
lab_up alpha
need_tiny
private=/var/lib/vz/private/101
ok create 101 --ostemplate tiny --layout image --diskspace 64M

step "what there is of files"
ok mount 101
on_alpha python3 - <<'END'
import os, socket, stat
os.chdir("/var/lib/vz/root/101/root")
os.mkdir("of all kinds", 0o2751)
os.chdir("of all kinds")
open("plain", "w").write("text")
os.chown("plain", 1000, 65534)
os.link("plain", "second name")
os.symlink("/etc/shadow", "absolute")
os.symlink("../../../../../../../tmp", "upwards")
os.symlink("nowhere", "new\nline \\ \udcff")
with open("set-user-id", "w") as f:
    os.fchown(f.fileno(), 1001, 1002)
    os.fchmod(f.fileno(), 0o6755)
with open("sparse", "w") as f:
    f.seek(20 << 20)
    f.write("end")
os.mkfifo("fifo", 0o600)
os.mknod("node", 0o640 | stat.S_IFCHR, os.makedev(1, 7))
socket.socket(socket.AF_UNIX).bind("socket")
os.setxattr("plain", "user.word", b"value")
os.setxattr("plain", "trusted.word", b"value")
os.setxattr("set-user-id", "security.capability", bytes.fromhex("0100000200040000000000000000000000000000"))
acl = bytes.fromhex("02000000" "01000600ffffffff" "02000400e8030000" "04000400ffffffff" "10000600ffffffff" "20000400ffffffff")
os.setxattr("plain", "system.posix_acl_access", acl)
os.utime("plain", ns=(1, 1234567890123456789))
os.utime("absolute", ns=(1, 987654321012345678), follow_symlinks=False)
os.chmod(".", 0)
os.utime(".", ns=(1, 1000000000999999999))
END
ok umount 101

# Of every file all but its number; names of the same file in one line.
files() {
  ok mount 101
  on_alpha python3 - <<'END'
import hashlib, os, stat
top, seen = "/var/lib/vz/root/101", {}
for at, directories, names in os.walk(top):
    for name in [".", *directories, *names]:
        path = os.path.join(at, name) if name != "." else at
        if name != "." and os.path.isdir(path) and not os.path.islink(path):
            continue
        s = os.lstat(path)
        seen.setdefault(s.st_ino, []).append(os.path.relpath(path, top))
        if len(seen[s.st_ino]) > 1:
            continue
        what = [oct(s.st_mode), s.st_uid, s.st_gid, s.st_mtime_ns, s.st_rdev, s.st_nlink if not stat.S_ISDIR(s.st_mode) else 0]
        if stat.S_ISREG(s.st_mode):
            what += [s.st_size, hashlib.sha256(open(path, "rb").read()).hexdigest(), s.st_blocks < 200 or s.st_blocks * 512 >= s.st_size]
        if stat.S_ISLNK(s.st_mode):
            what.append(os.readlink(path))
        for key in sorted(os.listxattr(path, follow_symlinks=False)):
            if not key.startswith("trusted.vessel."):
                what += [key, os.getxattr(path, key, follow_symlinks=False).hex()]
        seen[s.st_ino].insert(0, what)
for entry in sorted(repr((e[0], sorted(e[1:]))) for e in seen.values()):
    print(entry)
END
  ok umount 101
}
files > "$scratch/before"
same_files() { diff "$scratch/before" <(files) || fail "the files are not what they were $1"; }
for what in "'root/of all kinds/plain', 'root/of all kinds/second name'" 0o106755 0o20640 0o10600 0o140 security.capability trusted.word \
  posix_acl_access 1234567890123456789 "'../../../../../../../tmp'"; do
  grep -qF -- "$what" "$scratch/before" || fail "no $what was made"
done

step "what convert refuses"
expect 0 convert 101
assert_eq "$out" "CT is already on image"
expect 0 convert 101 --layout ploop:raw
assert_eq "$out" "CT is already on ploop"
expect 21 convert 101 --layout qcow2
assert_eq "$err" "Only conversion to image (ploop) and to dir (simfs) is supported"
expect 20 convert 101 surplus
ok mount 101
expect 41 convert 101 --layout dir
assert_eq "$err" "CT is mounted (umount it first)"
ok start 101
expect 32 convert 101 --layout dir
assert_eq "$err" "CT is running (stop it first)"
ok suspend 101
expect 155 convert 101 --layout dir
ok resume 101
ok stop 101
files > "$scratch/before" # the start wrote some
expect 14 convert 102

step "quota: an image has it"
for command in quotaon quotaoff quotainit; do
  expect 0 "$command" 101
  assert_contains "$out" "nothing to do"
done

step "to a directory and back"
layout() { on_alpha sed -n 's/^VE_LAYOUT="\(.*\)"$/\1/p' /etc/vz/conf/101.conf; }
expect 0 convert 101 --layout dir
assert_eq "$out" "Container was successfully converted to the dir layout"
assert_eq "$(layout)" dir
on_alpha test -x $private/sbin/init
assert_ct 101 exist unmounted down
assert_clean alpha
same_files "in the directory"
ok start 101
ok exec2 101 true
expect 32 quotaoff 101
ok stop 101
for words in "quotaon 60" "quotaoff 66" "quotainit 61"; do
  expect "${words#* }" "${words% *}" 101
  assert_eq "$err" "Disk quota is not enabled, skipping operation"
done
expect 0 compact 101
assert_contains "$out" "Compact only makes sense for ploop containers"
files > "$scratch/before"
expect 0 convert 101
assert_eq "$out" "Container was successfully converted to the image layout"
assert_eq "$(layout)" image
on_alpha test -f $private/root.img
same_files "in the image"
ok start 101
assert_eq "$(inside 101 df -m / | awk 'END { print $2 }')" 64 "its size"
ok stop 101
assert_clean alpha
files > "$scratch/before"

step "what does not fit leaves all as it was"
ok convert 101 --layout dir
on_alpha touch -r $private/etc $private/root
files > "$scratch/before"
on_alpha sh -c "head -c 12000000 /dev/urandom >$private/root/much"
ok set 101 --diskspace 4M --save
expect 46 convert 101
assert_contains "$err" "the files do not fit"
ok set 101 --diskspace unlimited --save
expect 63 convert 101
assert_eq "$(on_alpha ls /var/lib/vz/private)" 101 "private areas"
on_alpha sh -c "rm $private/root/much && touch -r $private/etc $private/root"
same_files "after conversions that failed"
ok set 101 --diskspace 64M --save
ok convert 101 --layout ploop

step "Ctrl-C, SIGTERM or kill -9 of convert, half-way: it is whole, in one layout or the other"
for signal in INT TERM KILL; do
  for delay in $(scaled 20 40 70 100 150); do
    case $(layout) in
      image) to=dir ;;
      dir) to=image ;;
    esac
    break_off -s "$signal" "$delay" vzctl convert 101 --layout $to
    assert_ct 101 exist unmounted down
    same_files "after SIG$signal after $delay s"
    assert_clean alpha
  done
  assert_broken_off "convert by SIG$signal"
done
# What a killed one left goes with the next, or with the container.
on_alpha sh -c "mkdir -p $private.converting/x && touch $private.converting/root.img"
[ "$(layout)" = dir ] || ok convert 101 --layout dir
ok convert 101
same_files "after all of them"
assert_eq "$(on_alpha ls /var/lib/vz/private)" 101 "private areas"

step "compact: what the image does not use goes back"
kib() { on_alpha sh -c "echo \$((\$(stat -c %b $private/root.img) / 2))"; }
fill() { on_alpha sh -c "fallocate -l \$(stat -c %s $private/root.img) $private/root.img"; }
fill
[ "$(kib)" -gt 65000 ] || fail "the image has holes: $(kib) KiB"
expect 0 compact 101
[[ $out =~ ^([0-9]+)\ KiB\ given\ back && ${BASH_REMATCH[1]} -gt 50000 ]] || fail "compact: $out"
[ "$(kib)" -lt 15000 ] || fail "compact left $(kib) KiB"
assert_clean alpha
same_files "in the compacted image"
ok start 101
ok exec2 101 'dd if=/dev/urandom of=/root/large bs=1M count=10 2>/dev/null; md5sum </root/large >/root/sum'
fill
expect 0 compact 101
[[ $out =~ ^([0-9]+)\ KiB\ given\ back && ${BASH_REMATCH[1]} -gt 40000 ]] || fail "compact of a running container: $out"
assert_eq "$(inside 101 'md5sum </root/large')" "$(inside 101 cat /root/sum)" "a file of the running container"
ok stop 101
expect 20 compact 101 surplus

step "down"
on_alpha mkdir $private.converting
ok destroy 101
assert_clean alpha --all
assert_eq "$(on_alpha ls /var/lib/vz/private)" "" "private areas"
