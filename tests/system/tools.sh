#!/bin/bash
# The side tools that OpenVZ's administrators have in their scripts.
. "$(dirname "$0")/../lab/lib.sh"
. "$(dirname "$0")/../lab/ct.sh"

# tool STATUS COMMAND...: what it prints is then in $out, its errors in $err.
tool() {
  local wanted=$1 status=0
  shift
  out=$(on_alpha "$@" 2>"$err_file" </dev/null) || status=$?
  err=$(<"$err_file")
  [ "$status" = "$wanted" ] || fail "exit status $status, wanted $wanted: $*: $out $err"
  [ "$status" = 0 ] || [ -n "$out$err" ] || fail "not a word: $*"
}
# holds EXPRESSION: Python's opinion.
holds() { python3 -c "import sys; sys.exit(0 if $1 else 1)" || fail "not so: $1"; }
# json EXPRESSION: true of what the last tool printed, as d.
json() { python3 -c 'import json, sys; d = json.load(sys.stdin); sys.exit(0 if eval(sys.argv[1]) else 1)' "$1" <<<"$out" || fail "$1 is not so of: $out"; }
field() { awk -v name="$1" -v n="$2" '$1 == name { print $n }' <<<"$out"; }

step "up"
lab_up alpha client
need_tiny
mib_of_host=$(on_alpha awk '/^MemTotal/ { printf "%.2f", $2 / 1024 }' /proc/meminfo)
swap_of_host=$(on_alpha awk '/^SwapTotal/ { printf "%.2f", $2 / 1024 }' /proc/meminfo)

step "no container at all"
tool 0 vzmemcheck
assert_eq "$(awk '/[0-9]/' <<<"$out" | xargs)" "0.00 0.00 0.00 0.00 0.00 0.00 0.00 0.00" "as Zabbix reads vzmemcheck"
tool 0 vzcpucheck
assert_contains "$out" "Current CPU utilization: 0"
tool 1 vzcalc 101
assert_eq "$err" "Container configuration file: /etc/vz/conf/101.conf not found"
assert_eq "$out" ""

ok create 101 --ostemplate tiny --diskspace 64M --ram 64M --swap 128M --name web --numproc 100
ok create 102 --ostemplate tiny --diskspace 64M --ram 128M --swap 0 --cpuunits 3000
ok create 103 --ostemplate tiny --diskspace 64M --ram 64M --swap 0

step "vzcalc: of a stopped and of a running one"
tool 0 vzcalc -v 101
assert_eq "$(head -n 1 <<<"$out")" "Resource     Current(%)  Promised(%)  Max(%)"
assert_eq "$(wc -l <<<"$out")" 8 "lines"
assert_eq "$(field Memory 2)" n/a "current of a stopped container"
ok start 101 --wait
ok start 102 --wait
ok exec2 101 'mount -t tmpfs none /mnt && head -c 30m /dev/zero >/mnt/file'
tool 0 vzcalc -v web
holds "abs($(field Total 3) - 100 * 32 / $mib_of_host) < 100 * 8 / $mib_of_host"
holds "abs($(field Mem 5) - 100 * 64 / ($mib_of_host + $swap_of_host)) < 0.02"
holds "abs($(field Alloc. 5) - 100 * 192 / ($mib_of_host + $swap_of_host)) < 0.02"
tool 0 vzcalc 101
assert_eq "$(wc -l <<<"$out")" 2 "lines without -v"
tool 0 vzcalc -j web
json '0 < d["low_mem"]["current"] < d["total_ram"]["current"] == d["memory"]["current"]'
json 'd["low_mem"]["promised"] is d["low_mem"]["max"] is None and d["low_mem"]["current"] > 0'
assert_eq "$(on_alpha vzcalc -j 102 | python3 -c 'import json, sys; d = json.load(sys.stdin); print(d["ctid"], d["low_mem"]["promised"], d["num_proc"]["max"])')" "102 None 100.0"
tool 0 vzcalc -v web
assert_eq "$(field Low 4) $(field Low 5)" "n/a n/a" "limits of the kernel's part, which has none of its own"
ok create 104 --ostemplate tiny --config basic --diskspace 64M --kmemsize 40M --tcpsndbuf 0 --tcprcvbuf 0 --othersockbuf 0 --dgramrcvbuf 0
tool 0 vzcalc -v 104
holds "abs($(field Low 4) - 100 * 40 / ($mib_of_host * 0.4)) < 0.02 and $(field Low 4) == $(field Low 5)"
ok destroy 104
ok set 101 --ram 96M
tool 0 vzcalc -v 101
holds "abs($(field Mem 5) - 100 * 96 / ($mib_of_host + $swap_of_host)) < 0.02"
ok set 101 --ram 64M
for words in "" "101 102" "-x 101" "no-such-name" "0"; do tool 1 vzcalc $words; done

