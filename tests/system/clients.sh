#!/bin/bash
# What programs written for OpenVZ's vzctl call, and how they read the answers: Pacemaker's agent, libvirt, fog, Ansible, Nova,
# Puppet, Zabbix and others. Each calls as its program does, and reads with the program's own expression.
. "$(dirname "$0")/../lab/lib.sh"
. "$(dirname "$0")/../lab/ct.sh"
lab_up alpha
need_tiny
on_alpha sh -c '[ -e /usr/sbin/vzctl ] || ln -s "$(command -v vzctl)" /usr/sbin/vzctl'

# matches EXPRESSION TEXT WHO: as a whole, by Python's re, which all of them come close to.
matches() {
  python3 -c 'import re, sys; sys.exit(0 if re.fullmatch(sys.argv[1], sys.argv[2], re.S) else 1)' "$1" "$2" ||
    fail "$3 does not understand: '$2'"
}
# silent COMMAND...: its output; fog takes any text on standard error for a failure.
silent() { on_alpha sh -c '"$@" 2> /run/silent' sh "$@" && [ -z "$(on_alpha cat /run/silent)" ]; }

step "Pacemaker: the stock agent ManageVE under ocf-tester"
ok create 101 --ostemplate tiny --hostname one.example.org --name first --ipadd 10.77.0.50 --diskspace 64M:70M
agent=/usr/lib/ocf/resource.d/heartbeat/ManageVE
if on_alpha test -x "$agent" -a -x /usr/sbin/ocf-tester; then
  on_alpha ocf-tester -n ct101 -o veid=101 "$agent" > "$scratch/ocf" 2>&1 || fail "$(<"$scratch/ocf")"
  assert_contains "$(<"$scratch/ocf")" "passed all tests" ocf-tester
  ocf() { on_alpha env OCF_ROOT=/usr/lib/ocf OCF_RESKEY_veid=101 OCF_RESOURCE_INSTANCE=ct101 "$agent" "$1"; }
  ocf start && ocf monitor && ocf migrate_to || fail "the agent cannot suspend it"
  ocf migrate_from && ocf monitor || fail "the agent cannot resume it"
  ocf stop
else
  say "no ocf-tester here (package resource-agents)"
fi

step "libvirt"
ok create 102 --ostemplate tiny --diskspace 64M
matches 'vzctl version \d+(\.\d+){0,2}.*' "$(on_alpha vzctl --help | head -n 1)" libvirt
ok start 101
matches '( *\d+ (running|stopped|suspended|mounted)\n?)*' "$(on_alpha vzlist -a -ovpsid,status -H)" libvirt
assert_eq "$(on_alpha vzlist -ovpsid -H | tr -d ' ')" 101 "running ids"
assert_eq "$(on_alpha vzlist -ovpsid -H -S | tr -d ' ')" 102 "ids of those that do not run"
assert_eq "$(on_alpha vzlist first -ostatus -H)" running status
assert_eq "$(on_alpha vzlist first -ovpsid -H | tr -d ' ')" 101 "id of a name"
assert_eq "$(on_alpha vzlist -o hostname first -H)" one.example.org hostname
assert_eq "$(on_alpha vzlist -o hostname 102 -H)" - "no hostname"
matches ' *\d+ +\d+\n?' "$(on_alpha vzlist --no-header -oprivvmpages.b,privvmpages.l first)" libvirt
on_alpha vzctl --quiet create 103 --name guest3 --ostemplate tiny
on_alpha vzctl --quiet set guest3 --netif_add eth0,52:54:00:11:22:33,veth103.0,52:54:00:11:22:34 --save
on_alpha grep -qE '^NETIF="ifname=eth0,(bridge=[^,]*,)?mac=52:54:00:11:22:33,host_ifname=veth103.0,host_mac=52:54:00:11:22:34"' \
  /etc/vz/conf/103.conf || fail "NETIF: $(on_alpha grep NETIF /etc/vz/conf/103.conf)"
