#!/bin/bash
# Every parameter that `vzctl set` has: set on a running container, told, stored, listed, in effect at once and after a restart. A
# parameter without a row here fails: whoever makes one says what it does.
. "$(dirname "$0")/../lab/lib.sh"
. "$(dirname "$0")/../lab/ct.sh"

conf=/etc/vz/conf/101.conf
rows= more=() # options that have a row; what goes behind the option of the next row
declare -A effects # by what shows it: what it must show after a restart

listed() { on_alpha vzlist -aHo "$1" 101 | sed 's/^ *//; s/ *$//'; }
is_stored() { [ "$1" = - ] || on_alpha grep -qxF "$1" $conf || fail "--$option: '$1' is not in the file: $(on_alpha cat $conf)"; }
shows() { [ "$1" = - ] || assert_eq "$(eval "$1")" "$2" "--$option, $3: $1"; }

# row OPTION VALUE STORED-LINE COLUMN=TEXT [EFFECT TEXT]: "-" where there is none. $warned: what is warned about; $when: "start" where
# it has its effect later.
row() {
  local option=$1 value=$2 stored=$3 list=$4 effect=${5--} wanted=${6-}
  rows+=" $option"
  expect 0 set 101 "--$option" "$value" "${more[@]}" --save
  if [ -z "$warned" ]; then assert_eq "$err" "" "--$option: errors"; else assert_contains "$err" "$warned" "--$option: errors"; fi
  is_stored "$stored"
  [ "$list" = - ] || assert_eq "$(listed "${list%%=*}")" "${list#*=}" "--$option, listed"
  [ "$when" = start ] || shows "$effect" "$wanted" "at once"
  [ "$effect" = - ] || effects[$effect]=$wanted
  more=() warned= when=
}
warned= when=

# kept OPTION VALUE STORED-LINE
kept() {
  warned="--$1 is kept, but without effect: "
  row "$1" "$2" "$3" -
}

memory() { knob 101 memory.limit_in_bytes memory.max; }
swap() { knob 101 memory.memsw.limit_in_bytes memory.swap.max; }
cpu_weight() { knob 101 cpu.shares cpu.weight; }
cpu_limit() { knob 101 cpu.cfs_quota_us cpu.max | cut -d ' ' -f 1; }
# rate BYTES|OPERATIONS: of reading, on its own disk.
rate() {
  case $1 in
    bytes) knob 101 blkio.throttle.read_bps_device io.max ;;
    operations) knob 101 blkio.throttle.read_iops_device io.max ;;
  esac | sed -E 's/.* rbps=(\S+) .*riops=(\S+) .*/bytes \1 operations \2/' | grep -oE "($1|^\S+) [0-9]+" | sed 's/.* //'
}
io_weight() { knob 101 blkio.bfq.weight io.bfq.weight | sed 's/default //'; }
# has_capability NUMBER: 1 or 0, of its init.
has_capability() { echo $((0x$(inside 101 sed -n 's/^CapBnd:.//p' /proc/1/status) >> $1 & 1)); }
link_mac() { on_alpha cat /sys/class/net/"$1"/address 2>/dev/null || echo none; }

step "up: 101 is on a disk whose scheduler knows weights"
lab_up alpha
need_tiny
mkdisk='truncate -s 400M /var/lib/vz/disk.img && mkfs.ext4 -q /var/lib/vz/disk.img && mkdir -p /srv/disk &&
  mount -o loop /var/lib/vz/disk.img /srv/disk && name=$(basename "$(findmnt -no SOURCE /srv/disk)") &&
  { echo bfq > /sys/block/$name/queue/scheduler; } 2>/dev/null; cat /sys/block/$name/queue/scheduler'
bfq=$(on_alpha sh -c "$mkdisk")
on_alpha ip link add mov0 type veth peer name mov1
ok create 101 --ostemplate tiny --diskspace 64M --private /srv/disk/101
ok create 102 --ostemplate tiny --layout image --diskspace 64M --diskinodes 3000
ok start 101

