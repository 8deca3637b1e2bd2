#!/bin/sh
# SPDX-License-Identifier: ISC
#
# Goal: show connectd at work: a request through a tunnel, all on loopback.
#
#	CONNECTD=./connectd sh tests/demo.sh
#
# A small web server is the target, connectd stands in front of it, and
# whatever client this machine has asks for a page.  It takes a second or two
# and leaves nothing behind.  Exit 0 if the right page came.
set -u

: "${CONNECTD:=./connectd}"
WORDS='Hello from the other end of the tunnel.'

origin='' daemon=''
dir=$(mktemp -d "${TMPDIR:-/tmp}/demo.XXXXXX") || exit 1
stop_everything() {
	for pid in $origin $daemon; do
		kill "$pid" && wait "$pid"
	done 2> /dev/null
	rm -rf "$dir"
}
trap stop_everything EXIT
trap 'exit 1' HUP INT PIPE TERM

give_up() {
	echo "$*"
	exit 1
}

# within_5_s COMMAND...: ask until it is so.
within_5_s() {
	tries=50
	until "$@"; do
		tries=$((tries - 1))
		[ $tries -gt 0 ] || return 1
		sleep 0.1 2> /dev/null || sleep 1
	done
}

have() {
	command -v "$1" > /dev/null
}

# ---- the target --------------------------------------------------------------

# Each says the port that the kernel chose in a line of $dir/port.

python_origin() {
	exec python3 -u - "$dir/www" <<-'END'
	import functools, http.server, sys
	class Handler(http.server.SimpleHTTPRequestHandler):
	    def log_message(self, *words):
	        pass
	server = http.server.HTTPServer(("127.0.0.1", 0),
	    functools.partial(Handler, directory=sys.argv[1]))
	print(server.server_port)
	server.serve_forever()
	END
}

# shellcheck disable=SC2016
perl_origin() {
	exec perl -MIO::Socket::INET -e '
		my $server = IO::Socket::INET->new(Listen => 5,
		    LocalAddr => "127.0.0.1") or die;
		$| = 1;
		print $server->sockport, "\n";
		while (my $client = $server->accept) {
			while (<$client>) { last if /^\r?$/ }
			open my $page, "<", "$ARGV[0]/hello.txt" or die;
			print $client "HTTP/1.0 200 OK\r\n\r\n", <$page>;
			close $client;
		}' "$dir/www"
}

# It cannot choose a port, so connectd finds a free one.
busybox_origin() {
	"$CONNECTD" -f /dev/null -o 'listen 127.0.0.1:0' 2> "$dir/free" &
	asker=$!
	within_5_s grep -q '^listening on ' "$dir/free" || exit 1
	kill "$asker"
	wait "$asker"
	port=$(sed -n 's/^listening on .*://p' "$dir/free")
	echo "$port"
	exec busybox httpd -f -p "127.0.0.1:$port" -h "$dir/www"
}

start_origin() {
	mkdir "$dir/www"
	echo "$WORDS" > "$dir/www/hello.txt"
	if have python3; then
		kind=python
	elif have perl; then
		kind=perl
	elif have busybox; then
		kind=busybox
	else
		give_up "this needs python3, perl or busybox for a web server"
	fi
	: > "$dir/port"
	${kind}_origin > "$dir/port" 2> "$dir/origin.log" &
	origin=$!
	within_5_s test -s "$dir/port" ||
	    give_up "no web server: $(cat "$dir/origin.log")"
	target=127.0.0.1:$(cat "$dir/port")
}

# ---- connectd ----------------------------------------------------------------

start_connectd() {
	rule="allow from loopback to loopback port ${target##*:}"
	: > "$dir/log"
	"$CONNECTD" -f /dev/null -o 'listen 127.0.0.1:0' -o "$rule" \
	    2> "$dir/log" &
	daemon=$!
	within_5_s grep -q '^listening on ' "$dir/log" ||
	    give_up "connectd does not start: $(cat "$dir/log")"
	proxy=$(sed -n 's/^listening on //p' "$dir/log")
}

tunnel_line() {
	grep '^tunnel ' "$dir/log" > "$dir/line"
}

# ---- the client --------------------------------------------------------------

request="printf 'GET /hello.txt HTTP/1.0\\r\\n\\r\\n'"

# Sets command to a line for the shell.
choose_client() {
	if have curl; then
		command="curl -q -sS -p -x http://$proxy http://$target/hello.txt"
	elif have nc && nc -h 2>&1 | grep -q -e '-X'; then
		command="$request | nc -X connect -x $proxy ${target%:*} ${target#*:}"
	elif have ncat; then
		command="$request | ncat --proxy $proxy ${target%:*} ${target#*:}"
	elif have socat; then
		command="$request | socat - PROXY:${proxy%:*}:$target,proxyport=${proxy#*:}"
	elif have python3; then
		python_client > "$dir/client.py"
		command="python3 $dir/client.py"
	elif have perl; then
		perl_client > "$dir/client.pl"
		command="perl $dir/client.pl"
	else
		by_hand="printf 'CONNECT $target HTTP/1.0\\r\\n\\r\\nGET /hello.txt HTTP/1.0\\r\\n\\r\\n'"
		command="$by_hand | busybox nc ${proxy%:*} ${proxy#*:}"
	fi
}

python_client() {
	cat <<-END
	import http.client
	tunnel = http.client.HTTPConnection("${proxy%:*}", ${proxy#*:}, timeout=5)
	tunnel.set_tunnel("${target%:*}", ${target#*:})
	tunnel.request("GET", "/hello.txt")
	print(tunnel.getresponse().read().decode(), end="")
	END
}

perl_client() {
	cat <<-END
	use IO::Socket::INET;
	my \$tunnel = IO::Socket::INET->new("$proxy") or die;
	print \$tunnel "CONNECT $target HTTP/1.0\r\n\r\n";
	while (<\$tunnel>) { print; last if /^\r?\$/ }
	print \$tunnel "GET /hello.txt HTTP/1.0\r\n\r\n";
	print while <\$tunnel>;
	END
}

# ---- the show ----------------------------------------------------------------

indented() {
	tr -d '\r' < "$1" | sed 's/^/    /'
}

[ -x "$CONNECTD" ] || give_up "there is no $CONNECTD: run make first"
start_origin
start_connectd
choose_client

cat <<END
The target, a web server:

    $target

connectd in front of it, with one rule:

    $CONNECTD -o 'listen 127.0.0.1:0' -o '$rule'

It listens on $proxy.  The client asks through a tunnel:

END
for file in "$dir/client".*; do
	[ ! -f "$file" ] || { indented "$file"; echo; }
done
printf '    $ %s\n' "$command"
limit=''
! have timeout || limit='timeout 5'
$limit sh -c "$command" > "$dir/answer" 2>&1 < /dev/null
indented "$dir/answer"
echo
echo "What connectd writes to its log when the tunnel ends:"
echo
within_5_s tunnel_line || give_up "no line of a tunnel: $(cat "$dir/log")"
indented "$dir/line"
echo

tr -d '\r' < "$dir/answer" | grep -qxF "$WORDS" ||
    give_up "That was not the right answer."
grep -q ' status=200 ' "$dir/line" || give_up "There was no tunnel."
echo "The page came through the tunnel.  Everything is stopped again."
