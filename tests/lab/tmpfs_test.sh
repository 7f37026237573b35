#!/bin/bash
# What a guest keeps in a tmpfs goes ahead: the freeze does not grow with it, and what changes meanwhile is there too.
. "$(dirname "$0")/lib.sh"
. "$(dirname "$0")/moves.sh"
address=10.77.0.50 mib=${VESSEL_MIB:-256}
[ "$slowness" = 1 ] || mib=48

lab_up alpha beta client

init_of() { on "$1" sed -n 's/^INIT="\(.*\)"$/\1/p' /run/vz/101/state; }
# Everything in the tree but the probe's files, as the host sees it: names, kinds, modes, owners, times, links, contents.
tree_of() {
  on "$1" sh -c 'cd "/proc/$1/root/srv" && find . -path ./probe -prune -o -printf "%p %y %m %U %G %s %T@ %n %l\n" | sort &&
    find . -path ./probe -prune -o -type f -exec sha256sum {} + | sort' tree "$(init_of "$1")"
}
inside() { on "$1" vzctl exec2 101 "$2"; }
pause() { on "$1" sh -c "mkdir -p /run/vz; rm -f /run/vz/fault*; echo $2 pause > /run/vz/fault"; }
paused() { on "$1" test -e /run/vz/fault.reached; }
go_on() { on "$1" rm -f /run/vz/fault /run/vz/fault.reached; }
files_checked() { inside "$1" 'test ! -e /root/files || cut -d" " -f1 /root/files'; }
files_checked_again() { [[ $(files_checked "$1") -gt $2 ]]; }
assert_files_right() {
  eventually 30 files_checked_again "$1" $(($(files_checked "$1") + 1))
  assert_eq "$(inside "$1" 'cut -d" " -f2 /root/files')" 0 "wrong numbers in its files"
}

step "a guest with $mib MiB in a tmpfs, and a program that writes there in every way"
need_tiny alpha
make_guest alpha 101 tiny $address --ram $((mib + 128))M
inside alpha 'cat > /usr/bin/probe-files; chmod 755 /usr/bin/probe-files' < "$probes/probe-files"
inside alpha "mount -t tmpfs -o size=$((mib + 64))m,mode=1750,nosuid tmpfs /srv && mkdir -p /srv/probe '/srv/a b/c' /srv/gone &&
  dd if=/dev/urandom of=/srv/big bs=1M count=$mib 2> /dev/null && cd /srv &&
  echo old > 'a b/c/old' && echo x > gone/file && dd if=/dev/zero of=once bs=4k count=4 2> /dev/null && ln -s nowhere link &&
  mkfifo fifo && echo y > owned && chown 33:44 owned && chmod 4711 owned && mkdir shm && mount -t tmpfs none shm && echo s > shm/s"
inside alpha 'setsid probe-files /srv/probe /root/files > /dev/null 2>&1 < /dev/null &'
eventually 30 files_checked_again alpha 0

step "moved; what was written, renamed, linked and removed after the copy is there too"
pause alpha memory-copied
on alpha vzmigrate --online --precopy 0 --times beta 101 > "$scratch/move" 2>&1 &
mover=$!
eventually 60 paused alpha
inside alpha "cd /srv && probe-files once once && mv 'a b' renamed && rm -r gone && echo new > renamed/c/new && chmod 600 owned &&
  echo more >> renamed/c/old && mkdir -p deep/er && echo z > deep/er/z && ln -sf elsewhere link"
tree_of alpha > "$scratch/before"
go_on alpha
wait $mover || fail "not moved: $(<"$scratch/move")"
tree_of beta > "$scratch/after"
diff "$scratch/before" "$scratch/after" || fail "the trees differ"
assert_files_right beta
assert_eq "$(inside beta 'cat /srv/shm/s')" s "what is mounted below"
assert_contains "$(inside beta 'grep " /srv " /proc/mounts')" "rw,nosuid,relatime,size=$(((mib + 64) * 1024))k"
assert_clean alpha --all
assert_contains "$(<"$scratch/move")" "tmpfs, beforehand"

step "it counts as the container's memory there"
pages=$(on beta vzlist -H -o physpages 101 | tr -d ' ')
[ "$pages" -ge $((mib * 256)) ] || fail "$pages pages are counted"

step "the freeze does not grow with it"
full=$(frozen "$(on beta vzmigrate --online --precopy 0 --times alpha 101)")
tree_of alpha > "$scratch/after"
diff "$scratch/before" "$scratch/after" || fail "the trees differ after the way back"
assert_files_right alpha
inside alpha "cp /srv/big /root/big && rm /srv/big"
out=$(on alpha vzmigrate --online --precopy 0 --times beta 101)
[[ $out != *"tmpfs, beforehand"* ]] || fail "a small tmpfs went ahead"
empty=$(frozen "$out")
assert_files_right beta
inside beta "mv /root/big /srv/big"
say "frozen for $(frozen "$(<"$scratch/move")") and $full s with $mib MiB, for $empty s without"
# criu packs and unpacks some 400 MB a second.
[ "$slowness" != 1 ] || awk "BEGIN { exit !($full < $empty + $mib / 800) }" || fail "the freeze grew"

step "with a name left to a file of two, criu gives the open one another"
inside beta 'cd /srv && echo linked > two && ln two one && (exec 5< two; rm two; exec setsid sleep 1000 > /dev/null 2>&1 < /dev/null) &'
on beta vzmigrate --online --precopy 0 alpha 101 > /dev/null
assert_eq "$(inside alpha 'cat /srv/one; cat /proc/$(pidof sleep)/fd/5; ls /srv | grep -c link_remap')" $'linked\nlinked\n0'
assert_files_right alpha

step "mounted otherwise meanwhile: told, and it goes on"
pause alpha memory-copied
on alpha vzmigrate --online --precopy 0 beta 101 > "$scratch/move" 2>&1 &
mover=$!
eventually 60 paused alpha
inside alpha "mount --bind /root /srv"
go_on alpha
wait $mover && fail "moved"
assert_contains "$(<"$scratch/move")" "the CT changed its mount of '/srv' meanwhile"
inside alpha "umount /srv"
assert_files_right alpha
assert_clean beta --all

step "both hosts are as before when either tool is killed, and the same move succeeds then"
for fault in "alpha sent" "beta restored"; do
  read -r host name <<< "$fault"
  on "$host" sh -c "mkdir -p /run/vz; echo $name kill > /run/vz/fault"
  on alpha vzmigrate --online --precopy 0 beta 101 > "$scratch/move" 2>&1 && fail "moved"
  eventually 30 files_checked_again alpha "$(files_checked alpha)"
  go_on "$host"
  eventually 30 is_clean beta --all
done
on alpha vzmigrate --online --precopy 0 beta 101 > /dev/null
assert_files_right beta
assert_clean alpha --all

step "destroyed"
on beta vzctl --quiet stop 101 --fast
on beta vzctl --quiet destroy 101
assert_clean beta --all