step "vzmemcheck"
tool 0 vzmemcheck
assert_eq "$(head -n 1 <<<"$out")" "Output values in %"
assert_eq "$(awk '/[0-9]/' <<<"$out" | wc -l)" 1 "lines with a digit"
assert_eq "$(awk '/[0-9]/ { print NF }' <<<"$out")" 8 "columns"
tool 0 vzmemcheck -A
read -r low low_commit ram used commit alloc alloc_commit alloc_limit <<<"$(awk '/[0-9]/ { print; exit }' <<<"$out")"
assert_eq "$commit $alloc_commit $alloc_limit $low_commit" "192.00 320.00 320.00 0.00" "what was promised, in MiB"
holds "30 < $ram <= $used == $alloc < 60 and 0 < $low < 30"
assert_eq "$(tail -n 1 <<<"$out" | awk '{ print $3 }')" "$(printf %.2f "$mib_of_host")" "memory of the host"
tool 0 vzmemcheck -vA
assert_eq "$(awk '$1 == 101 { print $6, $9 }' <<<"$out")" "64.00 192.00"
assert_eq "$(awk '$1 == "Summary:" { print NF }' <<<"$out")" 9
tool 0 vzmemcheck -j
json '[c["ctid"] for c in d["containers"]] == [101, 102] and d["summary"]["memswap_commit"] == 192 << 20'
tool 1 vzmemcheck 101

step "vzcpucheck"
tool 0 vzcpucheck -v
assert_eq "$(sed -n 's/^Current CPU utilization: //p' <<<"$out")" 4000
assert_contains "$out" $'102\t\t3000'
holds "$(sed -n 's/^Power of the node: //p' <<<"$out") > 0"
ok set 102 --cpuunits 500000
ok set 101 --cpuunits 500000
tool 0 vzcpucheck -j
json 'd["utilization"] == 1000000 and d["overcommitted"] == (d["power"] < 1000000)'
ok set 101 --cpuunits 1000
tool 2 vzcpucheck all

step "vzsplit makes what vzctl takes and vzcfgvalidate approves"
tool 0 vzsplit -n 10 -f ten
assert_eq "$out" "Config /etc/vz/conf/ve-ten.conf-sample was created"
tool 1 vzsplit -n 10 -f ten
assert_contains "$err" "File /etc/vz/conf/ve-ten.conf-sample already exist"
tool 0 vzcfgvalidate /etc/vz/conf/ve-ten.conf-sample
assert_eq "$out" "Validation completed: success"
ok create 104 --ostemplate tiny --config ten --diskspace 64M
ok start 104 --wait
assert_eq "$(knob 104 memory.limit_in_bytes memory.max)" \
  $((4096 * $(on_alpha sed -n 's/^PHYSPAGES="0:\(.*\)"$/\1/p' /etc/vz/conf/104.conf))) "memory limit"
