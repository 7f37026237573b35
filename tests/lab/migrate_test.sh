#!/bin/bash
# Moves of a small guest: live, stopped, refused, failing half-way.
. "$(dirname "$0")/lib.sh"
. "$(dirname "$0")/moves.sh"
lab_up alpha beta client
address=10.77.0.50

step "a tiny guest on alpha, a client talking to it"
on alpha test -e /var/lib/vz/template/cache/tiny.tar.zst || on alpha vztmpl build tiny
on alpha ip link add br1 type bridge
make_guest alpha 101 tiny $address --hostname box --name box
talk $address

step "refused before anything is touched, with the reason"
assert_status 10 on alpha vzmigrate --online beta 999
assert_status 4 on alpha vzmigrate --online nowhere.invalid 101
on alpha vzctl --quiet set 101 --netif_add eth1,,,,br1 --save
out=$(on alpha vzmigrate --online beta 101 2>&1) && fail "moved to a host without the bridge"
assert_contains "$out" "no bridge br1"
on alpha vzctl --quiet set 101 --netif_del eth1 --save
on alpha ip link del br1
on beta vzctl --quiet create 102 --ostemplate tiny --ipadd $address --diskspace 256M --name box
out=$(on alpha vzmigrate --online beta box 2>&1) && fail "moved to a host with the same address and name"
assert_contains "$out" "address $address belongs to CT 102"
assert_contains "$out" "name box belongs to CT 102"
on beta vzctl --quiet destroy 102
on alpha vzctl exec 101 sleep 1000 || true &
eventually 5 on alpha vzctl exec 101 pidof sleep > /dev/null
out=$(on alpha vzmigrate --online beta 101 2>&1) && fail "moved with an entered program"
assert_contains "$out" "entered from outside"
on alpha vzctl exec 101 'kill $(pidof sleep)'
wait
assert_contains "$(on alpha vzmigrate --check-only --online beta 101)" "All checks passed"
assert_eq "$(on alpha vzctl status 101)" "CTID 101 exist mounted running"
assert_eq "$(on beta vzctl status 101)" "CTID 101 deleted unmounted down"
assert_clean beta --all

step "live, there and back, its clock and connection go on"
on alpha vzctl exec 101 'echo kept > /root/file; ln /root/file /root/hard; mkfifo /root/fifo'
on alpha vzctl --quiet set 101 --ipadd 10.77.0.51 --numproc 77 2> /dev/null  # not saved: holds until it stops
before=$(on alpha vzctl exec 101 'cut -d. -f1 /proc/uptime')
out=$(on alpha vzmigrate --online --times beta box)
assert_contains "$out" "Total suspended time"
assert_eq "$(on beta vzctl status 101)" "CTID 101 exist mounted running"
assert_eq "$(on alpha vzctl status 101)" "CTID 101 deleted unmounted down"
assert_eq "$(on beta vzctl exec 101 'cat /root/hard; stat -c %h /root/file')" $'kept\n2'
after=$(on beta vzctl exec 101 'cut -d. -f1 /proc/uptime')
[ "$after" -ge "$before" ] || fail "its clock went back from $before to $after"
on client ping -c 1 -W 2 10.77.0.51 > /dev/null || fail "an address that was not saved is lost by the move"
assert_absent "$(on beta cat /etc/vz/conf/101.conf)" 10.77.0.51
assert_clean alpha --all
on beta vzmigrate --online alpha 101
say "worst round trip of two moves: $(hang_up) ms"
assert_clean beta --all

step "a failure on the destination gives it back running, nothing is left there"
talk $address
on beta sh -c 'mkdir -p /etc/vz/broken && sed -i "\$aCRIU=/bin/false" /etc/vz/vz.conf'
assert_status 17 on alpha vzmigrate --online beta 101
on beta sed -i '$d' /etc/vz/vz.conf
on beta sh -c 'printf "#!/bin/sh\ncase \$1 in --version) echo Version: 99;; *) exit 1;; esac\n" > /root/criu && chmod 755 /root/criu && echo CRIU=/root/criu >> /etc/vz/vz.conf'
assert_status 7 on alpha vzmigrate --online beta 101
assert_eq "$(on alpha vzctl status 101)" "CTID 101 exist mounted running"
on beta sed -i '$d' /etc/vz/vz.conf
assert_clean beta --all
say "worst round trip of a move that failed: $(hang_up) ms"

runs_somewhere() { [[ $(on alpha vzctl status 101; on beta vzctl status 101) = *running* ]]; }
step "kill -9 of either end before the hand-over: it runs on the source"
for victim in alpha beta; do
  on alpha vzmigrate --online beta 101 > /dev/null 2>&1 &
  sleep $((7 * slowness))e-1
  on $victim sh -c 'for p in /proc/[0-9]*; do case $(tr "\0" " " < $p/cmdline 2>/dev/null) in vzmigrate*) kill -9 ${p#/proc/};; esac; done'
  wait || true
  eventually 15 runs_somewhere
  home=alpha other=beta
  [[ $(on alpha vzctl status 101) = *running* ]] || home=beta other=alpha
  assert_contains "$(on $other vzctl status 101)" down
  eventually 10 on $home vzctl exec 101 true
  [ $home = alpha ] || on beta vzmigrate --online alpha 101 > /dev/null
done

step "stopped and started there; kept here with -r no"
on alpha vzmigrate -r no beta 101
assert_eq "$(on beta vzctl exec 101 cat /root/file)" kept
on alpha test -e /etc/vz/conf/101.conf.migrated
on alpha test -d /var/lib/vz/private/101
on beta vzctl --quiet stop 101 --fast
on alpha rm -rf /var/lib/vz/private/101
on beta vzmigrate alpha 101
assert_eq "$(on alpha vzctl status 101)" "CTID 101 exist unmounted down"

step "suspended, moved, resumed"
on alpha vzctl --quiet start 101
on alpha vzctl exec 101 'setsid sh -c "sleep 1000" > /dev/null 2>&1 < /dev/null &'
on alpha vzctl --quiet suspend 101
on alpha vzmigrate beta 101
assert_eq "$(on beta vzctl status 101)" "CTID 101 exist unmounted down suspended"
on beta vzctl --quiet resume 101
on beta vzctl exec 101 'ps | grep -q "[s]leep 1000"'
on beta vzctl --quiet stop 101 --fast
on beta vzctl --quiet destroy 101
assert_clean alpha --all
assert_clean beta --all