on_alpha sh -c 'echo "#UUID: 11112222-3333-4444-5555-666677778888" >> /etc/vz/conf/103.conf'
for option in "--onboot yes" "--cpus 2" "--kmemsize 67108864" "--privvmpages 65536:69632" "--vmguarpages 33792:2147483647" \
  "--diskspace 1000000:1100000"; do
  on_alpha vzctl --quiet set guest3 $option --save || fail "vzctl set guest3 $option --save"
done
on_alpha grep -q '^#UUID: 11112222-3333-4444-5555-666677778888$' /etc/vz/conf/103.conf || fail "a comment is lost"
on_alpha vzctl --quiet start guest3
on_alpha vzctl --quiet chkpnt guest3 --suspend
on_alpha vzctl --quiet chkpnt guest3 --resume
on_alpha vzctl --quiet restart guest3
on_alpha vzctl --quiet stop guest3
on_alpha vzctl --quiet destroy guest3

step "words of the status line (vagrant-openvz, ruby-openvz, HyperVM, an iSCSI script)"
matches '[a-z]+ [0-9]+ ([a-z]+) ([a-z]+) ([a-z]+)' "$(vz status 101 | tr A-Z a-z)" vagrant-openvz
assert_eq "$(vz status 102)" "CTID 102 exist unmounted down"
assert_eq "$(vz status 999)" "CTID 999 deleted unmounted down"

step "fog, Ansible, pyinfra: JSON, and not a word on standard error"
for command in "vzlist -a -j" "vzlist -a -j 101" "vzlist -j" "vzlist -a1j" "vzlist -aj 101"; do
  silent $command | python3 -c '
import json, sys
for ct in json.load(sys.stdin):
    if "-a1j" in sys.argv:
        assert list(ct) == ["veid"] and ct["veid"] in (101, 102), ct
        continue
    assert ct["ctid"] == ct["veid"] == ct["vpsid"] and ct["ctid"] in (101, 102), ct
    assert ct["status"] in ("running", "stopped"), ct
    assert isinstance(ct["ip"], list) and {"hostname", "private", "root", "description", "layout"} <= set(ct), ct
    assert {"hardlimit", "softlimit"} <= set(ct["diskspace"]) and "limit" in ct["physpages"], ct
' $command || fail "$command"
done
assert_eq "$(on_alpha vzlist -a -j 999 || true)" "[]" "none of that number"
assert_contains "$(on_alpha vzlist -a 999 2>&1 || true)" "not found" "none of that number"
bad=$(on_alpha grep -vE '^\s*\w+\s*=\s*"[^"]*"\s*$|^#|^$' /etc/vz/conf/101.conf) && fail "lines that Ansible's module cannot read: $bad"
assert_status 32 on_alpha vzctl start 101 2> /dev/null
assert_status 0 on_alpha vzctl stop 102 2> /dev/null

step "Nova: a name and JSON as description, in the last column"
uuid=7a1d3b9e-0c3d-4b36-9a55-4be3dd4de321
on_alpha vzctl set 102 --save --name $uuid --description '{"uuid": "'$uuid'", "flavor": "m1 tiny"}' > /dev/null
line=$(on_alpha vzlist --no-header --all --output ctid,status,description --description '*"uuid": "'$uuid'"*')
read -r id state description <<< "$line"
assert_eq "$id $state $description" '102 stopped {"uuid": "'$uuid'", "flavor": "m1 tiny"}'
for option in "--numflock 200:220" "--numfile 9312" "--numtcpsock 360" "--vmguarpages 33792:2147483647" "--privvmpages 65536:69632" \
  "--kmemsize 14372700:14790164" "--cpuunits 1000" "--cpulimit 50" "--cpus 1" "--ioprio 4" "--diskspace 1048576:1153024"; do
  on_alpha vzctl set 102 --save $option > /dev/null || fail "vzctl set 102 --save $option"
done