ok stop 104
ok destroy 104
tool 0 vzsplit -n 10 -j
json 'd["containers"] == 10 and d["host"]["ram"] > 0 and d["parameters"]["PHYSPAGES"].startswith("0:") and "NUMPROC" in d["parameters"]'
tool 0 vzsplit -n 20 -v no -s 1048576
assert_eq "$(grep -cE '^[A-Z]+="[0-9]+(:([0-9]+|unlimited))?"$' <<<"$out")" 24 "parameters"
on_alpha sh -c 'cat >/root/split.conf' <<<"$out"
tool 0 vzcfgvalidate -v no /root/split.conf
tool 0 sh -c 'echo 5 | vzsplit'
assert_contains "$out" "PHYSPAGES="
tool 1 vzsplit -n 1000000
assert_contains "$err" "The maximum allowed value is"
for words in "-n 0" "-n x" "-n 3 -v perhaps" "-n 3 -f a/b" "-n 3 -f new -j" "-n 3 more" ""; do tool 1 vzsplit $words; done

step "vzcfgvalidate"
for ctid in 101 102 103; do tool 0 vzcfgvalidate /etc/vz/conf/$ctid.conf; done
on_alpha sh -c 'cat >/root/bad.conf' <<'END'
# mine
NUMPROC="50:60"
KMEMSIZE="1000:2000"
VMGUARPAGES="10:20"
END
before=$(on_alpha md5sum /root/bad.conf)
tool 2 vzcfgvalidate /root/bad.conf
assert_contains "$out" "Error: numproc: "
assert_absent "$out" "success"
tool 2 vzcfgvalidate -i /root/bad.conf
assert_eq "$(on_alpha md5sum /root/bad.conf)" "$before" "the file after no answer"
tool 0 vzcfgvalidate -r /root/bad.conf
assert_contains "$out" "set to 50"
assert_eq "$(on_alpha cat /root/bad.conf)" $'# mine\nNUMPROC="50"\nKMEMSIZE="1024000:1025000"\nVMGUARPAGES="10:unlimited"'
tool 0 vzcfgvalidate -j /root/bad.conf
json 'd["valid"] and [f["severity"] for f in d["findings"]] == ["recommendation"]'
on_alpha sh -c 'echo NUMPROC=\"few\" >/root/bad.conf'
tool 2 vzcfgvalidate -r /root/bad.conf
assert_eq "$(on_alpha cat /root/bad.conf)" 'NUMPROC="few"'
tool 1 vzcfgvalidate /root/none.conf
assert_contains "$err" "/root/none.conf"
for words in "" "-r -i /root/bad.conf" "-v maybe /root/bad.conf" "a b"; do tool 1 vzcfgvalidate $words; done

step "vzubc"
tool 0 vzubc
assert_eq "$(grep -c '^CT ' <<<"$out")" 2 "tables"
assert_eq "$(grep -E '^ +numproc\|' <<<"$out" | awk -F '|' '{ print NF, $5 + 0 }')" "6 100" "the row of a limit"
held=$(grep -E '^ +physpages\|' <<<"$out" | sed -n '1s/.*physpages| *\([0-9.]*\)M.*/\1/p')
holds "30 < $held < 60"
tool 0 vzubc -q
assert_absent "$out" numproc
tool 0 vzubc -q -qm 30 web
assert_contains "$out" physpages
tool 0 vzubc -v web
assert_contains "$out" kmemsize
tool 0 vzubc -r web
status=0
vz exec2 101 'i=0; while [ $i -lt 120 ]; do sleep 1 & i=$((i + 1)); done' >/dev/null 2>&1 || status=$?
[ "$status" != 0 ] || fail "no limit of processes"
tool 0 vzubc -rq -j web
json 'd[0]["ctid"] == 101 and d[0]["resources"]["numproc"]["failcnt_growth"] > 0'
tool 0 vzubc -rj web
json 'd[0]["resources"]["numproc"]["failcnt_growth"] == 0 < d[0]["resources"]["numproc"]["failcnt"]'
tool 0 vzubc -c web
assert_eq "$(grep $'\e' <<<"$out" | grep -c $'^\e\[1m *numproc|.*\e\[0m$')" 1 "rows of what was refused, marked"
tool 0 vzubc -c 102
assert_eq "$(grep -c $'^\e\[1m.*\e\[0m$' <<<"$out")" "$(grep -c $'\e' <<<"$out")" "marks that are not of a whole row"
assert_absent "$(grep numproc <<<"$out")" $'\e' "numproc, which is far from its limit,"
tool 0 vzubc -cq web
assert_eq "$(grep '|' <<<"$out" | grep -v '^CT' | grep -vc $'^\e')" 0 "rows that -q shows and -c does not mark"
if on_alpha sh -c 'command -v python3 && command -v watch' >/dev/null; then
  on_alpha env PYTHONPATH="$lab_dir" PYTHONDONTWRITEBYTECODE=1 timeout 60 python3 - <<'END' || fail "vzubc -w"
