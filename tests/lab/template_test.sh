#!/bin/bash
# What the destination has of a container's OS template is not sent again; whatever differs from it is.
. "$(dirname "$0")/lib.sh"
lab_up alpha beta

# tree_of HOST CTID: all that a file system holds but the sizes of directories.
tree_of() {
  on "$1" vzctl --quiet mount "$2"
  on "$1" python3 - "/var/lib/vz/root/$2" <<'END_OF_PROGRAM'
import hashlib, os, stat, sys
os.chdir(sys.argv[1])
inodes = {}
for folder, folders, files in os.walk("."):
    folders.sort()
    for path in [folder] + sorted(os.path.join(folder, name) for name in files):
        st = os.lstat(path)
        regular, link = stat.S_ISREG(st.st_mode), stat.S_ISLNK(st.st_mode)
        print(path, oct(st.st_mode), st.st_uid, st.st_gid, st.st_mtime_ns, st.st_nlink, inodes.setdefault(st.st_ino, path),
              st.st_size if not stat.S_ISDIR(st.st_mode) else "", os.readlink(path) if link else "",
              hashlib.file_digest(open(path, "rb"), "sha256").hexdigest() if regular else "",
              [(name, os.getxattr(path, name, follow_symlinks=False)) for name in sorted(os.listxattr(path, follow_symlinks=False))])
END_OF_PROGRAM
  on "$1" vzctl --quiet umount "$2"
}
sent() { on alpha cat /sys/class/net/eth0/statistics/tx_bytes; }
# moves CTID [OPTION...]: to beta, stopped. $sent: KiB on the wire; the trees are compared.
moves() {
  local id=$1 before now
  shift
  tree_of alpha "$id" >"$scratch/before"
  before=$(sent)
  on alpha vzmigrate "$@" beta "$id" >"$scratch/said"
  now=$(sent)
  sent=$(((now - before) / 1024))
  tree_of beta "$id" >"$scratch/after"
  diff "$scratch/before" "$scratch/after" >&2 || fail "CT $id is not the same on beta"
}
create() { on alpha vzctl --quiet create "$1" --ostemplate os "${@:2}"; }
inside() { on alpha sh -c "vzctl --quiet mount $1 && cd /var/lib/vz/root/$1 && $2 && cd / && vzctl --quiet umount $1"; }

step "a template of 40 MiB, known to alpha and beta"
cache=/var/lib/vz/template/cache
for host in alpha beta; do on $host mount -t tmpfs cache $cache; done
on alpha sh -c 'mkdir -p /tmp/os/etc /tmp/os/bin /tmp/os/sbin /tmp/os/many && cd /tmp/os && cp "$(command -v busybox)" bin/sh && ln bin/sh sbin/init
  for i in $(seq 1000); do echo "file $i" > many/$i; done
  head -c 38m /dev/urandom > large; for i in 1 2 3 4; do head -c 500k /dev/urandom > file$i; done
  setfattr -n user.kept -v yes file4 2> /dev/null; touch -d 2024-05-06 large file? many/* && chown 1000:1000 file3
  tar --xattrs -C /tmp/os -cf /tmp/os.tar . && vztmpl import /tmp/os.tar --name os > /dev/null && rm -r /tmp/os /tmp/os.tar'
on alpha rsync -a $cache/ beta:$cache/

step "of a container as it was made, little more than names is sent"
for layout in image dir; do
  create 101 --layout $layout --diskspace 128M
  assert_contains "$(on alpha cat /etc/vz/conf/101.conf)" "OSTEMPLATE_DIGEST=\"$(on alpha sh -c "sha256sum < $cache/os.tar.zst | cut -d ' ' -f 1")\""
  moves 101
  say "$layout: $sent KiB sent of some 41000"
  [ $sent -lt 4000 ] || fail "$sent KiB sent"
  on beta vzctl --quiet destroy 101
done

step "what differs is sent, also where size and time are those of the template"
change='head -c 500k /dev/urandom | dd of=file1 conv=notrunc 2> /dev/null && touch -d 2024-05-06 file1 &&
  rm -r many/1* file2 && ln -s many file2 && chmod 600 file3 && ln large another && mkdir many/7.d && mv many/7 many/7.d && echo new > new'
create 102 --diskspace 128M
inside 102 "$change"
moves 102
[ $sent -gt 500 ] && [ $sent -lt 5000 ] || fail "$sent KiB sent"
on beta vzctl --quiet destroy 102

step "of a large one only what may be the template's is read"
create 107 --diskspace 2G
inside 107 "$change && fallocate -l 1100M much"
moves 107
on beta vzctl --quiet destroy 107

step "what an earlier try has kept of it is compared all the same"
create 103 --diskspace 128M
assert_status 6 on alpha vzmigrate --keep-dst --rsync=--no-such-option beta 103
on beta test -e /var/lib/vz/private/103.migrating.template
inside 103 "$change"
moves 103
[ $sent -gt 500 ] && [ $sent -lt 5000 ] || fail "$sent KiB sent"
on beta vzctl --quiet destroy 103

step "another template of that name, none, or one that does not fit: all is sent"
create 104 --diskspace 128M
on alpha sed -i 's/^OSTEMPLATE_DIGEST="..../&0000/; s/\(OSTEMPLATE_DIGEST=".\{64\}\).*/\1"/' /etc/vz/conf/104.conf
moves 104
[ $sent -gt 40000 ] || fail "$sent KiB sent"
on beta vzctl --quiet destroy 104
create 105 --diskspace 128M
inside 105 'rm large'
on alpha sed -i 's/^DISKSPACE=.*/DISKSPACE="16M:16M"/' /etc/vz/conf/105.conf
moves 105
[ $sent -gt 1500 ] || fail "$sent KiB sent"
on beta vzctl --quiet destroy 105
on beta rm $cache/os.tar.zst
create 106 --diskspace 128M
moves 106
[ $sent -gt 40000 ] || fail "$sent KiB sent"
on beta vzctl --quiet destroy 106

step "down"
for host in alpha beta; do
  on $host umount $cache
  assert_clean $host --all
done
