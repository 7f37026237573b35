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
lab_up alpha
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
assert_eq "$(on_alpha vzcalc -j 102 | python3 -c 'import json, sys; d = json.load(sys.stdin); print(d["ctid"], d["low_mem"]["promised"], d["num_proc"]["max"])')" "102 0.0 100.0"
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
tool 0 vzsplit -n 20 -v no -s 1048576
assert_eq "$(grep -cE '^[A-Z]+="[0-9]+(:([0-9]+|unlimited))?"$' <<<"$out")" 24 "parameters"
on_alpha sh -c 'cat >/root/split.conf' <<<"$out"
tool 0 vzcfgvalidate -v no /root/split.conf
tool 0 sh -c 'echo 5 | vzsplit'
assert_contains "$out" "PHYSPAGES="
tool 1 vzsplit -n 1000000
assert_contains "$err" "The maximum allowed value is"
for words in "-n 0" "-n x" "-n 3 -v perhaps" "-n 3 -f a/b" "-n 3 more" ""; do tool 1 vzsplit $words; done

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
for words in "-q -v" "103" "nobody" "-qh much" "-f /root/none" "-f /etc/passwd" "-w -j"; do tool 1 vzubc $words; done
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

step "all of them tell what they are"
for name in vzcfgvalidate vzsplit vzcalc vzmemcheck vzcpucheck vzubc vzoversell; do
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
