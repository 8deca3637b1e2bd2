#!/bin/sh
# SPDX-License-Identifier: ISC
#
# Goal: the programs that people use with a proxy get through connectd, and
# what they fetch is what the origin has.
#
#	CONNECTD=./connectd sh tests/clients.sh [NAME...]
#
# Origins on loopback: nginx with TLS and without, sshd, git.  Each client is
# a function below, client_NAME, with what it needs in its first lines; one
# that this machine lacks is skipped, or fails if CLIENTS_REQUIRED is set.
# Node's modules are looked for in NODE_PATH.  Nothing is installed, and only
# loopback is used.
#
# One line for each client, the client's own output if it failed, and in the
# end how many passed and failed; exit 1 if one failed.

: "${CONNECTD:=./connectd}" "${CLIENTS_REQUIRED:=}"
case $CONNECTD in
/*) ;;
*) CONNECTD=$PWD/$CONNECTD ;;
esac

CLIENT_SECONDS=30	# until one client is given up
PATIENCE=10		# seconds until a condition counts as never met

CLIENTS='curl curl-1.0 curl-ipv6-target curl-ipv6-listener curl-big
curl-parallel wget git-dumb git-smart openssl nc-ssh ncat-ssh socat-ssh
corkscrew-ssh proxytunnel-ssh connect-proxy-ssh stunnel proxychains python
node undici https-proxy-agent perl-lwp perl-http-tiny ruby php aria2 w3m lynx
apt lftp-refused links-refused'

LC_ALL=C
PATH=$PATH:/usr/local/sbin:/usr/sbin:/sbin
export LC_ALL PATH

# What the user's environment says of proxies and certificates is not asked.
unset http_proxy https_proxy all_proxy no_proxy \
    HTTP_PROXY HTTPS_PROXY ALL_PROXY NO_PROXY \
    CURL_CA_BUNDLE GIT_SSL_CAINFO SSL_CERT_DIR NODE_EXTRA_CA_CERTS \
    PERL_LWP_SSL_CA_FILE CDPATH

passed=0 failed=0 skipped=0
nginx='' sshd='' fcgiwrap='' client='' asker=''
dir=$(mktemp -d "${TMPDIR:-/tmp}/clients.XXXXXX") || exit 1
log=$dir/connectd.log

stop_everything() {
	[ ! -s "$dir/connectd.pid" ] || [ -s "$dir/connectd.exit" ] ||
	    kill -9 "$(cat "$dir/connectd.pid")"
	for pid in $nginx $sshd $fcgiwrap $client $asker; do
		kill "$pid"
	done
	# Clients end when their servers do.
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

# until_true COMMAND...: ask again until it is so.
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

# In a client: what it cannot do without.
lack() {
	echo "$*" > "$dir/why"
	exit 77
}

need() {
	for program; do
		have "$program" || lack "there is no $program here"
	done
}

need_module() {
	need node
	node -e "require('$1')" 2> /dev/null ||
	    lack "node finds no module $1 in NODE_PATH"
}

# run COMMAND...: with a bound.
run() {
	timeout "$CLIENT_SECONDS" "$@"
}

# Lines of ended tunnels with this status, and all of them.
tunnels() {
	grep -c "^tunnel .* status=$1 " "$log"
}

at_least() {
	[ "$(tunnels "$1")" -ge "$2" ]
}

# same FILE: what came is what the origin has.
same() {
	cmp "$dir/www/$1" "$dir/out"
}

# The same for a whole HTTP response in out.
same_body() {
	awk 'body; /^\r$/ { body = 1 }' "$dir/out" > "$dir/body"
	cmp "$dir/www/$1" "$dir/body"
}

# ---- the origins -------------------------------------------------------------

# Two kernel-chosen ports: connectd can ask for them.  They are free again when
# this returns; if somebody else takes one, the server that wanted it does not
# start, and is started again with new ones.
free_ports() {
	: > "$dir/ports"
	"$CONNECTD" -f /dev/null -o 'listen 127.0.0.1:0' \
	    -o 'listen 127.0.0.1:0' 2> "$dir/ports" &
	asker=$!
	until_true listening_on 2 "$dir/ports" ||
	    give_up "connectd does not start: $(cat "$dir/ports")"
	kill "$asker"
	wait "$asker"
	asker=
	# shellcheck disable=SC2046
	set -- $(sed -n 's/^listening on .*://p' "$dir/ports")
	port1=$1 port2=$2
}

listening_on() {
	[ "$(grep -c '^listening on ' "$2")" -eq "$1" ]
}

make_certificate() {
	cert=$dir/cert.pem
	openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 \
	    -nodes -days 2 -keyout "$dir/key.pem" -out "$cert" \
	    -subj /CN=origin.test -addext 'subjectAltName = DNS:origin.test, DNS:localhost, IP:127.0.0.1, IP:::1' \
	    > "$dir/openssl.log" 2>&1 || give_up "openssl makes no certificate"
	SSL_CERT_FILE=$cert
	export SSL_CERT_FILE
}

make_pages() {
	mkdir "$dir/www"
	awk 'BEGIN { for (i = 1; i <= 200; i++)
		print i, "the quick brown fox" }' > "$dir/www/page"
	openssl rand -out "$dir/www/big" 10485760
	openssl rand -out "$dir/www/five" 5242880
}

make_repository() {
	have git || return
	HOME=$dir git init -q "$dir/work" &&
	    cp "$dir/www/page" "$dir/work/page" &&
	    openssl rand -out "$dir/work/blob" 1000000 &&
	    git_in "$dir/work" add . &&
	    git_in "$dir/work" commit -q -m first &&
	    git_in "$dir" clone -q --bare work www/repo.git &&
	    git_in "$dir/www/repo.git" config http.receivepack true &&
	    git_in "$dir/www/repo.git" update-server-info
} > "$dir/git.log" 2>&1

# git_in DIRECTORY WORD...: with nobody's settings.
git_in() {
	(
		cd "$1" || exit 1
		shift
		HOME=$dir GIT_CONFIG_NOSYSTEM=1 GIT_TERMINAL_PROMPT=0 run git \
		    -c user.name=a -c user.email=a@origin.test \
		    -c init.defaultBranch=main "$@"
	)
}

start_fcgiwrap() {
	have fcgiwrap || return
	fcgiwrap -s "unix:$dir/fcgi" > "$dir/fcgiwrap.log" 2>&1 < /dev/null &
	fcgiwrap=$!
	until_true [ -S "$dir/fcgi" ] || give_up "fcgiwrap does not start"
}

nginx_listens() {
	echo "listen 127.0.0.1:$1 $2;"
	! have_ipv6 || echo "listen [::1]:$1 $2;"
}

nginx_settings() {
	cat <<-END
	daemon off;
	master_process off;
	pid $dir/nginx.pid;
	events { worker_connections 256; }
	http {
		access_log off;
		client_body_temp_path $dir/t1;
		proxy_temp_path $dir/t2;
		fastcgi_temp_path $dir/t3;
		uwsgi_temp_path $dir/t4;
		scgi_temp_path $dir/t5;
		client_max_body_size 0;
		server {
			$(nginx_listens "$tls" ssl)
			$(nginx_listens "$plain" '')
			ssl_certificate $cert;
			ssl_certificate_key $dir/key.pem;
			root $dir/www;
			location ~ ^/smart(/.*) {
				fastcgi_pass unix:$dir/fcgi;
				fastcgi_param SCRIPT_FILENAME $(git --exec-path)/git-http-backend;
				fastcgi_param GIT_PROJECT_ROOT $dir/www;
				fastcgi_param GIT_HTTP_EXPORT_ALL 1;
				fastcgi_param HOME $dir;
				fastcgi_param PATH_INFO \$1;
				fastcgi_param QUERY_STRING \$query_string;
				fastcgi_param REQUEST_METHOD \$request_method;
				fastcgi_param CONTENT_TYPE \$content_type;
				fastcgi_param CONTENT_LENGTH \$content_length;
				fastcgi_param HTTP_CONTENT_ENCODING \$http_content_encoding;
			}
		}
	}
	END
}

nginx_decided() {
	[ -s "$dir/nginx.pid" ] || ! kill -0 "$nginx"
} 2> /dev/null

start_nginx() {
	for try in 1 2 3; do
		free_ports
		tls=$port1 plain=$port2
		nginx_settings > "$dir/nginx.conf"
		nginx -p "$dir" -e "$dir/nginx.log" -c "$dir/nginx.conf" \
		    > "$dir/nginx.out.log" 2>&1 < /dev/null &
		nginx=$!
		# The file comes when it listens.
		until_true nginx_decided
		[ ! -s "$dir/nginx.pid" ] || return 0
		wait "$nginx"
		nginx=
	done
	give_up "nginx does not start, tried $try times"
}

sshd_settings() {
	cat <<-END
	ListenAddress 127.0.0.1:$ssh_port
	HostKey $dir/host_key
	PidFile $dir/sshd.pid
	AuthorizedKeysFile $dir/user_key.pub
	StrictModes no
	UsePAM $1
	PasswordAuthentication no
	KbdInteractiveAuthentication no
	PermitRootLogin prohibit-password
	PrintMotd no
	END
}

# sshd wants to be called by its whole name.  With PAM a locked account is let
# in, without it a machine that has no login sessions will do.
start_sshd() {
	ssh_port=
	have sshd && have ssh && have ssh-keygen || return
	[ "$(id -u)" -ne 0 ] || mkdir -p /run/sshd
	ssh-keygen -q -t ed25519 -N '' -f "$dir/host_key" < /dev/null &&
	    ssh-keygen -q -t ed25519 -N '' -f "$dir/user_key" < /dev/null ||
	    return
	echo "origin $(cat "$dir/host_key.pub")" > "$dir/known_hosts"
	for pam in no yes; do
		free_ports
		ssh_port=$port1
		sshd_settings $pam > "$dir/sshd_config"
		rm -f "$dir/sshd.pid"
		"$(command -v sshd)" -D -e -f "$dir/sshd_config" \
		    > "$dir/sshd.log" 2>&1 < /dev/null &
		sshd=$!
		until_true sshd_decided
		! ssh_to none true > "$dir/ssh.log" 2>&1 < /dev/null || return 0
		kill "$sshd"
		wait "$sshd"
		sshd=
	done 2> /dev/null
	ssh_port=
}

sshd_decided() {
	[ -s "$dir/sshd.pid" ] || ! kill -0 "$sshd"
} 2> /dev/null

# ssh_to PROXYCOMMAND WORD...
ssh_to() {
	proxy_command=$1
	shift
	run ssh -F /dev/null -i "$dir/user_key" -o IdentitiesOnly=yes \
	    -o BatchMode=yes -o LogLevel=ERROR -o HostKeyAlias=origin \
	    -o "UserKnownHostsFile=$dir/known_hosts" \
	    -o GlobalKnownHostsFile=/dev/null -o StrictHostKeyChecking=yes \
	    -o "ProxyCommand=$proxy_command" -p "$ssh_port" \
	    "$([ "$proxy_command" = none ] && echo 127.0.0.1 || echo origin.test)" \
	    "$@"
}

# ---- connectd ----------------------------------------------------------------

have_ipv6() {
	[ ! -e /proc/net/if_inet6 ] ||
	    grep -q '^00000000000000000000000000000001 ' /proc/net/if_inet6
}

need_ipv6() {
	have_ipv6 || lack "there is no ::1 here"
}

# Its process id, and later its exit status, are in files.
start_connectd() {
	echo '127.0.0.1 origin.test' > "$dir/hosts"
	set -- "$CONNECTD" -f /dev/null -o 'listen 127.0.0.1:0' \
	    -o 'allow from loopback to loopback port any' \
	    -o "hosts $dir/hosts"
	listeners=1
	if have_ipv6; then
		set -- "$@" -o 'listen [::1]:0'
		listeners=2
	fi
	: > "$log"
	(
		# shellcheck disable=SC2016
		sh -c 'echo $$ > "$1/connectd.pid"; shift; exec "$@"' \
		    sh "$dir" "$@" > "$log" 2>&1 < /dev/null
		echo $? > "$dir/connectd.exit"
	) &
	until_true connectd_decided
	listening_on $listeners "$log" || give_up "connectd does not start"
	port=$(sed -n 's/^listening on 127\.0\.0\.1:\([0-9]*\)$/\1/p' "$log")
	port6=$(sed -n 's/^listening on \[::1\]:\([0-9]*\)$/\1/p' "$log")
	proxy=http://127.0.0.1:$port
}

connectd_decided() {
	listening_on $listeners "$log" || [ -s "$dir/connectd.exit" ]
} 2> /dev/null

connectd_ended() {
	[ -s "$dir/connectd.exit" ]
}

# ---- the clients -------------------------------------------------------------

# fetch WORD...: curl
fetch() {
	run curl -q -sS -f --cacert "$cert" -o "${out:-$dir/out}" "$@"
}

client_curl() {
	need curl
	fetch -x "$proxy" "https://origin.test:$tls/page" && same page
}

client_curl_1_0() {
	need curl
	fetch --proxy1.0 "127.0.0.1:$port" "https://origin.test:$tls/page" &&
	    same page
}

client_curl_ipv6_target() {
	need curl
	need_ipv6
	fetch -g -x "$proxy" "https://[::1]:$tls/page" && same page
}

client_curl_ipv6_listener() {
	need curl
	need_ipv6
	fetch -x "http://[::1]:$port6" "https://origin.test:$tls/page" &&
	    same page
}

client_curl_big() {
	need curl
	fetch -x "$proxy" "https://127.0.0.1:$tls/big" && same big
}

client_curl_parallel() {
	need curl
	before=$(tunnels 200)
	jobs=''
	for i in 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20; do
		out=$dir/out.$i
		fetch -x "$proxy" "https://origin.test:$tls/big" &
		jobs="$jobs $!"
	done
	for job in $jobs; do
		wait "$job" || return 1
	done
	for i in 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20; do
		cmp "$dir/www/big" "$dir/out.$i" || return 1
		rm "$dir/out.$i"
	done
	until_true at_least 200 $((before + 20)) ||
	    { echo "not 20 tunnels with status=200"; return 1; }
}

client_wget() {
	need wget
	run wget --version 2>&1 | grep -q '^GNU' || lack "this wget is not GNU's"
	run wget --no-config -q -O "$dir/out" -e use_proxy=yes \
	    -e "https_proxy=$proxy" --ca-certificate="$cert" -t 1 \
	    "https://origin.test:$tls/big" && same big
}

# clone URL
clone() {
	rm -rf "$dir/clone"
	git_in "$dir" -c "http.proxy=$proxy" -c "http.sslCAInfo=$cert" \
	    clone -q "$1" clone &&
	    cmp "$dir/work/page" "$dir/clone/page" &&
	    cmp "$dir/work/blob" "$dir/clone/blob"
}

client_git_dumb() {
	need git
	clone "https://origin.test:$tls/repo.git"
}

# And back: a megabyte is pushed.
client_git_smart() {
	need git fcgiwrap
	clone "https://origin.test:$tls/smart/repo.git" &&
	    openssl rand -out "$dir/clone/more" 1000000 &&
	    git_in "$dir/clone" add more &&
	    git_in "$dir/clone" commit -q -m more &&
	    git_in "$dir/clone" -c "http.proxy=$proxy" \
		-c "http.sslCAInfo=$cert" push -q origin HEAD:refs/heads/more &&
	    git_in "$dir/www/repo.git" show more:more > "$dir/out" &&
	    cmp "$dir/clone/more" "$dir/out"
}

client_openssl() {
	printf 'GET /page HTTP/1.0\r\n\r\n' |
	    run openssl s_client -quiet -ign_eof -CAfile "$cert" \
		-verify_return_error -servername origin.test \
		-proxy "127.0.0.1:$port" -connect "origin.test:$tls" \
		> "$dir/out" && same_body page
}

# by_ssh PROXYCOMMAND: the output of a command, and 5 MB each way at once.
by_ssh() {
	need ssh sshd
	[ -n "$ssh_port" ] || lack "sshd does not let this user in"
	# shellcheck disable=SC2016
	answer=$(ssh_to "$1" 'echo $((6 * 7))' < /dev/null) || return
	[ "$answer" = 42 ] || { echo "not 42: $answer"; return 1; }
	ssh_to "$1" cat < "$dir/www/five" > "$dir/out" && same five
}

client_nc_ssh() {
	nc=nc
	! have nc.openbsd || nc=nc.openbsd
	need $nc
	$nc -h 2>&1 | grep -q -e '-X' || lack "this nc has no -X"
	by_ssh "$nc -X connect -x 127.0.0.1:$port %h %p"
}

client_ncat_ssh() {
	need ncat
	by_ssh "ncat --proxy 127.0.0.1:$port --proxy-type http --proxy-dns remote %h %p"
}

client_socat_ssh() {
	need socat
	by_ssh "socat - PROXY:127.0.0.1:%h:%p,proxyport=$port"
}

client_corkscrew_ssh() {
	need corkscrew
	by_ssh "corkscrew 127.0.0.1 $port %h %p"
}

client_proxytunnel_ssh() {
	need proxytunnel
	by_ssh "proxytunnel -q -p 127.0.0.1:$port -d %h:%p"
}

client_connect_proxy_ssh() {
	need connect-proxy
	by_ssh "connect-proxy -4 -R remote -H 127.0.0.1:$port %h %p"
}

# As inetd would run it.
client_stunnel() {
	stunnel=stunnel
	! have stunnel4 || stunnel=stunnel4
	need $stunnel
	cat > "$dir/stunnel.conf" <<-END
	foreground = yes
	client = yes
	connect = 127.0.0.1:$port
	protocol = connect
	protocolHost = origin.test:$tls
	CAfile = $cert
	verifyChain = yes
	checkHost = origin.test
	END
	printf 'GET /page HTTP/1.0\r\n\r\n' |
	    run $stunnel "$dir/stunnel.conf" > "$dir/out" && same_body page
}

client_proxychains() {
	need proxychains4 curl
	printf 'strict_chain\nproxy_dns\n[ProxyList]\nhttp 127.0.0.1 %s\n' \
	    "$port" > "$dir/proxychains.conf"
	run proxychains4 -q -f "$dir/proxychains.conf" curl -q -sS -f \
	    --cacert "$cert" -o "$dir/out" "https://origin.test:$tls/page" &&
	    same page
}

client_python() {
	need python3
	run python3 - "$proxy" "https://origin.test:$tls/big" "$cert" \
	    > "$dir/out" <<-'END' && same big
	import ssl, sys, urllib.request as u
	proxy, url, cert = sys.argv[1:]
	opener = u.build_opener(
	    u.ProxyHandler({"https": proxy}),
	    u.HTTPSHandler(context=ssl.create_default_context(cafile=cert)))
	sys.stdout.buffer.write(opener.open(url, timeout=20).read())
	END
}

# run_node SCRIPT: its words are the proxy and the URL.
run_node() {
	NODE_EXTRA_CA_CERTS=$cert run node - "$proxy" \
	    "https://origin.test:$tls/big" > "$dir/out" && same big
}

# The way of Node's manual.  Its Host field is the proxy's.
client_node() {
	need node
	run_node <<-'END'
	const http = require('http'), https = require('https');
	const proxy = new URL(process.argv[2]), url = new URL(process.argv[3]);
	http.request({ host: proxy.hostname, port: proxy.port,
	    method: 'CONNECT', path: url.host
	}).on('connect', (answer, socket) => {
		if (answer.statusCode !== 200)
			throw new Error(answer.statusCode);
		https.get(url, { socket, agent: false },
		    (page) => page.pipe(process.stdout));
	}).end();
	END
}

client_undici() {
	need_module undici
	run_node <<-'END'
	const { ProxyAgent, request } = require('undici');
	const dispatcher = new ProxyAgent(process.argv[2]);
	request(process.argv[3], { dispatcher }).then(async (page) => {
		for await (const part of page.body)
			process.stdout.write(part);
		await dispatcher.close();
	});
	END
}

client_https_proxy_agent() {
	need_module https-proxy-agent
	run_node <<-'END'
	const { HttpsProxyAgent } = require('https-proxy-agent');
	require('https').get(process.argv[3],
	    { agent: new HttpsProxyAgent(process.argv[2]) },
	    (page) => page.pipe(process.stdout));
	END
}

client_perl_lwp() {
	need perl
	perl -MLWP::Protocol::https -e 1 2> /dev/null ||
	    lack "perl has no LWP::Protocol::https"
	run perl -MLWP::UserAgent -e '
		my ($proxy, $url, $cert, $out) = @ARGV;
		my $client = LWP::UserAgent->new(timeout => 20,
		    ssl_opts => { SSL_ca_file => $cert });
		$client->proxy(https => $proxy);
		my $page = $client->get($url, ":content_file" => $out);
		die $page->status_line unless $page->is_success' \
	    "$proxy" "https://origin.test:$tls/page" "$cert" "$dir/out" &&
	    same page
}

client_perl_http_tiny() {
	need perl
	perl -MHTTP::Tiny -MIO::Socket::SSL -e 1 2> /dev/null ||
	    lack "perl has no HTTP::Tiny or IO::Socket::SSL"
	run perl -MHTTP::Tiny -e '
		my ($proxy, $url, $cert) = @ARGV;
		my $page = HTTP::Tiny->new(https_proxy => $proxy,
		    timeout => 20, verify_SSL => 1,
		    SSL_options => { SSL_ca_file => $cert })->get($url);
		die $page->{content} unless $page->{success};
		print $page->{content}' \
	    "$proxy" "https://origin.test:$tls/page" "$cert" > "$dir/out" &&
	    same page
}

client_ruby() {
	need ruby
	# shellcheck disable=SC2016
	run ruby -rnet/http -ropenssl -e '
		proxy, url = URI(ARGV[0]), URI(ARGV[1])
		client = Net::HTTP.new(url.host, url.port,
		    proxy.host, proxy.port)
		client.use_ssl = true
		client.ca_file = ARGV[2]
		$stdout.binmode.write(client.get(url.path).body)' \
	    "$proxy" "https://origin.test:$tls/big" "$cert" > "$dir/out" &&
	    same big
}

client_php() {
	need php
	# shellcheck disable=SC2016
	run php -n -r '
		[, $port, $url, $cert] = $argv;
		$context = stream_context_create([
		    "http" => ["proxy" => "tcp://127.0.0.1:$port"],
		    "ssl" => ["cafile" => $cert]]);
		$page = file_get_contents($url, false, $context);
		if ($page === false)
			exit(1);
		print($page);' \
	    "$port" "https://origin.test:$tls/page" "$cert" > "$dir/out" &&
	    same page
}

# Pieces over four connections at once.
client_aria2() {
	need aria2c
	run aria2c --no-conf -q --allow-overwrite=true -x 4 -s 4 -k 1M \
	    --https-proxy="$proxy" --ca-certificate="$cert" \
	    -d "$dir" -o out "https://origin.test:$tls/big" && same big
}

client_w3m() {
	need w3m
	HOME=$dir run w3m -o use_proxy=1 -o "https_proxy=$proxy" \
	    -o "ssl_ca_file=$cert" -o ssl_ca_default=0 -dump_source \
	    "https://origin.test:$tls/page" > "$dir/out" < /dev/null &&
	    same page
}

client_lynx() {
	need lynx
	HOME=$dir https_proxy=$proxy run lynx -source \
	    "https://origin.test:$tls/page" > "$dir/out" < /dev/null &&
	    same page
}

# What apt-get itself fetches with.
client_apt() {
	helper=/usr/lib/apt/apt-helper
	[ -x $helper ] || lack "there is no $helper here"
	run $helper -o "Acquire::https::Proxy=$proxy" \
	    -o "Acquire::https::CAInfo=$cert" -o APT::Sandbox::User= \
	    download-file "https://origin.test:$tls/big" "$dir/out" && same big
}

# These send HTTP/1.1 without Host, which RFC 9112 3.2 has refused with 400.
client_lftp_refused() {
	need lftp
	! HOME=$dir run lftp -c "set net:max-retries 1; set dns:order inet;
		set https:proxy $proxy; set ssl:ca-file $cert;
		cat https://origin.test:$tls/page"
}

client_links_refused() {
	need links
	! HOME=$dir run links -no-connect -https-proxy "127.0.0.1:$port" \
	    -retries 1 -source "https://origin.test:$tls/page"
}

# ---- all of it ---------------------------------------------------------------

# result NAME STATUS: 0 is good, 77 skipped; the output is in $dir/said.
result() {
	if [ "$2" -eq 77 ] && [ -z "$CLIENTS_REQUIRED" ]; then
		skipped=$((skipped + 1))
		echo "skipped $1: $(cat "$dir/why")"
	elif [ "$2" -eq 0 ]; then
		passed=$((passed + 1))
		echo "ok $1"
	else
		failed=$((failed + 1))
		echo "FAILED $1"
		[ "$2" -ne 77 ] || cat "$dir/why" >> "$dir/said"
		[ "$2" -ne 124 ] || echo "it took too long" >> "$dir/said"
		sed 's/^/    /' "$dir/said"
	fi
}

# In the background, so that a signal to us is acted upon at once.
play() {
	case $1 in
	*-refused) expected=400 ;;
	*) expected=200 ;;
	esac
	before=$(tunnels $expected)
	rm -f "$dir/out" "$dir/body"
	(
		trap - EXIT HUP INT PIPE TERM
		"client_$(echo "$1" | tr '.-' '__')"
	) > "$dir/said" 2>&1 &
	client=$!
	wait "$client"
	status=$?
	client=
	if [ $status -eq 0 ] &&
	    ! until_true at_least $expected $((before + 1)); then
		echo "no new line of a tunnel with status=$expected" \
		    >> "$dir/said"
		status=1
	fi
	[ $status -eq 0 ] || [ $status -eq 77 ] || tail -n 5 "$log" >> "$dir/said"
	result "$1" $status
}

# What the last line of statistics says.
counted() {
	sed -n "s/^statistics .* $1=\([0-9]*\) .*/\1/p;
		s/^statistics $1=\([0-9]*\) .*/\1/p" "$log" | tail -n 1
}

