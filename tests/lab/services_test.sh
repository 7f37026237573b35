#!/bin/bash
# A Debian 13 with what people run in it, moved live under load: PostgreSQL, Redis, nginx with PHP, haproxy. Nothing that was
# committed is lost, nothing is done twice, no client sees an error.
. "$(dirname "$0")/lib.sh"
. "$(dirname "$0")/moves.sh"
lab_up alpha beta gamma client
have_template test-services || skip "no template test-services (scripts/lib/templates builds it from the package mirror)"
address=10.77.0.50 from=alpha to=beta
server() { on $from vzctl exec2 101 "$@"; }
load() { on gamma vzctl exec2 102 "$@"; }
page() { on client curl -sf --max-time 20 "http://$address/$1"; }

step "all of its services run"
for guest in "alpha 101 $address" "gamma 102 10.77.0.60"; do
  read -r host id ip <<< "$guest"
  on "$host" vzctl --quiet create "$id" --ostemplate test-services --ipadd "$ip" --diskspace 4G --hostname "ct$id"
  on "$host" vzctl --quiet set "$id" --ram 1G --swap 1G --save
  on "$host" vzctl --quiet start "$id" --wait
done
dumps_pidfds || skip "this host's criu cannot dump pidfds"
assert_eq "$(server systemctl is-system-running)" running "$(server systemctl --failed --no-legend)"
on $from vzctl exec2 101 bash -s <<'END_OF_SETUP'
set -e
echo "listen_addresses = '*'" >> /etc/postgresql/17/main/postgresql.conf
echo "host all all 10.77.0.0/24 trust" >> /etc/postgresql/17/main/pg_hba.conf
sed -i 's/^bind .*/bind 0.0.0.0/; s/^protected-mode yes/protected-mode no/' /etc/redis/redis.conf
cat > /etc/nginx/sites-available/default <<'END_OF_SITE'
server { listen 80; root /var/www/html; location ~ \.php$ { include snippets/fastcgi-php.conf; fastcgi_pass unix:/run/php/php-fpm.sock; } }
END_OF_SITE
echo '<?php echo ini_get("opcache.jit_buffer_size"), " ", getmypid() > 1 ? "works" : "";' > /var/www/html/index.php
systemctl restart postgresql redis-server nginx
cd / && runuser -u postgres -- createuser -s root && createdb bench
END_OF_SETUP
say "PHP: $(page index.php)"
load pgbench -q -h $address -i -s 2 bench > /dev/null 2>&1

step "moved twice while two clients write"
load 'cd /root && (pgbench -h '$address' -c 4 -T 40 -l bench > pg.out 2>&1; touch pg.done) > /dev/null 2>&1 < /dev/null &'
load 'cd /root && (timeout 40 redis-cli -h '$address' -r 100000000 INCR n > redis.out 2>&1; touch redis.done) > /dev/null 2>&1 < /dev/null &'
for ((i = 0; i < 2; i++)); do
  eventually 20 load test -s /root/redis.out
  say "frozen for $(frozen "$(on $from vzmigrate --online --times $to 101)") s"
  read -r from to <<< "$to $from"
  assert_contains "$(page index.php)" works "PHP after a move"
done
load 'test ! -e /root/pg.done && test ! -e /root/redis.done' || fail "the clients did not last as long as the moves"
eventually 60 load test -e /root/pg.done -a -e /root/redis.done

step "nothing is lost"
out=$(load cat /root/pg.out)
assert_contains "$out" "number of failed transactions: 0 " pgbench
done=$(sed -n 's/^number of transactions actually processed: //p' <<< "$out")
assert_eq "$(server 'psql -Atc "select count(*) from pgbench_history" bench')" "$done" "transactions committed"
replies=$(load 'grep -c . /root/redis.out') last=$(load tail -n 1 /root/redis.out) count=$(server redis-cli get n)
assert_eq "$replies" "$last" "Redis: each reply once"
# One more may have been done whose reply the client did not wait for.
[ "$count" = "$last" ] || [ "$count" = $((last + 1)) ] || fail "Redis counted to $count, the client to $last"
say "$done transactions, $last increments; worst transaction: $(load 'cat /root/pgbench_log.*' | sort -k3 -n | awk 'END { printf "%d ms\n", $3 / 1000 }')"

step "its services are well, and what is mounted at two places is one"
assert_eq "$(server systemctl is-system-running)" running "$(server systemctl --failed --no-legend)"
pid=$(server systemctl show -P MainPID haproxy)
assert_eq "$(server nsenter -t "$pid" -m stat -c %i /var/lib/haproxy/dev/log)" "$(server stat -c %i /run/systemd/journal/dev-log)" \
  "the socket that haproxy sees"
server systemctl restart postgresql redis-server nginx php8.4-fpm haproxy
assert_eq "$(server systemctl is-system-running)" running "$(server systemctl --failed --no-legend)"