import subprocess
from screen import Program

watched = Program("vzubc", "-wn", "1", "-v", "web", TERM="linux", rows=40)
watched.expect(r"^Every 1\.0s: /")
watched.expect(r"^CT 101 ")
watched.expect(r"^ +numproc\| +1 ")  # when the last one of those above has ended
subprocess.run(["vzctl", "exec2", "101", "setsid sleep 30 >/dev/null 2>&1 & echo $! >/root/pid"], check=True)
watched.expect(r"^ +numproc\| +2 ")
watched.type("\x03")
watched.end(0)
untitled = Program("vzubc", "-wd", "-wt", "-v", "web", TERM="linux", rows=40)
untitled.expect(r"^CT 101 ")
untitled.expect(r"^ +numproc\| +2 ")
if any("Every" in line for line in untitled.screen.lines()):
    untitled.fail("a title")
untitled.type("\x03")
untitled.end(0)
subprocess.run(["vzctl", "exec2", "101", "kill $(cat /root/pid)"], check=True)
END
fi
on_alpha sh -c 'cat >/root/ubc' <<'END'
Version: 2.5
       uid  resource                     held              maxheld              barrier                limit              failcnt
       77:  kmemsize                  2650000              3000000             14372700             14790164                    0
            privvmpages                  1000                 2000                65536                69632                    5
            dummy                           0                    0  9223372036854775807  9223372036854775807                    0
            physpages                     900                 1000                    0  9223372036854775807                    0
END
tool 0 vzubc -f /root/ubc
assert_contains "$out" "     kmemsize|2.53M   18%   18%|2.86M   21%   20%|13.7M|14.1M|     -"
assert_contains "$out" "  privvmpages|3.91M    2%    1%|7.81M    3%    3%| 256M| 272M|     5"
tool 0 sh -c 'vzubc -f - 77 </root/ubc'
assert_contains "$out" "CT 77 "
for words in "-q -v" "103" "nobody" "-qh much" "-f /root/none" "-f /etc/passwd" "-w -j" "-w -c"; do tool 1 vzubc $words; done
on_alpha sh -c 'rm -r /tmp/vzubc.store && mkdir -m 777 /tmp/vzubc.store'
tool 1 vzubc -r
assert_contains "$err" "may be written by others"
on_alpha sh -c 'rmdir /tmp/vzubc.store && mkdir /root/store && ln -s /root/store /tmp/vzubc.store'
tool 1 vzubc -r
assert_eq "$(on_alpha ls -A /root/store)" ""
on_alpha sh -c 'rm /tmp/vzubc.store && rmdir /root/store'