step "Puppet"
assert_status 0 on_alpha vzlist 101 > /dev/null
assert_status 1 on_alpha vzlist 999 > /dev/null 2>&1
assert_eq "$(on_alpha vzlist -a -o status -H 102 | tr -d ' ')" stopped
assert_eq "$(on_alpha vzlist -a -o ip -H 101 | tr -d ' ')" 10.77.0.50
assert_eq "$(on_alpha sh -c '. /etc/vz/conf/101.conf && echo "$IP_ADDRESS $HOSTNAME"')" "10.77.0.50 one.example.org"
ok set 102 --applyconfig basic --save
ok set 101 --ipdel all --ipadd 10.77.0.51 --save
matches '( *\d+ \S+ +(running|stopped) *\n?)+' "$(on_alpha vzlist -H -a -o veid,hostname,status)" "Puppet's facts"

step "Zabbix, Zenoss, Provision::Unix"
while read -r line; do
  matches '(\s*?)(\d+) (.*?)(\s+)(\S+)' "$line" Zabbix
done <<< "$(on_alpha vzlist -a -o veid,hostname,status,laverage -H)"
for column in physpages physpages.l physpages.f swappages numproc numproc.m numproc.l numproc.f diskspace diskspace.s diskinodes diskinodes.s; do
  matches '\s*(\d+|-|unlimited)' "$(on_alpha vzlist -H -o $column 101)" "Zabbix, $column"
done
assert_eq "$(on_alpha vzlist -a -H -o veid,status | awk 'NF != 2')" "" "words for Zenoss"
matches '\s+(\d+)\s+(.*)\s+(running|stopped)\s+.*' "$(on_alpha vzlist -a | tail -n 1)" ruby-openvz

step "what is read in /proc of OpenVZ: Proxmox 1.x, libvirt, Zenoss, Provision::Unix, ToMaTo, init scripts"
procfs=
if on_alpha test -c /dev/fuse; then
  on_alpha vzprocfs start
  procfs=yes
else
  say "no FUSE here (/dev/fuse): not /run/vz/proc, but what is shown there"
fi
# of_proc FILE
of_proc() { if [ -n "$procfs" ]; then on_alpha cat "/run/vz/proc/$1"; else on_alpha vzprocfs cat "$1"; fi; }
of_proc vz/vzquota >"$scratch/vzquota"
of_proc vz/vestat >"$scratch/vestat"
of_proc user_beancounters >"$scratch/ubc"
of_proc bc/101/ioacct >"$scratch/ioacct"
# Each reads as its program does, line by line.
python3 - "$scratch" <<'END' || fail "a program of OpenVZ's time cannot read it"
import re, sys
where = sys.argv[1] + "/"
lines = lambda name: open(where + name).read().splitlines()

# Proxmox 1.x: the container's line, then blocks and inodes; and of the beancounters two rows.
disk, quota = {}, iter(lines("vzquota"))
for line in quota:
    m = re.match(r"^(\d+):\s+\S+/private/\d+$", line)
    if m:
        blocks, inodes = next(quota), next(quota)
        used, most = re.match(r"^\s*1k-blocks\s+(\d+)\s+(\d+)\s+", blocks).groups()
        assert re.match(r"^\s*inodes\s+(\d+)\s+(\d+)\s+", inodes), inodes
        disk[m[1]] = int(used), int(most)
assert list(disk) == ["101"] and 0 < disk["101"][0] < disk["101"][1] == 65536, disk
current, seen = None, {}
for line in lines("ubc"):
    m = re.match(r"^\s*((\d+):\s*)?([a-z]+)\s+(\d+)\s+(\d+)\s+(\d+)\s+(\d+)\s+(\d+)$", line)
    if not m:
        continue
    current = m[2] or current
    if m[3] in ("physpages", "numproc"):
        seen[current, m[3]] = int(m[4])
assert set(seen) == {(ct, row) for ct in ("101", "0") for row in ("physpages", "numproc")}, seen
assert all(seen.values()), seen

# libvirt and Proxmox: the first four numbers of vestat, in ticks.
times = {}
for line in lines("vestat"):
    m = re.match(r"^\s*(\d+)\s+(\d+)\s+(\d+)\s+(\d+)", line)
    if m:
        times[m[1]] = sum(map(int, m.groups()[1:]))
assert list(times) == ["101"] and times["101"] < 100 * 600, times

