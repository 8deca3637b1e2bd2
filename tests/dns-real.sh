#!/bin/sh
# SPDX-License-Identifier: ISC
#
# Goal: whatever name server stands in front of it, connectd reads a name as
# dig does, and reaches what dig says is there.
#
#	CONNECTD=./connectd sh tests/dns-real.sh
#
# An authority, nsd, has zones with a name of every kind; unbound asks it, and
# dnsmasq asks unbound.  connectd asks each of the three.  curl fetches a page
# over TLS by each name, and the access line of that is compared with dig's
# answers.  Only loopback is used, and nothing is installed (Debian: nsd
# unbound dnsmasq-base bind9-dnsutils curl openssl python3).  What is not there
# is skipped, or fails if DNS_REQUIRED is set.
#
# One line for each check, in the end how many passed and failed; exit 1 if one
# failed.

: "${CONNECTD:=./connectd}" "${DNS_REQUIRED:=}"
case $CONNECTD in
/*) ;;
*) CONNECTD=$PWD/$CONNECTD ;;
esac

PATIENCE=10		# seconds until a condition counts as never met

LC_ALL=C
PATH=$PATH:/usr/local/sbin:/usr/sbin:/sbin
export LC_ALL PATH
unset http_proxy https_proxy all_proxy no_proxy HTTPS_PROXY ALL_PROXY NO_PROXY

passed=0 failed=0 skipped=0
origin='' nsd='' unbound='' dnsmasq='' daemon=''
dir=$(mktemp -d "${TMPDIR:-/tmp}/dns-real.XXXXXX") || exit 1

stop_everything() {
	for pid in $daemon $dnsmasq $unbound $nsd $origin; do
		kill "$pid"
	done
	wait
	rm -rf "$dir"
} 2> /dev/null
trap stop_everything EXIT
trap 'exit 129' HUP
trap 'exit 130' INT
trap 'exit 141' PIPE
trap 'exit 143' TERM

# ---- helpers -----------------------------------------------------------------

give_up() {
	echo "$*"
	tail -n 20 "$dir"/*.log 2> /dev/null
	echo "0 passed, 1 failed"
	exit 1
}

until_true() {
	tries=$((PATIENCE * 20))
	until "$@"; do
		tries=$((tries - 1))
		[ $tries -gt 0 ] || return 1
		sleep 0.05
	done
}

have() {
	command -v "$1" > /dev/null
}

# result TITLE STATUS: what went wrong is in said.
result() {
	if [ "$2" -eq 0 ]; then
		echo "ok $1"
		passed=$((passed + 1))
	else
		echo "FAILED $1"
		sed 's/^/   | /' "$dir/said"
		failed=$((failed + 1))
	fi
}

skip() {
	echo "skipped $1: there is no $2 here"
	if [ -n "$DNS_REQUIRED" ]; then
		failed=$((failed + 1))
	else
		skipped=$((skipped + 1))
	fi
}

# ---- the origin --------------------------------------------------------------

# Says the port that it got, the same for both families.
origin_program() {
	cat <<-'END'
	import http.server, socket, ssl, sys, threading
	class Handler(http.server.BaseHTTPRequestHandler):
	    def do_GET(self):
	        self.send_response(200)
	        self.send_header("Content-Length", "6")
	        self.end_headers()
	        self.wfile.write(b"hello\n")
	    def log_message(self, *words):
	        pass
	class Six(http.server.ThreadingHTTPServer):
	    address_family = socket.AF_INET6
	    def server_bind(self):
	        self.socket.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
	        super().server_bind()
	def serve(kind, host, port):
	    server = kind((host, port), Handler)
	    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
	    context.load_cert_chain(sys.argv[1], sys.argv[2])
	    server.socket = context.wrap_socket(
	        server.socket, server_side=True, do_handshake_on_connect=False)
	    threading.Thread(target=server.serve_forever).start()
	    return server.server_port
	for _ in range(20):
	    port = serve(http.server.ThreadingHTTPServer, "0.0.0.0", 0)
	    try:
	        serve(Six, "::1", port)
	        break
	    except OSError:
	        continue
	print(port, flush=True)
	END
}

start_origin() {
	openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 \
	    -nodes -days 2 -keyout "$dir/key.pem" -out "$dir/cert.pem" \
	    -subj /CN=real.test > "$dir/openssl.log" 2>&1 ||
	    give_up "openssl makes no certificate"
	origin_program > "$dir/origin.py"
	: > "$dir/origin"
	python3 "$dir/origin.py" "$dir/cert.pem" "$dir/key.pem" \
	    > "$dir/origin" 2> "$dir/origin.log" &
	origin=$!
	until_true [ -s "$dir/origin" ] || give_up "the origin does not start"
	tls=$(cat "$dir/origin")
}

# ---- name servers ------------------------------------------------------------

# A port that nobody has, for UDP and TCP, at 127.0.0.1.  It is free again when
# this returns; if somebody else takes it, the server that wanted it does not
# start, and is started again with another one.
free_port() {
	python3 - <<-'END'
	import socket
	while True:
	    with socket.socket(type=socket.SOCK_DGRAM) as udp, \
	            socket.socket() as tcp:
	        udp.bind(("127.0.0.1", 0))
	        try:
	            tcp.bind(udp.getsockname())
	        except OSError:
	            continue
	        print(udp.getsockname()[1])
	        break
	END
}

l63=$(printf '%063d' 0 | tr 0 a)
l56=$(printf '%056d' 0 | tr 0 b)
LONG_ZONE=$l63.test
LONGEST=$l63.$l63.$l56.$LONG_ZONE	# 253 bytes

zone_head() {
	cat <<-END
	\$ORIGIN $1.
	\$TTL 60
	@ SOA ns hostmaster 1 3600 600 86400 60
	@ NS ns
	ns A 127.0.0.1
	END
}

real_zone() {
	zone_head real.test
	cat <<-END
	four A 127.0.0.5
	six AAAA ::1
	both A 127.0.0.5
	both AAAA ::1
	two A 127.0.0.5
	two A 127.0.0.6
	once 0 A 127.0.0.5
	MiXeD A 127.0.0.9
	_srv._tcp A 127.0.0.10
	a-b--c A 127.0.0.11
	alias CNAME four
	alias6 CNAME six
	alias2 CNAME alias
	upper CNAME BOTH.Real.TEST.
	away CNAME there.other.test.
	away2 CNAME back.other.test.
	lost CNAME here.nowhere.test.
	dangling CNAME nothing
	empty-alias CNAME text
	*.wild A 127.0.0.8
	*.wildalias CNAME both
	text TXT "no address"
	mail MX 10 four
	deep.inside A 127.0.0.12
	private A 10.9.9.9
	private AAAA fd00::9
	partly A 10.9.9.9
	partly A 127.0.0.13
	END
	i=0
	while [ $i -lt 15 ]; do
		echo "c$i CNAME c$((i += 1))"
	done
	echo "c15 CNAME both"
	i=0
	while [ $i -lt 400 ]; do
		echo "many A 127.1.$((i / 200)).$((i % 200 + 1))"
		i=$((i + 1))
	done
}

other_zone() {
	zone_head other.test
	echo 'there A 127.0.0.7'
	echo 'back CNAME alias2.real.test.'
}

long_zone() {
	zone_head "$LONG_ZONE"
	echo "$LONGEST. A 127.0.0.14"
}

nsd_settings() {
	cat <<-END
	server:
	    ip-address: 127.0.0.1@$1
	    username: ""
	    zonesdir: "$dir"
	    database: ""
	    pidfile: "$dir/nsd.pid"
	    zonelistfile: "$dir/zone.list"
	    xfrdfile: "$dir/xfrd.state"
	    xfrdir: "$dir"
	    server-count: 1
	remote-control:
	    control-enable: no
	zone:
	    name: real.test
	    zonefile: real.zone
	zone:
	    name: other.test
	    zonefile: other.zone
	zone:
	    name: $LONG_ZONE
	    zonefile: long.zone
	END
}

# Without a way to any other server than nsd.
unbound_settings() {
	cat <<-END
	server:
	    interface: 127.0.0.1
	    port: $1
	    access-control: 127.0.0.0/8 allow
	    do-daemonize: no
	    use-syslog: no
	    username: ""
	    chroot: ""
	    directory: "$dir"
	    pidfile: "$dir/unbound.pid"
	    do-not-query-localhost: no
	    do-ip6: no
	    module-config: "iterator"
	    local-zone: "test." nodefault
	remote-control:
	    control-enable: no
	stub-zone:
	    name: "."
	    stub-addr: 127.0.0.1@$nsd_port
	stub-zone:
	    name: "real.test"
	    stub-addr: 127.0.0.1@$nsd_port
	stub-zone:
	    name: "other.test"
	    stub-addr: 127.0.0.1@$nsd_port
	stub-zone:
	    name: "$LONG_ZONE"
	    stub-addr: 127.0.0.1@$nsd_port
	END
}

run_nsd() {
	nsd_settings "$1" > "$dir/nsd.conf"
	exec nsd -d -c "$dir/nsd.conf"
}

run_unbound() {
	unbound_settings "$1" > "$dir/unbound.conf"
	exec unbound -d -c "$dir/unbound.conf"
}

run_dnsmasq() {
	exec dnsmasq --keep-in-foreground --conf-file=/dev/null --no-resolv \
	    --no-hosts --listen-address=127.0.0.1 --bind-interfaces \
	    --port="$1" --server="127.0.0.1#$unbound_port" --log-facility=- \
	    --pid-file= --user="$(id -un)"
}

answers() {
	dig +time=1 +tries=1 @127.0.0.1 -p "$1" four.real.test A 2>&1 |
	    grep -q 'status: NOERROR'
}

decided() {
	answers "$2" || ! kill -0 "$1"
} 2> /dev/null

# start_server NAME: sets pid and port.
start_server() {
	for try in 1 2 3; do
		port=$(free_port)
		"run_$1" "$port" > "$dir/$1.log" 2>&1 < /dev/null &
		pid=$!
		until_true decided $pid "$port"
		! answers "$port" || return 0
		kill $pid 2> /dev/null
		wait $pid
	done
	give_up "$1 does not start, tried $try times"
}

start_servers() {
	real_zone > "$dir/real.zone"
	other_zone > "$dir/other.zone"
	long_zone > "$dir/long.zone"
	start_server nsd
	nsd=$pid nsd_port=$port
	have unbound || return
	start_server unbound
	unbound=$pid unbound_port=$port
	have dnsmasq || return
	start_server dnsmasq
	dnsmasq=$pid dnsmasq_port=$port
}

# ---- dig's reading -----------------------------------------------------------

# dig_once PORT NAME TYPE: "status STATUS", "TYPE VALUE" lines in their order.
dig_once() {
	dig +noall +comments +answer +time=5 +tries=2 @127.0.0.1 -p "$1" \
	    "$2" "$3" 2>&1 | awk '
		/->>HEADER<<-/ {
			sub(/.*status: /, "")
			sub(/,.*/, "")
			status = $0
		}
		/^[^;]/ { print $4, $5 }
		END { print "status", status }'
}

