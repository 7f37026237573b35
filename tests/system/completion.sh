#!/bin/bash
# Completion in bash and zsh, and the --help that it is made from.
. "$(dirname "$0")/../lab/lib.sh"
. "$(dirname "$0")/../lab/ct.sh"

step "up"
lab_up alpha
need_tiny
file=$(cd "$(dirname "$0")/../../etc/completion" && pwd)/vzctl
ok create 101 --ostemplate tiny --diskspace 64M --name web
ok create 102 --ostemplate tiny --diskspace 64M
ok start 101

# complete WORD...: what may stand in place of the last word, in one line.
complete() {
  on_alpha bash -c '. "$1"; shift; COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); _vessel "$1"; echo "${COMPREPLY[*]}"' complete "$file" "$@"
}
# completes WANTED WORD...: exactly that.
completes() {
  local wanted=$1
  shift
  assert_eq "$(complete "$@")" "$wanted" "completion of: $*"
}

step "sub-commands, containers that they are for"
completes "start status" vzctl sta
completes "start status" vzctl --quiet sta
completes "--quiet" vzctl --q
completes "101 web" vzctl stop ""
completes "102" vzctl start ""
completes "101 web 102" vzctl set ""
completes "web" vzctl enter w
completes "--ostemplate" vzctl create --ost
completes "" vzctl no-such-command 101 ""

step "options and their values"
completes "--onboot" vzctl set 101 --onb
completes "yes no" vzctl set 101 --onboot ""
completes "--wait" vzctl start 101 --w
assert_contains " $(complete vzctl create 103 --ostemplate "") " " tiny "
assert_contains " $(complete vzctl create --ostemplate "") " " tiny "
assert_contains "$(complete vzctl set 101 -)" "--save"
assert_contains " $(complete vzlist -o ct) " " ctid "
completes "ctid,hostname" vzlist -o ctid,hostn
completes "--sort" vzlist --so
completes "--precopy" vzmigrate --prec
completes "yes no" vzmigrate -r ""
completes "101 102" vzmigrate other-host 10
completes "list build import remove" vztmpl ""
completes "debian-12 debian-13" vztmpl build d
assert_contains " $(complete vztmpl remove "") " " tiny "
completes "101 web 102" vzcalc ""
completes "--verbose" vzmemcheck --verb
completes "stat" vzquota sta
completes "101 web 102" vzquota stat ""
completes "start status" vzprocfs sta
completes "vz/vestat" vzprocfs cat vz/ves
completes "memory memory_limit" vztop -o mem
completes "pid ppid" vztop -E -o p
completes "101 102" vztop -E 10
completes "--command-lines" vztop --com
completes "br0" ndsend fd77::1 br
completes "yes no" vzsplit -v ""

step "names are never run"
on_alpha touch '/etc/vz/conf/ve-a$(touch owned).conf-sample'
completes 'a$(touch owned)' vzctl create --config a
! on_alpha test -e owned || fail "a file name was run"

if on_alpha sh -c 'command -v zsh > /dev/null'; then
  step "zsh is told the same"
  on_alpha sh -c 'sed "s|@bash_completion@|$1|" > /root/_vzctl' sh "$file" < "${file%/*}/_vzctl.in"
  complete() {
    on_alpha zsh -f -c 'compadd() { print -r -- ${(P)2}; }; words=("$@"); CURRENT=$#; . /root/_vzctl' zsh "$@"
  }
  completes "101 web" vzctl stop ""
  completes "yes no" vzctl set 101 --onboot ""
  completes "ctid,hostname" vzlist -o ctid,hostn
  completes "" vzctl no-such-command 101 ""
  completes 'a$(touch owned)' vzctl create --config a
  ! on_alpha test -e owned || fail "a file name was run"
fi
on_alpha rm '/etc/vz/conf/ve-a$(touch owned).conf-sample'

step "--help of a sub-command needs neither container nor configuration"
for command in create set start exec; do
  out=$(on_alpha vzctl $command --help)
  assert_contains "$out" "Usage: vzctl $command CTID"
done
assert_contains "$(on_alpha vzctl set --help)" "--onboot yes|no"
assert_eq "$(on_alpha vzctl set 101 --help)" "$(on_alpha vzctl set --help)" "help behind the CTID"
expect 20 start 101 --wiat
assert_contains "$err" "'--wiat' (see --help)"

step "down"
ok stop 101 --fast
ok destroy 101
ok destroy 102
assert_clean alpha --all