# Zenoss: rows by the number of their fields, a header before them; ioacct by name.
ubc = lines("ubc")
assert ubc[0].split() == ["Version:", "2.5"] and len(ubc[1].split()) == 7
for line in ubc[2:]:
    fields = line.split()
    assert len(fields) == 7 and fields[0].endswith(":") or len(fields) == 6, line
    assert all(f.isdigit() for f in fields[-5:]), line
header, row = [line.split() for line in lines("vestat")[1:3]]
assert len(header) == len(row) == 12 and header[0] == "VEID", header
ioacct = dict(line.split() for line in lines("ioacct"))
assert {"read", "write", "dirty", "cancel", "fuse_bytes"} <= set(ioacct), ioacct
END
# grep finds 0: as well as 10:, as ToMaTo's does.
assert_eq "$(grep -A1 '^101:' "$scratch/vzquota" | tail -n 1 | awk '{ print $1, $3 }')" "1k-blocks 65536" ToMaTo
assert_eq "$(grep -A20 '101:' "$scratch/ubc" | awk '$1 == "privvmpages" || $1 == "numfile" { print $1 }' | xargs)" "privvmpages numfile" ToMaTo
grep -qE '^ *0:' "$scratch/ubc" || fail "a host must have a row of CT 0: the init script takes it for a container"
matches '.*1k-blocks\s+(\d+).*' "$(on_alpha vzquota show 101 2>/dev/null)" Provision::Unix
matches '\d+ 65536' "$(on_alpha vzquota stat 101 | grep blocks | awk '{ print $2, $3 }')" "a script"
assert_contains "$(on_alpha vzquota show 101 2>&1)" "vzquota : (warning) Quota is running" "the init script with VZFASTBOOT"
assert_status 6 on_alpha vzquota stat 102 >/dev/null 2>&1
assert_status 5 on_alpha vzquota on 101 --nocheck 2>/dev/null

step "ToMaTo and scripts at large"
on_alpha timeout 30 vzctl start 102 --wait > /dev/null
ok set 102 --devices c:10:200:rw --capability net_admin:on --save
ok set 102 --netif_add eth1 --save
ok set 102 --ifname eth1 --host_ifname veth102.eth1 --save
ok exec 102 ip addr add 10.99.0.2/24 dev eth1
assert_eq "$(on_alpha vzlist -H -o ctid | tr -d ' ' | paste -sd,)" 101,102
assert_eq "$(on_alpha vzlist -Ho hostname 101)" one.example.org
assert_eq "$(on_alpha vzlist -H1 | tr -d ' ' | paste -sd,)" 101,102
assert_eq "$(on_alpha vzlist -a1o private 101)" /var/lib/vz/private/101
assert_eq "$(on_alpha vzlist -o status 101 | tail -n 1)" running
assert_eq "$(on_alpha vzctl exec2 101 echo hello)" hello
on_alpha sed -i --follow-symlinks 's/^ONBOOT=.*//; $aONBOOT="yes"' /etc/vz/names/first
assert_eq "$(on_alpha vzlist -Ho onboot first | tr -d " ")" yes "what was written by way of its name"
ok --skiplock stop 102 --fast
step "the files of an old host, as they are"
on_alpha sh -c 'cp /etc/vz/vz.conf /run/vz.conf; mkdir /vz; ln -s /var/lib/vz/template /vz/template
  cat > /etc/vz/vz.conf; printf "NUMPROC=\"240:240\"\n" > /etc/vz/conf/ve-vps.basic.conf-sample' <<'END_OF_CONF'
## Global parameters
VIRTUOZZO=yes
LOCKDIR=/vz/lock
DUMPDIR=/vz/dump
VE0CPUUNITS=1000

## Logging parameters
LOGGING=yes
LOGFILE=/var/log/vzctl.log
LOG_LEVEL=0
VERBOSE=0

## Disk quota parameters
DISK_QUOTA=yes
VZFASTBOOT=no

# The name of the device whose ip address will be used as source ip for CT.
#VE_ROUTE_SRC_DEV="eth0"
NEIGHBOUR_DEVS=detect

## Template parameters
TEMPLATE=/vz/template