# The same, going on where a chain of aliases leaves the zone.
dig_all() {
	name=$2 links=0
	while [ $links -lt 8 ]; do
		dig_once "$1" "$name" "$3" > "$dir/dig"
		grep "^$3 " "$dir/dig" && break
		end=$(awk '$1 == "CNAME" { end = $2 } END { print end }' \
		    "$dir/dig")
		grep -q '^status NOERROR' "$dir/dig" || break
		[ -n "$end" ] || break
		name=$end links=$((links + 1))
	done
	grep '^status ' "$dir/dig"
}

# dig_reading PORT NAME: what connectd has to make of it, in dig.a, dig.aaaa
# and $wanted: "200", "403" or "502 RCODE".
dig_reading() {
	dig_all "$1" "$2" A > "$dir/dig.a"
	dig_all "$1" "$2" AAAA > "$dir/dig.aaaa"
	cat "$dir/dig.a" "$dir/dig.aaaa" > "$dir/dig.both"
	if grep -q -e '^A 127\.' -e '^AAAA ::1$' "$dir/dig.both"; then
		wanted=200
	elif grep -q '^A' "$dir/dig.both"; then
		wanted=403
	elif grep -q '^status NXDOMAIN' "$dir/dig.both"; then
		wanted='502 NXDOMAIN'
	else
		# NOERROR only if nothing worse was said.
		wanted="502 $(sed -n 's/^status //p' "$dir/dig.both" |
		    grep -v NOERROR | head -n 1 | grep . || echo NOERROR)"
	fi
}