step "vzoversell"
tool 0 vzoversell
assert_eq "$(awk '$1 == 101 { print $4, $8 }' <<<"$out")" "64.0M 128M" "limits of 101"
assert_eq "$(awk '$1 == "TOTAL" { print $4, $8 }' <<<"$out")" "192M 128M" "their sums"
assert_eq "$(awk '$1 == "RAM" && NF > 2 { print $5 }' <<<"$out")" 192M "allocated"
tool 0 vzoversell -j
json 'd["total"]["ram"]["limit"] == 192 << 20 and d["available"]["ram"] > 0'
tool 0 vzoversell /root/ubc
assert_eq "$(awk '$1 == 77 { print $4, $NF }' <<<"$out")" "136M RF"
assert_contains "$out" "R: memory is not limited as a whole"
tool 1 vzoversell /root/none
tool 1 vzoversell a b
on_alpha rm /root/ubc

step "arpsend, ndsend, vzifup-post"
# ARP and neighbour advertisements that come from elsewhere.
cat >"$scratch/hear" <<'END'
import socket, sys, time
s = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(3))
s.settimeout(0.2)
print("ready", flush=True)
end = time.time() + float(sys.argv[1])
while time.time() < end:
    try:
        f, who = s.recvfrom(2000)
    except socket.timeout:
        continue
    if who[2] == 4:
        continue
    ip = lambda b: ".".join(map(str, b))
    if f[12:14] == b"\x08\x06":
        print("arp", f[21], f[6:12].hex(), ip(f[28:32]), f[32:38].hex(), ip(f[38:42]), flush=True)
    if f[12:14] == b"\x86\xdd" and f[20] == 58 and f[54] == 136:
        print("na", socket.inet_ntop(socket.AF_INET6, f[62:78]), f[6:12].hex(), flush=True)
END
# hear COMMAND...: run on alpha; $heard is what the client heard of it.
hear() {
  : >"$scratch/heard"
  on client python3 - $((slowness > 1 ? 8 : 2)) <"$scratch/hear" >"$scratch/heard" &
  local listener=$!
  eventually 5 grep -q ready "$scratch/heard"
  tool 0 "$@"
  wait $listener
  heard=$(<"$scratch/heard")
}
mac=$(on_alpha cat /sys/class/net/br0/address | tr -d :)
hear arpsend -U -i 10.77.0.60 -e 10.77.0.60 br0
assert_contains "$heard" "arp 1 $mac 10.77.0.60 000000000000 10.77.0.60"
assert_contains "$heard" "arp 2 $mac 10.77.0.60 $mac 10.77.0.60"
hear arpsend -P -i 10.77.0.61 -e 10.77.0.62 -S 02:00:00:00:00:99 -c 1 br0
assert_contains "$heard" "arp 2 $mac 10.77.0.61 020000000099 10.77.0.62"
hear ndsend fd77::60 br0
assert_contains "$heard" "na fd77::60 $mac"
hear arpsend -U -i fd77::61 br0
assert_contains "$heard" "na fd77::61 $mac"
client_mac=$(on client cat /sys/class/net/br0/address)
tool 3 arpsend -c 1 -w 1 -D -e 10.77.0.100 -e 10.77.0.99 br0
assert_eq "$err" "arpsend: 10.77.0.100 is detected on another computer : $client_mac"
tool 3 arpsend -j -c 1 -w 1 -D -e 10.77.0.100 -e 10.77.0.99 br0
json "d == {'device': 'br0', 'answers': [{'address': '10.77.0.100', 'mac': '$client_mac'}]}"
assert_eq "$err" "" "what JSON tells already"
tool 0 arpsend -j -Q -e 10.77.0.100 br0
json 'len(d["answers"]) == 1'
tool 4 arpsend -j -Q -e 10.77.0.99 br0
json 'd["answers"] == []'
tool 0 arpsend -D -e 10.77.0.99 -e 10.77.0.1 br0
assert_eq "$out$err" ""
tool 0 arpsend -Q -e 10.77.0.100 br0
assert_eq "$out" "10.77.0.100 is at $client_mac"
tool 0 arpsend -Q -e fd77::100 -c 2 br0
status=0
on_alpha arpsend -Q -e 10.77.0.99 br0 || status=$?
assert_eq "$status" 4 "nobody answers"
for words in "" "br0" "-U br0" "-D br0" "-U -D -i 10.77.0.1 br0" "-U -i 10.77.0 br0" "-U -i 10.77.0.60 -s xx br0" "-P -i fd77::1 -e fd77::2 br0" "-j -U -i 10.77.0.60 br0" "-j -v -D -e 10.77.0.99 br0"; do tool 1 arpsend $words; done
tool 2 arpsend -U -i 10.77.0.60 nosuch0
tool 2 arpsend -U -i 10.77.0.60 lo
for words in "" "10.77.0.1 br0" "fd77::1"; do tool 1 ndsend $words; done
tool 2 ndsend fd77::1 nosuch0
ok set 101 --ipadd 10.77.0.50 --ipadd fd77::50
sleep 1
hear vzifup-post br0
assert_contains "$heard" "arp 1 $mac 10.77.0.50 000000000000 10.77.0.50"
assert_contains "$heard" "na fd77::50 $mac"
hear vzifup-post lo
assert_absent "$heard" 10.77.0.50
tool 1 vzifup-post

