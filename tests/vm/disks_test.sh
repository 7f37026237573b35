#!/bin/bash
# Private areas that are plain directories of btrfs and of xfs: start, exec, stop, suspend and resume, moves live and stopped.
VESSEL_BED=vm
. "$(dirname "$0")/../lab/lib.sh"
. "$(dirname "$0")/../lab/ct.sh"
lab_up alpha beta
need_tiny

on_beta() { on beta vzctl exec2 "$@"; }
for disk in btrfs xfs; do
  area=/srv/$disk/private/101
  for host in alpha beta; do
    on $host mount /srv/$disk
    on $host sed -i "s|^VE_PRIVATE=.*|VE_PRIVATE=\"/srv/$disk/private/\$VEID\"|" /etc/vz/vz.conf
  done

  step "$disk: starts, stops and starts again"
  ok create 101 --ostemplate tiny --layout dir
  ok start 101 --wait
  assert_eq "$(on_alpha stat -fc %T "/proc/$(init_of 101)/root/")" $disk "file system of the root"
  ok exec2 101 'echo kept >/root/file && ln /root/file /root/hard && chown 33:33 /root/file'
  assert_eq "$(on_alpha stat -c '%u %h' "$area/root/file")" "33 2" "owner and links on disk"
  ok stop 101
  assert_ct 101 exist unmounted down
  assert_clean alpha
  ok start 101 --wait
  ok exec2 101 'exec 8<>/root/open; rm /root/open; echo gone >&8; (sleep 5000 <&8 >/dev/null 2>&1 &)'
  sleeper() { "$@" 'cat /proc/$(pidof sleep)/fd/8'; }
  assert_eq "$(sleeper inside 101)" gone "a file that is open and deleted"

  step "$disk: suspended and resumed"
  ok suspend 101
  ok resume 101
  assert_eq "$(sleeper inside 101)" gone "a file that is open and deleted"

  step "$disk: live to beta, stopped and back"
  on_alpha vzmigrate --online beta 101 >/dev/null
  assert_eq "$(on beta vzctl status 101)" "CTID 101 exist mounted running"
  assert_eq "$(sleeper on_beta 101)" gone "a file that is open and deleted"
  assert_eq "$(on beta stat -fc %T "$area/root/file")" $disk "file system there"
  assert_clean alpha --all
  on beta vzctl --quiet stop 101
  on beta vzmigrate alpha 101 >/dev/null
  ok start 101 --wait
  assert_eq "$(inside 101 'cat /root/hard; stat -c "%u %h" /root/file')" $'kept\n33 2' "what was written"
  ok stop 101
  ok destroy 101
  assert_eq "$(on_alpha ls -A "/srv/$disk/private")" "" "left on alpha's disk"
  assert_eq "$(on beta ls -A "/srv/$disk/private")" "" "left on beta's disk"
  for host in alpha beta; do
    assert_clean $host --all
    on $host umount /srv/$disk
  done
done