# ---- connectd's ---------------------------------------------------------------

start_connectd() {
	: > "$dir/connectd.log"
	"$CONNECTD" -f /dev/null -o 'listen 127.0.0.1:0' -o 'hosts /dev/null' \
	    -o "nameserver 127.0.0.1:$1" \
	    -o "allow from loopback to loopback port $tls" \
	    2> "$dir/connectd.log" &
	daemon=$!
	until_true grep -q '^listening on ' "$dir/connectd.log" ||
	    give_up "connectd does not start"
	proxy=$(sed -n 's/^listening on //p' "$dir/connectd.log")
	seen=0
}

stop_connectd() {
	kill "$daemon"
	wait "$daemon"
	status=$?
	daemon=
	cp "$dir/connectd.log" "$dir/said"
	[ $status -eq 0 ] && ! grep -q -e Sanitizer -e 'runtime error' \
	    "$dir/connectd.log"
	result "$1: connectd ends as it should" $?
}

more_lines() {
	[ "$(grep -c '^tunnel ' "$dir/connectd.log")" -gt "$seen" ]
}

field() {
	sed -n "s/.* $1=\([^ ]*\).*/\1/p" "$dir/line"
}

# fetch NAME: the page in out, curl's status in fetched, the access line in
# line.
fetch() {
	curl -q -k -sS --max-time 20 -x "http://$proxy" \
	    "https://$1:$tls/" > "$dir/out" 2> "$dir/curl.log"
	fetched=$?
	until_true more_lines || : > "$dir/line"
	grep '^tunnel ' "$dir/connectd.log" | tail -n 1 > "$dir/line"
	seen=$(grep -c '^tunnel ' "$dir/connectd.log")
}