step "identity, start and stop"
row name parrot 'NAME="parrot"' name=parrot 'on_alpha vzctl status parrot | cut -d " " -f 2' 101
row description "two words" 'DESCRIPTION="two words"' "description=two words"
row hostname one.example.org 'HOSTNAME="one.example.org"' hostname=one.example.org 'inside 101 hostname' one.example.org
row ostemplate tiny 'OSTEMPLATE="tiny"' ostemplate=tiny
row onboot yes 'ONBOOT="yes"' onboot=yes
row bootorder 7 'BOOTORDER="7"' bootorder=7
row autostop stop 'AUTOSTOP="stop"' autostop=stop
row stop-timeout 30 'STOP_TIMEOUT="30"' -
row layout image 'VE_LAYOUT="image"' layout=image

step "network"
addresses() { inside 101 ip -4 addr show dev venet0 | sed -nE 's/.*inet ([0-9.]+).*/\1/p' | sort | paste -sd ' '; }
row ipadd 10.77.0.60 'IP_ADDRESS="10.77.0.60"' ip=10.77.0.60 addresses 10.77.0.60
row ip 10.77.0.61/24 'IP_ADDRESS="10.77.0.60 10.77.0.61/24"' - addresses "10.77.0.60 10.77.0.61"
row ipdel 10.77.0.60 'IP_ADDRESS="10.77.0.61/24"' ip=10.77.0.61 addresses 10.77.0.61
row netif_add eth0,00:18:51:00:00:01,veth101.a,FE:18:51:00:00:01 \
  'NETIF="ifname=eth0,mac=00:18:51:00:00:01,host_ifname=veth101.a,host_mac=FE:18:51:00:00:01"' - \
  'inside 101 cat /sys/class/net/eth0/address; link_mac veth101.a' $'00:18:51:00:00:01\nfe:18:51:00:00:01'
more=(--mac 00:18:51:00:00:02 --host_ifname veth101.b --bridge br0 --mac_filter on --host_mac FE:18:51:00:00:02)
unset 'effects[inside 101 cat /sys/class/net/eth0/address; link_mac veth101.a]'
row ifname eth0 \
  'NETIF="ifname=eth0,bridge=br0,mac=00:18:51:00:00:02,host_ifname=veth101.b,host_mac=FE:18:51:00:00:02,mac_filter=on"' - \
  'inside 101 cat /sys/class/net/eth0/address; link_mac veth101.b; on_alpha ls /sys/class/net/br0/brif | grep veth' \
  $'00:18:51:00:00:02\nfe:18:51:00:00:02\nveth101.b'
ok set 101 --netif_add eth1,,veth101.c --save
row netif_del eth1 "$(on_alpha grep ^NETIF= $conf | sed 's/;.*/"/')" - 'link_mac veth101.c' none
row netdev_add mov0 'NETDEV="mov0"' - 'inside 101 ls /sys/class/net/ | grep mov; on_alpha ls /sys/class/net | grep mov' $'mov0\nmov1'
unset 'effects[inside 101 ls /sys/class/net/ | grep mov; on_alpha ls /sys/class/net | grep mov]'
row netdev_del mov0 'NETDEV=""' - 'on_alpha ls /sys/class/net | grep -c mov' 2
row nameserver 10.77.0.1 'NAMESERVER="10.77.0.1"' nameserver=10.77.0.1 'inside 101 cat /etc/resolv.conf | grep nameserver' \
  "nameserver 10.77.0.1"
row searchdomain example.org 'SEARCHDOMAIN="example.org"' searchdomain=example.org \
  'inside 101 cat /etc/resolv.conf | grep search' "search example.org"