step "vzfsync, vznnc, vzcptcheck"
tool 0 vzfsync -s -n /etc/vz/vz.conf /etc/hostname
tool 2 vzfsync -d /etc/vz/vz.conf /nowhere
assert_contains "$err" /nowhere
for words in "" "-s" "/etc/hostname" "-s -d /etc/hostname"; do tool 1 vzfsync $words; done
tool 0 sh -c 'vznnc -l -p 4711 -- sh -c "read word; echo got \$word >/root/got; echo answer" & 
  for i in 1 2 3 4 5 6 7 8 9; do sleep 0.1; vznnc -c -p 4711 -- sh -c "echo question; cat >&2" 2>/root/answer && break; done; wait $!'
assert_eq "$(on_alpha cat /root/got)" "got question"
assert_eq "$(on_alpha tail -n 1 /root/answer)" answer
tool 0 sh -c 'vznnc -l -p 4712 -f 7 -- sh -c "echo by seven >&7" & 
  for i in 1 2 3 4 5 6 7 8 9; do sleep 0.1; vznnc -c -p 4712 -f 3 -- sh -c "cat <&3" 2>/dev/null && break; done; wait $!'
assert_eq "$out" "by seven"
tool 220 vznnc -c -p 4713 true
tool 220 sh -c 'true | vznnc -l -p 4713 true'
tool 127 sh -c '(sleep 0.3; vznnc -c -p 4714 true) & sleep 2 | vznnc -l -p 4714 /no/such/program'
for words in "" "-l -p 1" "-l -c -p 1 true" "-l true" "-l -p 70000 true" "-l -p 1 -f x true"; do tool 1 vznnc $words; done
on_alpha rm /root/got /root/answer
if on_alpha vzcptcheck version >/dev/null 2>&1; then
  tool 0 vzcptcheck version
  tool 0 vzcptcheck version "$out"
  tool 0 vzcptcheck version 1.0
  tool 2 vzcptcheck version 99
  assert_contains "$err" "CPT version 99 rejected"
  tool 2 vzcptcheck -j version 99
  json 'not d["compatible"] and d["version"]'
  assert_eq "$err" ""
fi
tool 0 vzcptcheck -j caps
json '"fpu" in d["caps"]'
tool 2 vzcptcheck -j caps fpu,such-a-flag
json 'd == {"missing": ["such-a-flag"], "compatible": False}'
tool 0 vzcptcheck caps
assert_contains ",$out," ",fpu,"
tool 0 vzcptcheck caps 101 "$out"
tool 2 vzcptcheck caps fpu,such-a-flag
assert_eq "$err" "Insufficient CPU capabilities: such-a-flag"
tool 0 vzcptcheck help
for words in "" "what" "version x" "caps 101 fpu more"; do tool 1 vzcptcheck $words; done