# The address that was used is one of dig's, and IPv6 if there is one.
is_the_address() {
	used=$(field address)
	host=${used%:*}
	if grep -q '^AAAA ::1$' "$dir/dig.aaaa"; then
		[ "$host" = '[::1]' ]
	else
		grep -qxF "A $host" "$dir/dig.a"
	fi
}

agrees() {
	case $wanted in
	200)
		[ $fetched -eq 0 ] && [ "$(cat "$dir/out")" = hello ] &&
		    [ "$(field status)" = 200 ] && is_the_address
		;;
	403)
		[ $fetched -ne 0 ] && [ "$(field status)" = 403 ] &&
		    [ "$(field end)" = destination_ip_prohibited ]
		;;
	*)
		[ $fetched -ne 0 ] && [ "$(field status)" = 502 ] &&
		    [ "$(field end)" = dns_error ] &&
		    [ "$(field rcode)" = "${wanted#* }" ]
		;;
	esac
}

# check SERVER PORT NAME: asked for twice, so known the second time.
check() {
	dig_reading "$2" "$3"
	: > "$dir/said"
	for time in first second; do
		fetch "$3"
		agrees || {
			echo "the $time time; dig says, so $wanted:"
			cat "$dir/dig.both"
			echo "connectd says, and curl ($fetched):"
			cat "$dir/line" "$dir/curl.log"
		} > "$dir/said"
	done
	test ! -s "$dir/said"
	result "$1: $(echo "$3" | cut -c 1-40) ($wanted)" $?
}

NAMES='four six both two once mixed MIXED _srv._tcp a-b--c alias alias6 alias2
upper away away2 lost dangling empty-alias x.wild a.b.wild wild x.wildalias
text mail deep.inside inside private partly c0 c8 many none none.none ns'

# play SERVER PORT
play() {
	start_connectd "$2"
	for name in $NAMES; do
		check "$1" "$2" "$name.real.test"
	done
	check "$1" "$2" four.real.test.
	check "$1" "$2" real.test
	check "$1" "$2" "$LONGEST"
	check "$1" "$2" not.here.test
	stop_connectd "$1"
}

# ---- all of it ---------------------------------------------------------------

[ -x "$CONNECTD" ] || give_up "there is no $CONNECTD, run make first"
for program in nsd dig curl openssl python3; do
	have $program && continue
	skip 'all of it' $program
	printf '0 passed, %d failed, %d skipped\n' $failed $skipped
	exit $failed
done

start_origin
start_servers
play nsd "$nsd_port"
if [ -n "$unbound" ]; then
	play unbound "$unbound_port"
else
	skip unbound unbound
fi
if [ -n "$dnsmasq" ]; then
	play dnsmasq "$dnsmasq_port"
else
	skip dnsmasq 'dnsmasq, or no unbound,'
fi

printf '%d passed, %d failed' $passed $failed
[ $skipped -eq 0 ] || printf ', %d skipped' $skipped
echo
[ $failed -eq 0 ]