## Defaults for containers
VE_ROOT=/vz/root/$VEID
VE_PRIVATE=/vz/private/$VEID
CONFIGFILE="vps.basic"
DEF_OSTEMPLATE="tiny"

## Load vzwdog module
VZWDOG="no"

## IPv4 iptables kernel modules
IPTABLES="ipt_REJECT ipt_tos ipt_limit ipt_multiport iptable_filter iptable_mangle ipt_TCPMSS ipt_tcpmss ipt_ttl ipt_length"

## Enable IPv6
IPV6="yes"
IP6TABLES="ip6_tables ip6table_filter ip6table_mangle ip6t_REJECT"
END_OF_CONF
on_alpha sh -c 'cat > /etc/vz/conf/2010.conf' <<'END_OF_CONF'
ONBOOT="yes"

# UBC parameters (in form of barrier:limit)
KMEMSIZE="14372700:14790164"
LOCKEDPAGES="256:256"
PRIVVMPAGES="65536:69632"
SHMPAGES="21504:21504"
NUMPROC="240:240"
PHYSPAGES="0:9223372036854775807"
VMGUARPAGES="33792:9223372036854775807"
OOMGUARPAGES="26112:9223372036854775807"
NUMTCPSOCK="360:360"
NUMFLOCK="188:206"
NUMPTY="16:16"
NUMSIGINFO="256:256"
TCPSNDBUF="1720320:2703360"
TCPRCVBUF="1720320:2703360"
OTHERSOCKBUF="1126080:2097152"
DGRAMRCVBUF="262144:262144"
NUMOTHERSOCK="360:360"
DCACHESIZE="3409920:3624960"
NUMFILE="9312:9312"
AVNUMPROC="180:180"
NUMIPTENT="128:128"

# Disk quota parameters (in form of softlimit:hardlimit)
DISKSPACE="65536:70000"
DISKINODES="20000:22000"
QUOTATIME="0"

# CPU fair scheduler parameter
CPUUNITS="1000"

VE_ROOT="/vz/root/$VEID"
VE_PRIVATE="/vz/private/$VEID"
OSTEMPLATE="tiny"
ORIGIN_SAMPLE="vps.basic"
HOSTNAME="old.example.org"
NAMESERVER="10.77.0.1"
IP_ADDRESS="10.77.0.60"
NETIF="ifname=eth0,mac=00:18:51:6D:5E:01,host_ifname=veth2010.0,host_mac=00:18:51:6D:5E:02"
END_OF_CONF
on_alpha cp /etc/vz/conf/2010.conf /run/2010.conf
silent vzctl create 2010 > /dev/null || fail "$(on_alpha cat /run/silent)"
silent vzctl start 2010 > /dev/null || fail "$(on_alpha cat /run/silent)"
assert_eq "$(silent vzlist -H -o ctid,status,ip,hostname,onboot,kmemsize.b,kmemsize.l,numfile.l,physpages.l 2010 | tr -s ' ')" \
  " 2010 running 10.77.0.60 old.example.org yes 14372700 14790164 9312 9223372036854775807"
assert_eq "$(inside 2010 cat /sys/class/net/eth0/address)" 00:18:51:6d:5e:01
on_alpha sh -c 'head -n $(wc -l < /run/2010.conf) /etc/vz/conf/2010.conf | cmp - /run/2010.conf' || fail "its lines were edited"
on_alpha cp /etc/vz/conf/2010.conf /run/2010.conf
ok set 2010 -p 200 --save
on_alpha grep -q '^NUMPROC="200"$' /etc/vz/conf/2010.conf || fail "an option by its letter"
on_alpha cp /etc/vz/conf/2010.conf /run/2010.conf
ok set 2010 --hostname new.example.org --save
assert_eq "$(on_alpha diff /run/2010.conf /etc/vz/conf/2010.conf | grep -c '^[<>]')" 2 "lines that changed"
of_proc vz/vzquota | grep -q '^2010: /vz/private/2010$' || fail "unxsVZ looks for its private area"
[ -z "$procfs" ] || on_alpha vzprocfs stop
ok stop 2010 --fast
ok destroy 2010
on_alpha sh -c 'cp /run/vz.conf /etc/vz/vz.conf; rm -rf /vz'