if on_alpha sh -c 'command -v python3 && command -v wget' >/dev/null; then
  step "vztmpl-dl, into a cache of its own"
  on_alpha sh -c 'mkdir -p /root/templates/cache && cp /etc/vz/vz.conf /root/vz.conf && sed -i "1i TEMPLATE=\"/root/templates\"" /etc/vz/vz.conf'
  on_alpha sh -c 'mkdir -p /root/repo && vztmpl --cache /root/repo build tiny --name small >/dev/null && ls -l /root/repo >/root/repo/.listing'
  on_alpha sh -c 'cd /root/repo && { python3 -m http.server --bind 127.0.0.1 8099 >/dev/null 2>&1 </dev/null & echo $! >/root/server; }'
  on_alpha sh -c 'cat >/etc/vz/download.conf' <<'END'
TMPL_REPO_PREFIX="http://127.0.0.1:8099"
TEMPLATE_REPOS="$TMPL_REPO_PREFIX"
TMPL_SUFFIXES="tar.gz tar.zst"
END
  eventually 5 on_alpha wget -q -O /dev/null http://127.0.0.1:8099/.listing
  tool 0 vztmpl-dl --config
  assert_contains "$out" 'TEMPLATE_REPOS="http://127.0.0.1:8099"'
  tool 0 vztmpl-dl --list-remote
  assert_eq "$(grep -x small <<<"$out")" small
  tool 0 vztmpl-dl --list-local
  assert_eq "$out" ""
  tool 0 vztmpl-dl --json --list-local
  assert_eq "$out" "[]"
  tool 0 vztmpl-dl small
  assert_eq "$out" "Downloading: small"
  tool 0 vztmpl-dl --list-local
  assert_eq "$out" small
  tool 0 vztmpl-dl -j --list-remote
  json '"small" in d'
  tool 3 vztmpl-dl -j small
  tool 2 vztmpl-dl --no-update small
  tool 1 vztmpl-dl missing
  tool 0 vztmpl-dl --quiet --update small
  assert_eq "$out" ""
  tool 5 vztmpl-dl --gpg-check small
  if on_alpha sh -c 'command -v gpg && command -v gpgv' >/dev/null; then
    on_alpha sh -c 'mkdir -m 700 /root/gnupg; export GNUPGHOME=/root/gnupg
      gpg --batch --quiet --passphrase "" --quick-gen-key mine@example.org && gpg --batch --quiet --passphrase "" --quick-gen-key other@example.org &&
      gpg --batch --quiet --local-user mine@example.org --armor --detach-sign /root/repo/small.tar.zst; gpgconf --kill all' 2>/dev/null
    on_alpha sh -c 'echo GPG_KEY=\"mine@example.org\" >>/etc/vz/download.conf'
    tool 0 env GNUPGHOME=/root/gnupg vztmpl-dl --gpg-check small
    on_alpha sed -i s/mine@/other@/ /etc/vz/download.conf
    tool 5 env GNUPGHOME=/root/gnupg vztmpl-dl --gpg-check small
    on_alpha sed -i s/other@/nobody@/ /etc/vz/download.conf
    tool 5 env GNUPGHOME=/root/gnupg vztmpl-dl --gpg-check small
    on_alpha sh -c 'GNUPGHOME=/root/gnupg gpgconf --kill all; rm -r /root/gnupg'
  fi
  on_alpha mv /root/repo/.listing /root/repo/listing
  tool 1 vztmpl-dl --list-remote
  on_alpha sh -c 'kill $(cat /root/server)'
  tool 1 vztmpl-dl small
  for words in "" "a/b" "--update-all x" "--no-such-option"; do tool 3 vztmpl-dl $words; done
  ok create 105 --ostemplate small --diskspace 64M
  ok destroy 105
  on_alpha sh -c 'mv /root/vz.conf /etc/vz/vz.conf && rm -r /root/templates /root/repo /root/server /etc/vz/download.conf'
else
  say "no wget and python3 there: vztmpl-dl is not tried"
fi