check_end() {
	: > "$dir/said"
	kill -TERM "$(cat "$dir/connectd.pid")"
	until_true connectd_ended
	status=$(cat "$dir/connectd.exit" 2>&1)
	[ "$status" = 0 ] || echo "exit: $status" >> "$dir/said"
	[ ! -s "$dir/said" ] || tail -n 5 "$log" >> "$dir/said"
	test ! -s "$dir/said"
	result "connectd stops on TERM with exit 0" $?

	grep -A 20 -e Sanitizer -e 'runtime error' "$log" > "$dir/said"
	test ! -s "$dir/said"
	result "connectd has no report of a sanitizer" $?

	# A client that opens connections ahead may close one unused.
	grep '^tunnel ' "$log" | grep -v -e ' status=200 ' -e ' status=400 ' \
	    -e ' target=- .* status=0 end=client-gone up=0 down=0 ' \
	    > "$dir/said"
	[ "$(tunnels '.*')" = "$(counted accepted)" ] ||
	    echo "$(tunnels '.*') lines, but $(counted accepted) accepted" \
		>> "$dir/said"
	[ "$(tunnels 200)" = "$(counted established)" ] ||
	    echo "$(tunnels 200) lines with status=200, but" \
		"$(counted established) established" >> "$dir/said"
	[ "$(counted lost-lines)" = 0 ] || echo "lines lost" >> "$dir/said"
	[ "$refused" = "$(tunnels 400)" ] ||
	    echo "$(tunnels 400) with status=400, but only $refused are" \
		"of clients that send no Host" >> "$dir/said"
	test ! -s "$dir/said"
	result "every tunnel has its line, with status=200" $?
}

for name; do
	echo " $CLIENTS " | tr '\n' ' ' | grep -qF -- " $name " || {
		echo "there is no client $name; these are:"
		echo "$CLIENTS"
		exit 2
	}
done
for program in nginx openssl timeout; do
	have $program && continue
	echo "skipped all clients: there is no $program here"
	[ -n "$CLIENTS_REQUIRED" ] || { echo "0 passed, 0 failed"; exit 0; }
	echo "0 passed, 1 failed"
	exit 1
done
[ -x "$CONNECTD" ] || give_up "there is no $CONNECTD, run make first"

make_certificate
make_pages
make_repository
start_fcgiwrap
start_nginx
start_sshd
start_connectd

refused=0
# shellcheck disable=SC2086
[ $# -gt 0 ] || set -- $CLIENTS
for name; do
	before_all=$(tunnels 400)
	play "$name"
	case $name in
	*-refused) refused=$((refused + $(tunnels 400) - before_all)) ;;
	esac
done
check_end

printf '%d passed, %d failed' $passed $failed
[ $skipped -eq 0 ] || printf ', %d skipped' $skipped
echo
[ $failed -eq 0 ]