step "vznet.conf: the recipe for bridges, and a script of one's own"
links=$(on_alpha sh -c 'ip link add vmbr0 type bridge; ip link add vmbr1 type bridge; echo done')
assert_eq "$links" done "bridges"
bridge_of() { on_alpha ip -o link show "$1" | sed -nE 's/.* master (\S+) .*/\1/p'; }
on_alpha sh -c 'echo "EXTERNAL_SCRIPT=\"/usr/sbin/vznetaddbr\"" > /etc/vz/vznet.conf'
ok create 104 --ostemplate tiny --diskspace 64M
ok set 104 --netif_add eth0,,veth104.0 --netif_add eth1,,veth104.1,,vmbr1 --save
ok start 104
assert_eq "$(bridge_of veth104.0) $(bridge_of veth104.1)" "vmbr0 vmbr1" "bridges of the recipe"
ok set 104 --netif_add eth2,,veth104.2 --save
assert_eq "$(bridge_of veth104.2)" vmbr0 "bridge of a link that came later"
assert_absent "$(on_alpha cat /etc/vz/conf/104.conf)" vmbr0 "configuration"
ok chkpnt 104
ok restore 104
assert_eq "$(bridge_of veth104.0) $(bridge_of veth104.1)" "vmbr0 vmbr1" "bridges after a restore"
ok stop 104 --fast
on_alpha sh -ec 'cat > /usr/local/sbin/external; chmod 755 /usr/local/sbin/external
  echo "EXTERNAL_SCRIPT=/usr/local/sbin/external" > /etc/vz/vznet.conf' <<'END_OF_SCRIPT'
#!/bin/sh
echo "$* $VEID $(cat /sys/class/net/"$3"/operstate 2>&1) $(env | sort | sed 's/=.*//' | paste -sd,)" >> /run/external.log
[ ! -e /run/external.fails ]
END_OF_SCRIPT
calls() { on_alpha sh -c 'cat /run/external.log; : > /run/external.log' | cut -d ' ' -f 1-4 | sort | paste -sd ';'; }
ok start 104
environment=$(on_alpha cut -d ' ' -f 6 /run/external.log | sort -u)
assert_eq "$environment" "HOME,PATH,PWD,TERM,VEID,VE_CONFFILE" "its environment"
assert_eq "$(calls)" "init veth veth104.0 104;init veth veth104.1 104;init veth veth104.2 104" "calls at a start"
assert_eq "$(bridge_of veth104.0) $(bridge_of veth104.1)" " vmbr1" "bridges without the recipe"
ok set 104 --netif_add eth3,,veth104.3
assert_eq "$(calls)" "init veth veth104.3 104" "calls for a new link"
ok set 104 --netif_del eth3
ok chkpnt 104
ok restore 104
assert_eq "$(calls)" "init veth veth104.0 104;init veth veth104.1 104;init veth veth104.2 104" "calls at a restore"
on_alpha touch /run/external.fails
expect 130 set 104 --netif_add eth4,,veth104.4 --save
assert_contains "$err" "/usr/local/sbin/external init veth veth104.4: exit status 1"
! on_alpha ip link show veth104.4 > /dev/null 2>&1 || fail "a link stays"
ok stop 104 --fast
expect 130 start 104
assert_contains "$err" "/usr/local/sbin/external init veth veth104.0: exit status 1"
assert_ct 104 exist unmounted down
on_alpha sh -c 'rm /run/external.fails; chmod 777 /usr/local/sbin/external'
expect 130 start 104
assert_contains "$err" "others than root can write to '/usr/local/sbin/external'"
on_alpha rm /usr/local/sbin/external
expect 0 start 104
assert_contains "$err" "EXTERNAL_SCRIPT '/usr/local/sbin/external' is no program"
ok stop 104 --fast
ok destroy 104
on_alpha sh -c 'rm -f /etc/vz/vznet.conf /run/external.log; ip link del vmbr0; ip link del vmbr1'

step "down"
ok stop 101 --fast
ok destroy 101
ok destroy 102
assert_clean alpha --all