step "vzps: as Salt, CFEngine, Rudder and scripts call it"
ok exec2 101 'setsid sleep 1234 >/dev/null 2>&1 &'
tool 0 sh -c 'vzps -E 0 -efH | cut -b 6-'
assert_eq "$(head -n 1 <<<"$out" | awk '{ print $1, $2, $3 }')" "UID PID PPID" "Salt's header"
assert_eq "$(awk 'NR > 1 && $2 !~ /^[0-9]+$/' <<<"$out")" "" "rows that Salt does not understand"
assert_contains "$out" vz-supervisor
assert_absent "$out" "sleep 1234"
assert_eq "$(awk '$2 == 1 { print $3 }' <<<"$out")" 0 "the host's init"
tool 0 vzps -E 0 -o user,pid,ppid,pgid,pcpu,pmem,vsz,ni,rss,thcount,stime,time,args
assert_eq "$(awk 'NR == 1 { print $1, $2, $13 }' <<<"$out")" "USER PID COMMAND" "CFEngine's header"
assert_eq "$(awk 'NR > 1 && $2 !~ /^[0-9]+$/' <<<"$out")" "" "rows that CFEngine does not understand"
tool 0 vzps -E 0
assert_eq "$(awk 'NR > 1 && $1 != 0' <<<"$out")" "" "processes of containers"
tool 0 vzps h -o %cpu -E 101
assert_eq "$(awk '!/^ *[0-9.]+$/' <<<"$out")" "" "what is no number of %CPU"
tool 0 vzps -E 101 -ef
assert_eq "$(head -n 1 <<<"$out" | awk '{ print $1 }')" CTID
assert_eq "$(awk 'NR > 1 && $1 != 101' <<<"$out")" "" "processes of others"
[ "$(awk '/sleep 1234/ { print $3 }' <<<"$out")" -gt 0 ] || fail "not there: sleep 1234"
tool 0 vzps -E web aux
assert_contains "$out" "sleep 1234"
tool 0 vzps -E -f
assert_contains "$out" "sleep 1234"
assert_contains "$out" vz-supervisor
tool 0 vzps -C sleep -o args= -E 101
assert_eq "$(sort -u <<<"$out")" "sleep 1234" "as ps chooses, of one container"
tool 1 vzps -E 103 -ef
assert_eq "$out|$err" "|Container 103 is not running"
tool 1 vzps -E 999
assert_eq "$out|$err" "|Container 999 does not exist"
tool 1 vzps -E nobody
assert_eq "$out" ""
tool 1 vzps -E 101 -C no-such-command
tool 0 vzps -E web --json
json '{p["ctid"] for p in d} == {101} and {p["uid"] for p in d} == {0} and "cpu" not in d[0]'
json '[p["args"] for p in d if p["command"] == "sleep"][0] == ["sleep", "1234"]'
tool 0 vzps --json -C vz-supervisor
json 'len(d) >= 2 and {(p["ctid"], p["user"]) for p in d} == {(0, "root")}'
tool 1 vzps --json -E 101 -C no-such-command
assert_eq "$out" "[]"
for words in "--json -o pid" "--json -E 103" "--json -E 999"; do
  tool 1 vzps $words
  assert_eq "$out" ""
done
tool 1 vzps -E 0 --no-such-option
assert_contains "$err" "unknown gnu long option"

step "all of them tell what they are"
for name in vzcfgvalidate vzsplit vzcalc vzmemcheck vzcpucheck vzubc vzoversell arpsend ndsend vzifup-post vzfsync vznnc vzcptcheck vztmpl-dl vzps vztop; do
  tool 0 "$name" --help
  assert_contains "$out" "Usage: $name"
  tool 0 "$name" --version
  assert_contains "$out" "$name version "
done

step "down"
for ctid in 101 102; do ok stop $ctid; done
for ctid in 101 102 103; do ok destroy $ctid; done
on_alpha rm /etc/vz/conf/ve-ten.conf-sample /root/bad.conf /root/split.conf
assert_clean alpha --all