step "limits"
row physpages 0:32768 'PHYSPAGES="0:32768"' physpages.l=32768 memory $((128 << 20))
row ram 96M 'PHYSPAGES="0:24576"' physpages.l=24576 memory $((96 << 20))
swap_effect=swap swap_base=0
on_alpha test ! -e /sys/fs/cgroup/memory || swap_base=$((96 << 20))
knob 101 memory.memsw.limit_in_bytes memory.swap.max >/dev/null 2>&1 || swap_effect=-
row swappages 0:4096 'SWAPPAGES="0:4096"' swappages.l=4096 $swap_effect $((swap_base + (16 << 20)))
row swap 8M 'SWAPPAGES="0:2048"' swappages.l=2048 $swap_effect $((swap_base + (8 << 20)))
row numproc 150 'NUMPROC="150"' numproc.l=150 'knob 101 pids.max' 150
weight=2048
on_alpha test -e /sys/fs/cgroup/cpu || weight=200
row cpuunits 2000 'CPUUNITS="2000"' cpuunits=2000 cpu_weight $weight
none=-1
on_alpha test -e /sys/fs/cgroup/cpu || none=max
[ "$(nproc)" = 1 ] || none=100000
row cpus 1 'CPUS="1"' cpus=1 cpu_limit $none
row cpulimit 50 'CPULIMIT="50"' cpulimit=50 cpu_limit 50000
row cpumask 0 'CPUMASK="0"' - 'knob 101 cpuset.cpus' 0
more=(--cpumask 0)
row nodemask 0 'NODEMASK="0"' - 'knob 101 cpuset.mems' 0
row iolimit 10 'IOLIMIT="10485760"' iolimit=10485760 'rate bytes' 10485760
row iopslimit 100 'IOPSLIMIT="100"' iopslimit=100 'rate operations' 100
if [[ $bfq = *\[bfq\]* ]]; then
  row ioprio 6 'IOPRIO="6"' ioprio=6 io_weight 120
  row ioprio 0 'IOPRIO="0"' - io_weight 64
else
  warned="--ioprio is kept, but without effect: disk loop"
  row ioprio 6 'IOPRIO="6"' ioprio=6
fi
warned="--diskinodes is ignored for an image: its inodes grow with --diskspace"
row diskinodes 3000 - -

step "rights"
warned="Unable to set capability on a running container" when=start
row capability net_raw:off 'CAPABILITY="NET_RAW:off"' - 'has_capability 13' 0
assert_eq "$(has_capability 13)" 1 "capability of the running one"
row devnodes net/tun:rw 'DEVNODES="net/tun:rw"' - 'inside 101 stat -c %t:%T /dev/net/tun' a:c8
row devices c:1:11:r 'DEVICES="c:1:11:r"' - 'inside 101 stat -c %t:%T /dev/kmsg' 1:b
row userpasswd root:secret - - "inside 101 grep -c '^root:[$]' /etc/shadow" 1

step "kept, without effect, with the reason"
kept kmemsize 14M:16M 'KMEMSIZE="14680064:16777216"'
assert_eq "$(listed kmemsize.l)" 16777216 "listed"
kept lockedpages 256 'LOCKEDPAGES="256"'
kept privvmpages 65536:69632 'PRIVVMPAGES="65536:69632"'
kept shmpages 21504 'SHMPAGES="21504"'
kept vmguarpages 33792:unlimited 'VMGUARPAGES="33792:unlimited"'
kept oomguarpages 26112:unlimited 'OOMGUARPAGES="26112:unlimited"'
kept dcachesize 3409920:3624960 'DCACHESIZE="3409920:3624960"'
kept vm_overcommit 1.5 'VM_OVERCOMMIT="1.5"'
kept meminfo pages:65536 'MEMINFO="pages:65536"'
kept numtcpsock 360 'NUMTCPSOCK="360"'
kept numothersock 360 'NUMOTHERSOCK="360"'
kept numflock 188:206 'NUMFLOCK="188:206"'
kept numpty 16 'NUMPTY="16"'
kept numsiginfo 256 'NUMSIGINFO="256"'
kept numfile 9312 'NUMFILE="9312"'
kept numiptent 128 'NUMIPTENT="128"'
kept avnumproc 180 'AVNUMPROC="180"'
kept tcpsndbuf 1720320:2703360 'TCPSNDBUF="1720320:2703360"'
kept tcprcvbuf 1720320:2703360 'TCPRCVBUF="1720320:2703360"'
kept othersockbuf 1126080:2097152 'OTHERSOCKBUF="1126080:2097152"'
kept dgramrcvbuf 262144 'DGRAMRCVBUF="262144"'
kept diskquota yes 'DISK_QUOTA="yes"'
kept quotatime 259200 'QUOTATIME="259200"'
kept quotaugidlimit 100 'QUOTAUGIDLIMIT="100"'
kept mount_opts noatime 'MOUNT_OPTS="noatime"'
kept iptables "iptable_filter iptable_nat" 'IPTABLES="iptable_filter iptable_nat"'
kept netfilter full 'NETFILTER="full"'
kept features nfs:on 'FEATURES="nfs:on"'

step "the file, read again: nothing changes it, and after a restart all of it is in effect"
before=$(on_alpha cat $conf)
ok restart 101
ok set 101 --onboot yes --save
assert_contains "$out" "No changes in CT configuration, not saving"
assert_eq "$(on_alpha cat $conf)" "$before" "the file"
for effect in "${!effects[@]}"; do
  option=$effect
  shows "$effect" "${effects[$effect]}" "after a restart"
done

if [[ $bfq = *\[bfq\]* ]] && on_alpha test -e /sys/fs/cgroup/blkio; then
  step "the scheduler counts what it does for its weight"
  ok exec2 101 'dd if=/dev/zero of=/some bs=64k count=16 conv=fsync 2>/dev/null; echo 3 > /proc/sys/vm/drop_caches 2>/dev/null; cat /some > /dev/null'
  served=$(on_alpha sed -n 's/^Total //p' /sys/fs/cgroup/blkio/vz/101/blkio.bfq.io_service_bytes_recursive)
  [ "$served" -gt 1000000 ] || fail "it served $served bytes"
fi
disk=$(on_alpha sh -c 'cat "$(readlink -f "/sys/dev/block/$(stat -c %Hd:%Ld /var/lib/vz/private/102)")"/queue/scheduler \
  "$(readlink -f "/sys/dev/block/$(stat -c %Hd:%Ld /var/lib/vz/private/102)")"/../queue/scheduler 2>/dev/null' || true)
if [ -n "$disk" ] && [[ $disk != *\[bfq\]* ]]; then
  expect 0 set 102 --ioprio 6 --save
  assert_contains "$err" "--ioprio is kept, but without effect: disk "
  assert_contains "$err" "/queue/scheduler"
fi

step "what a stopped one takes"
for option in root private; do
  expect 32 set 101 --$option /srv/disk/elsewhere --save
  assert_contains "$err" "on a running container"
done
ok stop 101 --fast
row root /srv/disk/root 'VE_ROOT="/srv/disk/root"' root=/srv/disk/root
on_alpha mv /srv/disk/101 /srv/disk/moved
row private /srv/disk/moved 'VE_PRIVATE="/srv/disk/moved"' private=/srv/disk/moved
# Growing one that is mounted takes a right that not every host has, see system/limits.
size='inside 101 df -k / | awk "END { print \$2 }"' when=start
row diskspace 100M 'DISKSPACE="102400"' diskspace.s=102400 "$size" 102400
row disabled yes 'DISABLED="yes"' disabled=yes
expect 105 start 101
row disabled no 'DISABLED="no"' disabled=no
ok start 101
on_alpha mountpoint -q /srv/disk/root || fail "not mounted there"
option=diskspace
shows "$size" 102400 "after a start"
ok start 102
inodes=$(inside 102 df -i / | awk 'END { print $2 }')
[ "$inodes" -ge 3000 ] && [ "$inodes" -lt 4000 ] || fail "DISKINODES 3000: $inodes inodes"

step "each option has its row"
options=$(on_alpha vzctl set --help | awk '/^Parameters/ { all = 0; on = 1 } /^Kept/ { all = 1 }
  on { for (i = 1; i <= (all ? NF : 1); i++) if ($i ~ /^--/) print substr($i, 3) }' | sort -u)
[ "$(wc -w <<<"$options")" -gt 60 ] || fail "where are the options? $options"
missing=$(comm -23 <(echo "$options") <(tr ' ' '\n' <<<"$rows" | sort -u))
assert_eq "$missing" "" "options without a row in this test"
gone=$(comm -13 <(echo "$options") <(tr ' ' '\n' <<<"$rows" | grep . | sort -u))
assert_eq "$gone" "" "rows of options that are no more"

step "down"
for id in 101 102; do
  ok stop $id --fast
  ok destroy $id
done
on_alpha sh -c 'ip link del mov0; umount /srv/disk; rm /var/lib/vz/disk.img; rmdir /var/lib/vz/root/101'
assert_clean alpha --all
