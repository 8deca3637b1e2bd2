/* SPDX-License-Identifier: ISC */
/*
 * Unit tests of http.c.  One table of request heads, each with its verdict and
 * with the place where the verdict is due; every row is cut at every offset and
 * fed byte by byte, from memory that ends where the bytes do, and the answer
 * must stay the same.  A second parser, slow and plain, must agree with every
 * row, with many spoilt rows, and with all short sequences of a few pieces.
 */
#include <arpa/inet.h>
#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../connectd.h"

#define COUNT(table) ((int)(sizeof (table) / sizeof (table)[0]))
#define TEXT(s) (s), sizeof (s) - 1

#define TOKEN	"!#$%&'*+-.^_`|~" DIGITS LETTERS
#define DIGITS	"0123456789"
#define LETTERS	"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"

static uint32_t seed;

static uint32_t
random_below(uint32_t n)
{
	seed ^= seed << 13;
	seed ^= seed >> 17;
	seed ^= seed << 5;
	return (seed >> 7) % n;
}

/* ---- request heads ------------------------------------------------------- */

/* The verdict is due with the last byte of `head`, whatever is behind it. */
#define BYTES(head, rest) (head rest), sizeof (head) - 1, sizeof (head rest) - 1
#define OK(host, port, minor)	0, (host), (port), (minor)
#define NO(status)		(status), NULL, 0, 0

#define V0	"CONNECT example.com:443 HTTP/1.0\r\n"
#define V1	"CONNECT example.com:443 HTTP/1.1\r\n"
#define HOST	"Host: example.com:443\r\n"
#define END	"\r\n"
#define GOOD	V1 HOST END

/* Heads that differ from a good one in one place. */
#define FIELD(lines)	V1 HOST lines END
#define TARGET(t)	"CONNECT " t " HTTP/1.0\r\n\r\n"
#define VERSION(v)	"CONNECT example.com:443 " v "\r\nHost: h\r\n\r\n"
#define METHOD(m)	m " example.com:443 HTTP/1.1\r\nHost: h\r\n\r\n"
#define HOSTED(value)	V1 "Host:" value "\r\n" END
#define TUNNEL(port, minor)	OK("example.com", port, minor)

#define L60 "abcdefghijklmnopqrstuvwxyzabcdefghijklmnopqrstuvwxyzabcdefgh"
#define N253 L60 "abc." L60 "abc." L60 "abc." L60 "a"

static const struct row {
	const char	*name;
	const char	*bytes;
	size_t		 decided, n;
	int		 status;	/* 0: accepted, the head is `decided` */
	const char	*host;
	unsigned	 port, minor;
} rows[] = {
	/* what clients send */
	{ "curl", BYTES(V1 HOST
	    "User-Agent: curl/7.88.1\r\nProxy-Connection: Keep-Alive\r\n" END,
	    ""), TUNNEL(443, 1) },
	{ "curl with credentials", BYTES(V1 HOST
	    "Proxy-Authorization: Basic dTpw\r\nUser-Agent: curl/7.88.1\r\n"
	    "Proxy-Connection: Keep-Alive\r\n" END, ""), TUNNEL(443, 1) },
	{ "curl --proxy1.0", BYTES(V0 HOST
	    "User-Agent: curl/7.88.1\r\nProxy-Connection: Keep-Alive\r\n" END,
	    ""), TUNNEL(443, 0) },
	{ "curl, trailing dot", BYTES("CONNECT example.com.:443 HTTP/1.1\r\n"
	    "Host: example.com.:443\r\n" END, ""), TUNNEL(443, 1) },
	{ "curl, IPv6", BYTES("CONNECT [2001:db8::1]:443 HTTP/1.1\r\n"
	    "Host: [2001:db8::1]:443\r\n" END, ""), OK("2001:db8::1", 443, 1) },
	{ "wget", BYTES(V1 "User-Agent: Wget/1.21.3\r\n" HOST END, ""),
	    TUNNEL(443, 1) },
	{ "apt", BYTES(V1 HOST
	    "User-Agent: Debian APT-HTTP/1.3 (2.6.1)\r\n" END, ""),
	    TUNNEL(443, 1) },
	{ "Python 3.11, nc, ncat, socat, PHP", BYTES(V0 END, ""),
	    TUNNEL(443, 0) },
	{ "the same with credentials", BYTES(V0
	    "Proxy-Authorization: Basic dTpw\r\n" END, ""), TUNNEL(443, 0) },
	{ "Python 3.12, Java HttpClient, PuTTY", BYTES(V1 HOST END, ""),
	    TUNNEL(443, 1) },
	{ "aiohttp", BYTES(V1 "Host: example.com\r\nAccept: */*\r\n"
	    "Accept-Encoding: gzip, deflate\r\n"
	    "User-Agent: Python/3.11 aiohttp/3.8.4\r\n" END, ""),
	    TUNNEL(443, 1) },
	{ "httpx", BYTES(V1 HOST "Accept: */*\r\n" END, ""), TUNNEL(443, 1) },
	{ "undici", BYTES(V1 "host: example.com\r\nconnection: close\r\n"
	    "proxy-authorization: Basic dTpw\r\n" END, ""), TUNNEL(443, 1) },
	{ "https-proxy-agent", BYTES(V1 "Proxy-Authorization: Basic dTpw\r\n"
	    HOST "Proxy-Connection: close\r\n" END, ""), TUNNEL(443, 1) },
	{ "npm tunnel", BYTES(V1 "host: example.com:443\r\n"
	    "Connection: close\r\n" END, ""), TUNNEL(443, 1) },
	{ "npm tunnel-agent, Host is the proxy", BYTES(V1
	    "Host: 127.0.0.1:3128\r\nConnection: close\r\n" END, ""),
	    TUNNEL(443, 1) },
	{ "Node http.request", BYTES(V1
	    "Host: 127.0.0.1:3128\r\nConnection: keep-alive\r\n" END, ""),
	    TUNNEL(443, 1) },
	{ "hpagent", BYTES(V1
	    "connection: close\r\nhost: example.com:443\r\n" END, ""),
	    TUNNEL(443, 1) },
	{ "Go", BYTES(V1 HOST "User-Agent: Go-http-client/1.1\r\n" END, ""),
	    TUNNEL(443, 1) },
	{ "Java HttpURLConnection", BYTES(V1 "User-Agent: Java/17.0.15\r\n"
	    "Host: example.com\r\n"
	    "Accept: text/html, image/gif, image/jpeg, */*; q=0.2\r\n"
	    "Proxy-Connection: keep-alive\r\n" END, ""), TUNNEL(443, 1) },
	{ "WinINet", BYTES(V0 "User-Agent: Mozilla/4.0 (compatible; MSIE 7.0)"
	    "\r\nProxy-Connection: Keep-Alive\r\nContent-Length: 0\r\n"
	    "Host: example.com\r\nPragma: no-cache\r\n" END, ""),
	    TUNNEL(443, 0) },
	{ "Chromium", BYTES(V1 HOST "Proxy-Connection: keep-alive\r\n"
	    "User-Agent: Mozilla/5.0 (X11; Linux x86_64)\r\n" END, ""),
	    TUNNEL(443, 1) },
	{ "Firefox", BYTES(V1 "User-Agent: Mozilla/5.0 (X11)\r\n"
	    "Proxy-Connection: keep-alive\r\nConnection: keep-alive\r\n"
	    HOST END, ""), TUNNEL(443, 1) },
	{ "OkHttp", BYTES(V1 HOST "Proxy-Connection: Keep-Alive\r\n"
	    "User-Agent: okhttp/4.12.0\r\n" END, ""), TUNNEL(443, 1) },
	{ "corkscrew", BYTES("CONNECT example.com:22 HTTP/1.0\r\n"
	    "Proxy-Authorization: Basic dTpw\r\n" END, ""), TUNNEL(22, 0) },
	{ "proxytunnel, Host is the proxy", BYTES(
	    "CONNECT example.com:22 HTTP/1.1\r\nHost: proxy.example\r\n"
	    "Proxy-Connection: Keep-Alive\r\n" END, ""), TUNNEL(22, 1) },
	{ "openssl s_client", BYTES(V0 "Proxy-Connection: Keep-Alive\r\n" END,
	    ""), TUNNEL(443, 0) },
	{ "OpenVPN", BYTES("CONNECT example.com:1194 HTTP/1.0\r\n"
	    "Host: example.com\r\n" END, ""), TUNNEL(1194, 0) },
	{ "stunnel, scheme in lower case", BYTES(V1 HOST
	    "Proxy-Authorization: basic dTpw\r\n" END, ""), TUNNEL(443, 1) },
	{ "Perl LWP, TE", BYTES(V1 "TE: deflate,gzip;q=0.3\r\n"
	    "Connection: TE, close\r\n" HOST END, ""), TUNNEL(443, 1) },
	{ "rsync", BYTES("CONNECT example.com:873 HTTP/1.0\r\n" END, ""),
	    TUNNEL(873, 0) },
	{ "w3m", BYTES(V0 "User-Agent: w3m/0.5.3\r\n"
	    "Accept: text/html, text/*;q=0.5, image/*, application/*\r\n"
	    "Accept-Encoding: gzip, compress, bzip, bzip2, deflate\r\n"
	    "Accept-Language: en;q=1.0\r\nHost: example.com\r\n" END, ""),
	    TUNNEL(443, 0) },
	{ "Apache ProxyRemote", BYTES(V0
	    "Proxy-agent: Apache/2.4.71 (Debian)\r\n" END, ""),
	    TUNNEL(443, 0) },
	{ "cntlm", BYTES(V1 HOST "Proxy-Authorization: NTLM TlRMTVNTUAAB\r\n"
	    "Content-Length: 0\r\n" END, ""), TUNNEL(443, 1) },
	{ "ServiceTalk", BYTES(V1
	    "host: example.com:443\r\ncontent-length: 0\r\n" END, ""),
	    TUNNEL(443, 1) },
	{ "tinyproxy", BYTES(V1 "Host: example.com\r\nConnection: close\r\n"
	    "Via: 1.1 vm (tinyproxy/1.11.1)\r\n" END, ""), TUNNEL(443, 1) },
	{ "Squid", BYTES(V1 HOST "Via: 1.1 a, 1.0 b\r\n"
	    "X-Forwarded-For: 10.0.0.1, unknown\r\n"
	    "Cache-Control: max-age=259200\r\nConnection: keep-alive\r\n" END,
	    ""), TUNNEL(443, 1) },
	{ "upgrade fields", BYTES(FIELD("Upgrade: h2c\r\nKeep-Alive: 5\r\n"
	    "Connection: Upgrade, keep-alive\r\n"), ""), TUNNEL(443, 1) },
	{ "Links and lftp: 1.1 without Host", BYTES(V1
	    "User-Agent: Links (2.28)\r\n" END, ""), NO(400) },
	{ "corkscrew upstream: lone LF", BYTES(
	    "CONNECT example.com:22 HTTP/1.0\n",
	    "Proxy-Authorization: Basic dTpw\r\n\r\n"), NO(400) },
	{ "irssi, cvsnt: lone LF", BYTES("CONNECT example.com:6667 HTTP/1.0\n",
	    "\n"), NO(400) },
	{ "Python 3.11: IPv6 without brackets", BYTES(
	    TARGET("2001:db8::1:443"), ""), NO(400) },
	{ "httpx: the same in Host", BYTES("CONNECT ::1:443 HTTP/1.1\r\n"
	    "Host: ::1:443\r\n\r\n", ""), NO(400) },
	{ "Go: raw zone", BYTES(TARGET("[fe80::1%eth0]:443"), ""), NO(400) },
	{ "ncat: bracket behind the port", BYTES(TARGET("[::1]:443]"), ""),
	    NO(400) },
	{ "proxytunnel -H: second Host", BYTES(FIELD("Host: example.com\r\n"),
	    ""), NO(400) },
	{ "npm request: Content-Length of the other request", BYTES(
	    FIELD("Content-Length: 17\r\n"), ""), NO(400) },
	{ "Chromium: POST with a body", BYTES(
	    "POST http://example.com/ HTTP/1.1\r\nHost: example.com\r\n"
	    "Content-Length: 5\r\n\r\n", "hello"), NO(405) },

	/* what is behind the head does not matter */
	{ "ClientHello behind", BYTES(GOOD, "\x16\x03\x01\x02\0\x01\xfc\x03"),
	    TUNNEL(443, 1) },
	{ "CRLF behind", BYTES(GOOD, "\r\n"), TUNNEL(443, 1) },
	{ "LF behind", BYTES(GOOD, "\n\n"), TUNNEL(443, 1) },
	{ "NUL behind", BYTES(GOOD, "\0\0\0"), TUNNEL(443, 1) },
	{ "another request behind", BYTES(GOOD, "GET / HTTP/1.1\r\n\r\n"),
	    TUNNEL(443, 1) },
	{ "1.0, data behind", BYTES(V0 END, "SSH-2.0-x\r\n"), TUNNEL(443, 0) },
	{ "refused, another request behind", BYTES(V1 END, GOOD), NO(400) },

	/* empty lines in front */
	{ "one CRLF in front", BYTES("\r\n" GOOD, ""), TUNNEL(443, 1) },
	{ "four CRLF in front", BYTES("\r\n\r\n\r\n\r\n" GOOD, "x"),
	    TUNNEL(443, 1) },
	{ "CRLF in front of an unknown method", BYTES(
	    "\r\nFOO / HTTP/1.1\r\n\r\n", ""), NO(501) },
	{ "LF in front", BYTES("\n", GOOD), NO(400) },
	{ "CRLF LF in front", BYTES("\r\n\n", GOOD), NO(400) },
	{ "CR in front", BYTES("\rC", "ONNECT"), NO(400) },
	{ "CR CR LF in front", BYTES("\r\r", "\n" GOOD), NO(400) },
	{ "blank in front", BYTES(" ", GOOD), NO(400) },
	{ "HTAB in front", BYTES("\t", GOOD), NO(400) },
	{ "line of blanks in front", BYTES("\r\n  \r\n" GOOD, ""), NO(400) },
	{ "CRLF, blank in front", BYTES("\r\n " GOOD, ""), NO(400) },

	/* no HTTP at all */
	{ "TLS", BYTES("\x16", "\x03\x01\0\xc8"), NO(400) },
	{ "SOCKS 4", BYTES("\x04", "\x01\x01\xbb\x7f\0\0\x01\0"), NO(400) },
	{ "SOCKS 5", BYTES("\x05", "\x01\0"), NO(400) },
	{ "NUL first", BYTES("\0", GOOD), NO(400) },
	{ "0x80 first", BYTES("\x80", "\x2e\x01"), NO(400) },
	{ "0xff first", BYTES("\xff", "\xff"), NO(400) },
	{ "DEL first", BYTES("\x7f", GOOD), NO(400) },
	{ "byte order mark first", BYTES("\xef", "\xbb\xbf" GOOD), NO(400) },
	{ "delimiter first", BYTES("(", "CONNECT"), NO(400) },
	{ "slash first", BYTES("/", " HTTP/1.0\r\n\r\n"), NO(400) },
	{ "colon first", BYTES(":", "x"), NO(400) },
	{ "HTTP/2 preface", BYTES("PRI * HTTP/2.0\r\n\r\n", "SM\r\n\r\n"),
	    NO(505) },
	{ "SSH", BYTES("SSH-2.0-OpenSSH_9.2\r\n\r\n", ""), NO(400) },

	/* ends of lines */
	{ "LF ends the start line", BYTES("CONNECT example.com:443 HTTP/1.1\n",
	    HOST "\r\n"), NO(400) },
	{ "LF ends a field", BYTES(V1 "Host: example.com\n", "\r\n"), NO(400) },
	{ "LF ends the head", BYTES(V1 HOST "\n", ""), NO(400) },
	{ "LF LF ends the head", BYTES(V1 "Host: example.com\n", "\n"),
	    NO(400) },
	{ "LF in a value", BYTES(V1 HOST "X: a\n", "b\r\n\r\n"), NO(400) },
	{ "LF in the target", BYTES("CONNECT exam\n", "ple.com:443"),
	    NO(400) },
	{ "CR ends the start line", BYTES(
	    "CONNECT example.com:443 HTTP/1.1\rH", "ost: h\r\n\r\n"), NO(400) },
	{ "CR CR LF ends the start line", BYTES(
	    "CONNECT example.com:443 HTTP/1.1\r\r", "\nHost: h\r\n\r\n"),
	    NO(400) },
	{ "CR ends a field", BYTES(V1 "Host: h\rX", ": y\r\n\r\n"), NO(400) },
	{ "CR inside a value", BYTES(V1 HOST "X: a\rb", "\r\n\r\n"), NO(400) },
	{ "CR in front of CRLF", BYTES(V1 HOST "X: a\r\r", "\n\r\n"),
	    NO(400) },
	{ "CR CR LF ends the head", BYTES(V1 HOST "\r\r", "\n"), NO(400) },
	{ "CR NUL LF", BYTES(V1 HOST "\r\0", "\n"), NO(400) },
	{ "CRLF CR and data", BYTES(V1 HOST "\rx", ""), NO(400) },

	/* start line */
	{ "two blanks behind the method", BYTES(
	    "CONNECT  example.com:443 HTTP/1.0\r\n\r\n", ""), NO(400) },
	{ "two blanks behind the target", BYTES(
	    "CONNECT example.com:443  HTTP/1.0\r\n\r\n", ""), NO(400) },
	{ "HTAB behind the method", BYTES(
	    "CONNECT\texample.com:443 HTTP/1.0\r\n\r\n", ""), NO(400) },
	{ "HTAB behind the target", BYTES(
	    "CONNECT example.com:443\tHTTP/1.0\r\n\r\n", ""), NO(400) },
	{ "VT as separator", BYTES(
	    "CONNECT example.com:443\x0bHTTP/1.0\r\n\r\n", ""), NO(400) },
	{ "FF as separator", BYTES(
	    "CONNECT\x0c" "example.com:443 HTTP/1.0\r\n\r\n", ""), NO(400) },
	{ "NBSP as separator", BYTES(
	    "CONNECT\xa0" "example.com:443 HTTP/1.0\r\n\r\n", ""), NO(400) },
	{ "blank at the end", BYTES(
	    "CONNECT example.com:443 HTTP/1.0 \r\n\r\n", ""), NO(400) },
	{ "HTAB at the end", BYTES(
	    "CONNECT example.com:443 HTTP/1.0\t\r\n\r\n", ""), NO(400) },
	{ "a fourth word", BYTES(
	    "CONNECT example.com:443 HTTP/1.0 x\r\n\r\n", ""), NO(400) },
	{ "a blank in the target", BYTES(
	    "CONNECT exam ple.com:443 HTTP/1.0\r\n\r\n", ""), NO(400) },
	{ "no version", BYTES("CONNECT example.com:443\r\n\r\n", ""), NO(400) },
	{ "no version, a blank", BYTES("CONNECT example.com:443 \r\n\r\n", ""),
	    NO(400) },
	{ "no target", BYTES("CONNECT HTTP/1.0\r\n\r\n", ""), NO(400) },
	{ "an empty target", BYTES("CONNECT  HTTP/1.0\r\n\r\n", ""), NO(400) },
	{ "only a method", BYTES("CONNECT\r\n\r\n", ""), NO(400) },
	{ "only a method and a blank", BYTES("CONNECT \r\n\r\n", ""), NO(400) },
	{ "HTTP/0.9", BYTES("GET /\r\n\r\n", ""), NO(400) },
	{ "a reply", BYTES("HTTP/1.1 200 OK\r\n\r\n", ""), NO(400) },
	{ "NUL in the method", BYTES(METHOD("CONN\0ECT"), ""), NO(400) },
	{ "NUL behind the method", BYTES(METHOD("CONNECT\0"), ""), NO(400) },
	{ "NUL in the target", BYTES(TARGET("example.com\0.org:443"), ""),
	    NO(400) },
	{ "NUL behind the target", BYTES(TARGET("example.com:443\0"), ""),
	    NO(400) },
	{ "NUL behind the version", BYTES(VERSION("HTTP/1.1\0"), ""),
	    NO(400) },
	{ "DEL in the target", BYTES(TARGET("exam\x7fple.com:443"), ""),
	    NO(400) },
	{ "high octet in the target", BYTES(TARGET("b\xc3\xbcr.example:443"),
	    ""), NO(400) },
	{ "control in the target", BYTES(TARGET("a\x01:443"), ""), NO(400) },

	/* version */
	{ "HTTP/1.2", BYTES(VERSION("HTTP/1.2"), ""), TUNNEL(443, 1) },
	{ "HTTP/1.9", BYTES(VERSION("HTTP/1.9"), ""), TUNNEL(443, 1) },
	{ "HTTP/0.9 with a version", BYTES(VERSION("HTTP/0.9"), ""), NO(505) },
	{ "HTTP/2.0", BYTES(VERSION("HTTP/2.0"), ""), NO(505) },
	{ "HTTP/3.1", BYTES(VERSION("HTTP/3.1"), ""), NO(505) },
	{ "HTTP/9.9", BYTES(VERSION("HTTP/9.9"), ""), NO(505) },
	{ "HTTP/2", BYTES(VERSION("HTTP/2"), ""), NO(400) },
	{ "HTTP/1", BYTES(VERSION("HTTP/1"), ""), NO(400) },
	{ "HTTP/1.", BYTES(VERSION("HTTP/1."), ""), NO(400) },
	{ "HTTP/.1", BYTES(VERSION("HTTP/.1"), ""), NO(400) },
	{ "HTTP/1.10", BYTES(VERSION("HTTP/1.10"), ""), NO(400) },
	{ "HTTP/01.1", BYTES(VERSION("HTTP/01.1"), ""), NO(400) },
	{ "HTTP/1.01", BYTES(VERSION("HTTP/1.01"), ""), NO(400) },
	{ "HTTP/11.1", BYTES(VERSION("HTTP/11.1"), ""), NO(400) },
	{ "HTTP/1.1x", BYTES(VERSION("HTTP/1.1x"), ""), NO(400) },
	{ "HTTP/1.x", BYTES(VERSION("HTTP/1.x"), ""), NO(400) },
	{ "HTTP/x.1", BYTES(VERSION("HTTP/x.1"), ""), NO(400) },
	{ "HTTP/1,1", BYTES(VERSION("HTTP/1,1"), ""), NO(400) },
	{ "HTTP/-1.1", BYTES(VERSION("HTTP/-1.1"), ""), NO(400) },
	{ "HTTP 1.1", BYTES(VERSION("HTTP 1.1"), ""), NO(400) },
	{ "HTTP1.1", BYTES(VERSION("HTTP1.1"), ""), NO(400) },
	{ "HTTP/ 1.1", BYTES(VERSION("HTTP/ 1.1"), ""), NO(400) },
	{ "http/1.1", BYTES(VERSION("http/1.1"), ""), NO(400) },
	{ "Http/1.1", BYTES(VERSION("Http/1.1"), ""), NO(400) },
	{ "HTTPS/1.1", BYTES(VERSION("HTTPS/1.1"), ""), NO(400) },
	{ "ICY/1.1", BYTES(VERSION("ICY/1.1"), ""), NO(400) },
	{ "HTTP\\1.1", BYTES(VERSION("HTTP\\1.1"), ""), NO(400) },
	{ "HTTP//1.1", BYTES(VERSION("HTTP//1.1"), ""), NO(400) },

	/* method */
	{ "GET", BYTES(METHOD("GET"), ""), NO(405) },
	{ "HEAD", BYTES(METHOD("HEAD"), ""), NO(405) },
	{ "POST", BYTES(METHOD("POST"), ""), NO(405) },
	{ "PUT", BYTES(METHOD("PUT"), ""), NO(405) },
	{ "DELETE", BYTES(METHOD("DELETE"), ""), NO(405) },
	{ "OPTIONS", BYTES(METHOD("OPTIONS"), ""), NO(405) },
	{ "TRACE", BYTES(METHOD("TRACE"), ""), NO(405) },
	{ "PATCH", BYTES(METHOD("PATCH"), ""), NO(405) },
	{ "GET absolute-form", BYTES("GET http://example.com/ HTTP/1.1\r\n"
	    "Host: example.com\r\n\r\n", ""), NO(405) },
	{ "GET origin-form", BYTES("GET / HTTP/1.0\r\n\r\n", ""), NO(405) },
	{ "GET, every visible octet", BYTES("GET !\"#$%&'()*+,-./" DIGITS
	    ":;<=>?@" LETTERS "[\\]^_`{|}~ HTTP/1.0\r\n\r\n", ""),
	    NO(405) },
	{ "OPTIONS asterisk", BYTES("OPTIONS * HTTP/1.1\r\nHost: h\r\n\r\n",
	    ""), NO(405) },
	{ "connect", BYTES(METHOD("connect"), ""), NO(501) },
	{ "Connect", BYTES(METHOD("Connect"), ""), NO(501) },
	{ "get", BYTES(METHOD("get"), ""), NO(501) },
	{ "CONNECTX", BYTES(METHOD("CONNECTX"), ""), NO(501) },
	{ "CONNEC", BYTES(METHOD("CONNEC"), ""), NO(501) },
	{ "GETS", BYTES(METHOD("GETS"), ""), NO(501) },
	{ "PROPFIND", BYTES(METHOD("PROPFIND"), ""), NO(501) },
	{ "QUERY", BYTES(METHOD("QUERY"), ""), NO(501) },
	{ "one letter", BYTES(METHOD("X"), ""), NO(501) },
	{ "a digit", BYTES(METHOD("1"), ""), NO(501) },
	{ "every token character", BYTES(METHOD(TOKEN), ""), NO(501) },
	{ "a long method", BYTES(METHOD(N253 "." N253), ""), NO(501) },
	{ "colon in the method", BYTES(METHOD("CON:NECT"), ""), NO(400) },
	{ "quote in the method", BYTES(METHOD("CONNECT\""), ""), NO(400) },
	{ "slash in the method", BYTES(METHOD("A/B"), ""), NO(400) },
	{ "at in the method", BYTES(METHOD("G@T"), ""), NO(400) },
	{ "high octet in the method", BYTES(METHOD("G\xc4T"), ""), NO(400) },
	{ "control in the method", BYTES(METHOD("G\x01T"), ""), NO(400) },

	/* target: see also the authorities below */
	{ "upper case", BYTES(TARGET("WWW.EXAMPLE.COM:443"), ""),
	    OK("www.example.com", 443, 0) },
	{ "IPv4", BYTES(TARGET("192.0.2.7:80"), ""), OK("192.0.2.7", 80, 0) },
	{ "IPv6", BYTES(TARGET("[2001:DB8::A]:80"), ""),
	    OK("2001:db8::a", 80, 0) },
	{ "mapped", BYTES(TARGET("[::ffff:192.0.2.7]:80"), ""),
	    OK("192.0.2.7", 80, 0) },
	{ "longest name", BYTES(TARGET(N253 ":443"), ""), OK(N253, 443, 0) },
	{ "one octet longer", BYTES(TARGET(N253 "a:443"), ""), NO(400) },
	{ "no port", BYTES(TARGET("example.com"), ""), NO(400) },
	{ "empty port", BYTES(TARGET("example.com:"), ""), NO(400) },
	{ "no host", BYTES(TARGET(":443"), ""), NO(400) },
	{ "absolute-form", BYTES(TARGET("http://example.com:443/"), ""),
	    NO(400) },
	{ "https absolute-form", BYTES(TARGET("https://example.com:443"), ""),
	    NO(400) },
	{ "origin-form", BYTES(TARGET("/"), ""), NO(400) },
	{ "asterisk-form", BYTES(TARGET("*"), ""), NO(400) },
	{ "path", BYTES(TARGET("example.com:443/"), ""), NO(400) },
	{ "query", BYTES(TARGET("example.com:443?x"), ""), NO(400) },
	{ "fragment", BYTES(TARGET("example.com:443#x"), ""), NO(400) },
	{ "userinfo", BYTES(TARGET("u:p@example.com:443"), ""), NO(400) },

	/* Host */
	{ "1.1, no Host", BYTES(V1 END, ""), NO(400) },
	{ "1.9, no Host", BYTES("CONNECT h:1 HTTP/1.9\r\n\r\n", ""), NO(400) },
	{ "1.1, X-Host", BYTES(V1 "X-Host: h\r\n" END, ""), NO(400) },
	{ "two Host", BYTES(V1 HOST HOST END, ""), NO(400) },
	{ "two Host in 1.0", BYTES(V0 HOST HOST END, ""), NO(400) },
	{ "two Host, other case", BYTES(V1 HOST "hOsT: x\r\n" END, ""),
	    NO(400) },
	{ "two Host, one empty", BYTES(V0 HOST "Host:\r\n" END, ""), NO(400) },
	{ "three Host", BYTES(V1 HOST HOST HOST END, ""), NO(400) },
	{ "two Host, apart", BYTES(V1 HOST "X: y\r\n" HOST END, ""), NO(400) },
	{ "bad Host in 1.0", BYTES(V0 "Host: a b\r\n" END, ""), NO(400) },
	{ "HOST", BYTES(V1 "HOST: h\r\n" END, ""), TUNNEL(443, 1) },
	{ "Host without blank", BYTES(HOSTED("example.com"), ""),
	    TUNNEL(443, 1) },
	{ "blanks around Host", BYTES(HOSTED(" \t example.com:443 \t "), ""),
	    TUNNEL(443, 1) },
	{ "another Host", BYTES(HOSTED(" other.example:80"), ""),
	    TUNNEL(443, 1) },
	{ "empty Host", BYTES(HOSTED(""), ""), TUNNEL(443, 1) },
	{ "blank Host", BYTES(HOSTED(" \t"), ""), TUNNEL(443, 1) },
	{ "Host, empty port", BYTES(HOSTED(" h:"), ""), TUNNEL(443, 1) },
	{ "Host, port 0", BYTES(HOSTED(" h:0"), ""), TUNNEL(443, 1) },
	{ "Host, long port", BYTES(HOSTED(" h:99999999999"), ""),
	    TUNNEL(443, 1) },
	{ "Host, IPv4", BYTES(HOSTED(" 192.0.2.1:443"), ""), TUNNEL(443, 1) },
	{ "Host, IPv6", BYTES(HOSTED(" [2001:db8::1]"), ""), TUNNEL(443, 1) },
	{ "Host, IPv6 and port", BYTES(HOSTED(" [::1]:443"), ""),
	    TUNNEL(443, 1) },
	{ "Host, IPv6, empty port", BYTES(HOSTED(" [::1]:"), ""),
	    TUNNEL(443, 1) },
	{ "Host, marks", BYTES(HOSTED(" a-b_c~d.e"), ""), TUNNEL(443, 1) },
	{ "Host, sub-delims", BYTES(HOSTED(" a!$&'()*+;=b"), ""),
	    TUNNEL(443, 1) },
	{ "Host, per cent", BYTES(HOSTED(" a%2Db"), ""), TUNNEL(443, 1) },
	{ "Host, per cent at both ends", BYTES(HOSTED(" %aAb%Ff"), ""),
	    TUNNEL(443, 1) },
	{ "Host, per cent and port", BYTES(HOSTED(" %09%90:443"), ""),
	    TUNNEL(443, 1) },
	{ "Host, half a per cent", BYTES(HOSTED(" a%2"), ""), NO(400) },
	{ "Host, per cent alone", BYTES(HOSTED(" a%"), ""), NO(400) },
	{ "Host, half a per cent and port", BYTES(HOSTED(" a%2:80"), ""),
	    NO(400) },
	{ "Host, per cent twice", BYTES(HOSTED(" a%%41"), ""), NO(400) },
	{ "Host, per cent, bad first digit", BYTES(HOSTED(" a%g0"), ""),
	    NO(400) },
	{ "Host, per cent, bad second digit", BYTES(HOSTED(" a%0G"), ""),
	    NO(400) },
	{ "Host, future address", BYTES(HOSTED(" [v1.fe80::a+en1]"), ""),
	    TUNNEL(443, 1) },
	{ "Host, future address and port", BYTES(HOSTED(" [VfA0.~]:80"), ""),
	    TUNNEL(443, 1) },
	{ "Host, future without version", BYTES(HOSTED(" [v.a]"), ""),
	    NO(400) },
	{ "Host, future, version no hex", BYTES(HOSTED(" [v1g.a]"), ""),
	    NO(400) },
	{ "Host, future without address", BYTES(HOSTED(" [v1.]"), ""),
	    NO(400) },
	{ "Host, future without dot", BYTES(HOSTED(" [v1]"), ""), NO(400) },
	{ "Host, future, bad address", BYTES(HOSTED(" [v1.a/b]"), ""),
	    NO(400) },
	{ "Host, future without v", BYTES(HOSTED(" [x1.a]"), ""), NO(400) },
	{ "Host, userinfo", BYTES(HOSTED(" u@example.com"), ""), NO(400) },
	{ "Host, password", BYTES(HOSTED(" u:p@example.com:443"), ""),
	    NO(400) },
	{ "Host, path", BYTES(HOSTED(" example.com/"), ""), NO(400) },
	{ "Host, path and port", BYTES(HOSTED(" example.com:443/"), ""),
	    NO(400) },
	{ "Host, scheme", BYTES(HOSTED(" http://example.com"), ""), NO(400) },
	{ "Host, query", BYTES(HOSTED(" example.com?x"), ""), NO(400) },
	{ "Host, fragment", BYTES(HOSTED(" example.com#x"), ""), NO(400) },
	{ "Host, blank inside", BYTES(HOSTED(" exam ple.com"), ""), NO(400) },
	{ "Host, HTAB inside", BYTES(HOSTED(" exam\tple.com"), ""), NO(400) },
	{ "Host, a list", BYTES(HOSTED(" a.example, b.example"), ""),
	    NO(400) },
	{ "Host, blank before the port", BYTES(HOSTED(" h :443"), ""),
	    NO(400) },
	{ "Host, blank in the port", BYTES(HOSTED(" h: 443"), ""), NO(400) },
	{ "Host, port a word", BYTES(HOSTED(" h:https"), ""), NO(400) },
	{ "Host, port with sign", BYTES(HOSTED(" h:+443"), ""), NO(400) },
	{ "Host, port hex", BYTES(HOSTED(" h:0x1bb"), ""), NO(400) },
	{ "Host, two ports", BYTES(HOSTED(" h:443:443"), ""), NO(400) },
	{ "Host, bare IPv6", BYTES(HOSTED(" 2001:db8::1"), ""), NO(400) },
	{ "Host, bare ::1", BYTES(HOSTED(" ::1"), ""), NO(400) },
	{ "Host, open bracket", BYTES(HOSTED(" [::1"), ""), NO(400) },
	{ "Host, close bracket", BYTES(HOSTED(" ::1]"), ""), NO(400) },
	{ "Host, text behind bracket", BYTES(HOSTED(" [::1]x"), ""), NO(400) },
	{ "Host, port without colon", BYTES(HOSTED(" [::1]443"), ""),
	    NO(400) },
	{ "Host, two brackets", BYTES(HOSTED(" [[::1]]"), ""), NO(400) },
	{ "Host, empty brackets", BYTES(HOSTED(" []"), ""), NO(400) },
	{ "Host, IPv4 in brackets", BYTES(HOSTED(" [192.0.2.1]"), ""),
	    NO(400) },
	{ "Host, name in brackets", BYTES(HOSTED(" [example.com]"), ""),
	    NO(400) },
	{ "Host, zone", BYTES(HOSTED(" [fe80::1%25eth0]"), ""), NO(400) },
	{ "Host, high octet", BYTES(HOSTED(" b\xc3\xbcr.example"), ""),
	    NO(400) },
	{ "Host, NBSP behind", BYTES(HOSTED(" h\xa0"), ""), NO(400) },
	{ "Host, NEL in front", BYTES(HOSTED(" \x85h"), ""), NO(400) },
	{ "Host, quotes", BYTES(HOSTED(" \"h\""), ""), NO(400) },
	{ "Host, angle brackets", BYTES(HOSTED(" <h>"), ""), NO(400) },
	{ "Host, backslash", BYTES(HOSTED(" a\\b"), ""), NO(400) },
	{ "Host, NUL behind", BYTES(HOSTED(" h\0"), ""), NO(400) },

	/* fields */
	{ "no value", BYTES(FIELD("X:\r\n"), ""), TUNNEL(443, 1) },
	{ "blank value", BYTES(FIELD("X: \t \r\n"), ""), TUNNEL(443, 1) },
	{ "colons in a value", BYTES(FIELD("X:::\r\n"), ""), TUNNEL(443, 1) },
	{ "token name", BYTES(FIELD(TOKEN ": y\r\n"), ""), TUNNEL(443, 1) },
	{ "obs-text", BYTES(FIELD("X: \x80\xff\xc3\xbc\x85\xa0\r\n"), ""),
	    TUNNEL(443, 1) },
	{ "HTAB in a value", BYTES(FIELD("X: a\tb\r\n"), ""), TUNNEL(443, 1) },
	{ "delimiters in a value", BYTES(FIELD("X: (<\"@\\>)[]{}?=;,/\r\n"),
	    ""), TUNNEL(443, 1) },
	{ "the same field again", BYTES(FIELD("X: a\r\nX: a\r\nx: b\r\n"),
	    ""), TUNNEL(443, 1) },
	{ "empty list elements", BYTES(FIELD("Connection: ,, close,,\r\n"
	    "Via: ,1.1 a,,\r\n"), ""), TUNNEL(443, 1) },
	{ "Expect", BYTES(FIELD("Expect: 100-continue\r\n"), ""),
	    TUNNEL(443, 1) },
	{ "Expect in 1.0", BYTES(V0 "Expect: 100-continue\r\n" END, ""),
	    TUNNEL(443, 0) },
	{ "Trailer", BYTES(FIELD("Trailer: X\r\nTE: trailers\r\n"), ""),
	    TUNNEL(443, 1) },
	{ "no colon", BYTES(FIELD("X\r\n"), ""), NO(400) },
	{ "no name", BYTES(FIELD(": y\r\n"), ""), NO(400) },
	{ "only a colon", BYTES(FIELD(":\r\n"), ""), NO(400) },
	{ "blank before the colon", BYTES(FIELD("X : y\r\n"), ""), NO(400) },
	{ "HTAB before the colon", BYTES(FIELD("X\t: y\r\n"), ""), NO(400) },
	{ "Host and a blank", BYTES(V1 "Host : h\r\n" END, ""), NO(400) },
	{ "blank in a name", BYTES(FIELD("X Y: z\r\n"), ""), NO(400) },
	{ "delimiter in a name", BYTES(FIELD("X(Y): z\r\n"), ""), NO(400) },
	{ "slash in a name", BYTES(FIELD("X/Y: z\r\n"), ""), NO(400) },
	{ "NUL in a name", BYTES(FIELD("X\0Y: z\r\n"), ""), NO(400) },
	{ "control in a name", BYTES(FIELD("X\x01: z\r\n"), ""), NO(400) },
	{ "DEL in a name", BYTES(FIELD("X\x7f: z\r\n"), ""), NO(400) },
	{ "high octet in a name", BYTES(FIELD("X\xff: z\r\n"), ""), NO(400) },
	{ "NUL in a value", BYTES(FIELD("X: a\0b\r\n"), ""), NO(400) },
	{ "NUL behind a value", BYTES(FIELD("X: a\0\r\n"), ""), NO(400) },
	{ "NUL before a value", BYTES(FIELD("X:\0a\r\n"), ""), NO(400) },
	{ "control in a value", BYTES(FIELD("X: a\x01\r\n"), ""), NO(400) },
	{ "escape in a value", BYTES(FIELD("X: \x1b[2J\r\n"), ""), NO(400) },
	{ "VT in a value", BYTES(FIELD("X: a\x0b\r\n"), ""), NO(400) },
	{ "FF in a value", BYTES(FIELD("X: a\x0c\r\n"), ""), NO(400) },
	{ "DEL in a value", BYTES(FIELD("X: a\x7f\r\n"), ""), NO(400) },
	{ "folded", BYTES(FIELD("X: a\r\n b\r\n"), ""), NO(400) },
	{ "folded with HTAB", BYTES(FIELD("X: a\r\n\tb\r\n"), ""), NO(400) },
	{ "folded, empty", BYTES(FIELD("X: a\r\n \r\n"), ""), NO(400) },
	{ "folded before the colon", BYTES(FIELD("X\r\n : y\r\n"), ""),
	    NO(400) },
	{ "folded Host", BYTES(V1 "Host:\r\n h\r\n" END, ""), NO(400) },
	{ "folded into a field", BYTES(FIELD("X: a\r\n Y: b\r\n"), ""),
	    NO(400) },
	{ "first line begins with a blank", BYTES(V1 " " HOST END, ""),
	    NO(400) },
	{ "first line begins with HTAB", BYTES(V1 "\t" HOST END, ""),
	    NO(400) },
	{ "first line blank", BYTES(V1 "  \r\n" HOST END, ""), NO(400) },
	{ "a start line among fields", BYTES(V1 HOST V1 END, ""), NO(400) },

	/* framing */
	{ "Content-Length 0", BYTES(FIELD("Content-Length: 0\r\n"), ""),
	    TUNNEL(443, 1) },
	{ "Content-Length 0 and data", BYTES(FIELD("Content-Length:0\r\n"),
	    "data"), TUNNEL(443, 1) },
	{ "Content-Length 000", BYTES(FIELD("Content-Length: 000\r\n"), ""),
	    TUNNEL(443, 1) },
	{ "Content-Length, blanks", BYTES(FIELD("Content-Length:\t 0 \t\r\n"),
	    ""), TUNNEL(443, 1) },
	{ "Content-Length twice 0", BYTES(FIELD("Content-Length: 0\r\n"
	    "content-length: 0\r\n"), ""), TUNNEL(443, 1) },
	{ "Content-Length 0 and 1", BYTES(FIELD("Content-Length: 0\r\n"
	    "Content-Length: 1\r\n"), ""), NO(400) },
	{ "Content-Length 5", BYTES(FIELD("Content-Length: 5\r\n"), "hello"),
	    NO(400) },
	{ "Content-Length 5 in 1.0", BYTES(V0 "Content-Length: 5\r\n" END,
	    "hello"), NO(400) },
	{ "CONTENT-LENGTH", BYTES(FIELD("CONTENT-LENGTH: 5\r\n"), ""),
	    NO(400) },
	{ "Content-Length 05", BYTES(FIELD("Content-Length: 05\r\n"), ""),
	    NO(400) },
	{ "Content-Length empty", BYTES(FIELD("Content-Length:\r\n"), ""),
	    NO(400) },
	{ "Content-Length blank", BYTES(FIELD("Content-Length: \r\n"), ""),
	    NO(400) },
	{ "Content-Length +0", BYTES(FIELD("Content-Length: +0\r\n"), ""),
	    NO(400) },
	{ "Content-Length -0", BYTES(FIELD("Content-Length: -0\r\n"), ""),
	    NO(400) },
	{ "Content-Length 0x0", BYTES(FIELD("Content-Length: 0x0\r\n"), ""),
	    NO(400) },
	{ "Content-Length 0.0", BYTES(FIELD("Content-Length: 0.0\r\n"), ""),
	    NO(400) },
	{ "Content-Length 0, 0", BYTES(FIELD("Content-Length: 0, 0\r\n"), ""),
	    NO(400) },
	{ "Content-Length 0 0", BYTES(FIELD("Content-Length: 0 0\r\n"), ""),
	    NO(400) },
	{ "Content-Length 0;", BYTES(FIELD("Content-Length: 0;\r\n"), ""),
	    NO(400) },
	{ "Content-Length quoted", BYTES(FIELD("Content-Length: \"0\"\r\n"),
	    ""), NO(400) },
	{ "Content-Length, NBSP", BYTES(FIELD("Content-Length: 0\xa0\r\n"),
	    ""), NO(400) },
	{ "Content-Length 2^32", BYTES(
	    FIELD("Content-Length: 4294967296\r\n"), ""), NO(400) },
	{ "Content-Length 2^64", BYTES(
	    FIELD("Content-Length: 18446744073709551616\r\n"), ""), NO(400) },
	{ "Content-Lengths", BYTES(FIELD("Content-Lengths: 5\r\n"), ""),
	    TUNNEL(443, 1) },
	{ "Content_Length", BYTES(FIELD("Content_Length: 5\r\n"), ""),
	    TUNNEL(443, 1) },
	{ "Transfer-Encoding", BYTES(FIELD("Transfer-Encoding: chunked\r\n"),
	    "0\r\n\r\n"), NO(400) },
	{ "transfer-encoding", BYTES(FIELD("transfer-encoding: chunked\r\n"),
	    ""), NO(400) },
	{ "Transfer-Encoding in 1.0", BYTES(V0
	    "Transfer-Encoding: chunked\r\n" END, ""), NO(400) },
	{ "Transfer-Encoding identity", BYTES(
	    FIELD("Transfer-Encoding: identity\r\n"), ""), NO(400) },
	{ "Transfer-Encoding unknown", BYTES(
	    FIELD("Transfer-Encoding: foo\r\n"), ""), NO(400) },
	{ "Transfer-Encoding empty", BYTES(FIELD("Transfer-Encoding:\r\n"),
	    ""), NO(400) },
	{ "Transfer-Encoding and Content-Length 0", BYTES(
	    FIELD("Content-Length: 0\r\nTransfer-Encoding: chunked\r\n"), ""),
	    NO(400) },
	{ "Transfer_Encoding", BYTES(FIELD("Transfer_Encoding: chunked\r\n"),
	    ""), TUNNEL(443, 1) },
	{ "X-Transfer-Encoding", BYTES(
	    FIELD("X-Transfer-Encoding: chunked\r\n"), ""), TUNNEL(443, 1) },

	/* the first failure decides */
	{ "shape before version", BYTES("G@T / HTTP/2.0\r\n\r\n", ""),
	    NO(400) },
	{ "target octet before version", BYTES("GET /\x80 HTTP/2.0\r\n\r\n",
	    ""), NO(400) },
	{ "version before fields", BYTES(
	    "CONNECT h:1 HTTP/2.0\r\nX : y\r\n\r\n", ""), NO(505) },
	{ "version before method", BYTES("FOO / HTTP/2.0\r\n\r\n", ""),
	    NO(505) },
	{ "bad version before method", BYTES("FOO / HTTP/1\r\n\r\n", ""),
	    NO(400) },
	{ "version before target", BYTES("CONNECT / HTTP/3.0\r\n\r\n", ""),
	    NO(505) },
	{ "fields before method", BYTES("FOO / HTTP/1.1\r\nX : y\r\n\r\n",
	    ""), NO(400) },
	{ "last field before method", BYTES(
	    "GET / HTTP/1.1\r\nHost: h\r\nX\r\n\r\n", ""), NO(400) },
	{ "method before target", BYTES("connect / HTTP/1.1\r\n\r\n", ""),
	    NO(501) },
	{ "method before Host", BYTES("GET / HTTP/1.1\r\n\r\n", ""),
	    NO(405) },
	{ "method before two Host", BYTES("FOO / HTTP/1.1\r\n" HOST HOST END,
	    ""), NO(501) },
	{ "method before framing", BYTES("GET / HTTP/1.1\r\n"
	    "Transfer-Encoding: x\r\nContent-Length: x\r\n\r\n", ""),
	    NO(405) },
	{ "line end before all", BYTES("FOO / HTTP/2.0\r\nX\n", "\r\n\r\n"),
	    NO(400) },
};

/* ---- asking in pieces ---------------------------------------------------- */

/* One call, with the bytes in memory of their own that ends with them. */
static int
ask(const char *bytes, size_t n, size_t limit, struct request *rq)
{
	char *copy = calloc(n, 1);
	int result;

	if (n > 0)
		memcpy(copy, bytes, n);
	result = http_parse_request(copy, n, limit, rq);
	free(copy);
	return result;
}

/* A reason that can be shown to people and stand in a reply. */
static bool
is_reason(const char *why)
{
	size_t i;

	if (why == NULL || *why == '\0' || strlen(why) >= REASON_MAX)
		return false;
	for (i = 0; why[i] != '\0'; i++)
		if (why[i] < 0x20 || why[i] > 0x7e)
			return false;
	return true;
}

static bool
same_target(const struct target *a, const struct target *b)
{
	return memcmp(&a->addr, &b->addr, sizeof a->addr) == 0 &&
	    a->name_len == b->name_len &&
	    memcmp(a->name, b->name, a->name_len) == 0;
}

/* What is wrong with this answer, when `want` and `good` are right? */
static const char *
answer_differs(int result, const struct request *rq, int want,
    const struct request *good)
{
	if (result != want)
		return "another verdict or length";
	if (result < 0 && !is_reason(rq->why))
		return "no good reason";
	if (result < 0 && strcmp(rq->why, good->why) != 0)
		return "another reason";
	if (rq->is_head != good->is_head)
		return "another is_head";
	if (result > 0 && (rq->minor != good->minor ||
	    !same_target(&rq->target, &good->target)))
		return "another target or version";
	return NULL;
}

/* A request, the right answer to it, and when that is due. */
struct question {
	const char	*name;
	const char	*bytes;
	size_t		 n, limit, decided;
	int		 want;
	struct request	 good;
};

static void
check_step(const struct question *q, const char *how, size_t cut, size_t len,
    int result, const struct request *rq)
{
	const char *why;

	if (len < q->decided)
		why = result != 0 ? "a verdict too early" : NULL;
	else
		why = answer_differs(result, rq, q->want, &q->good);
	if (why != NULL)
		ck_abort_msg("%s, %s %zu: %s: %d", q->name, how, cut, why,
		    result);
}

/* All at once, and each prefix at once. */
static void
check_prefix(struct question *q, size_t len)
{
	struct request rq;
	int result;

	memset(&rq, 0, sizeof rq);
	result = ask(q->bytes, len, q->limit, &rq);
	if (len == q->n)
		q->good = rq;
	check_step(q, "only", len, len, result, &rq);
}

/* Up to the cut, then all. */
static void
check_cut(const struct question *q, size_t cut)
{
	struct request rq;
	int result;

	memset(&rq, 0, sizeof rq);
	result = ask(q->bytes, cut, q->limit, &rq);
	check_step(q, "up to", cut, cut, result, &rq);
	if (result != 0)
		return;
	result = ask(q->bytes, q->n, q->limit, &rq);
	check_step(q, "cut at", cut, q->n, result, &rq);
}

/* At most `most` more bytes each time. */
static void
check_pieces(const struct question *q, uint32_t most)
{
	struct request rq;
	size_t len = 0;
	int result = 0;

	memset(&rq, 0, sizeof rq);
	while (result == 0 && len < q->n) {
		len += 1 + random_below(most);
		if (len > q->n)
			len = q->n;
		result = ask(q->bytes, len, q->limit, &rq);
		check_step(q, "in pieces, at", len, len, result, &rq);
		if (result == 0 && rq.scanned != len)
			ck_abort_msg("%s: %zu of %zu looked at", q->name,
			    rq.scanned, len);
	}
}

/* Every cut of a short request, some of a long one. */
static void
check_question(struct question *q)
{
	size_t i, step = q->n < 1500 ? 1 : q->n / 400;
	uint32_t most;

	check_prefix(q, q->n);
	for (i = 0; i < q->n; i += step) {
		check_prefix(q, i);
		check_cut(q, i);
	}
	for (i = q->decided < 3 ? 0 : q->decided - 3; i <= q->decided + 3 &&
	    i < q->n; i++) {
		check_prefix(q, i);
		check_cut(q, i);
	}
	check_pieces(q, 1);
	for (most = 2; most <= 512; most *= 2)
		check_pieces(q, most);
}

/* The same memory, growing, as the daemon does it. */
static void
check_in_place(struct question *q)
{
	struct request rq;
	size_t len;
	int result = 0;

	memset(&rq, 0, sizeof rq);
	for (len = 1; len <= q->n && result == 0; len++) {
		result = http_parse_request(q->bytes, len, q->limit, &rq);
		check_step(q, "in place, at", len, len, result, &rq);
	}
}

static bool
is_target(const struct target *t, const char *host, unsigned port)
{
	char text[ADDR_TEXT_MAX];

	if (t->addr.port != port || t->addr.bits != 0)
		return false;
	if (t->addr.family == 0)
		return t->name_len == strlen(host) &&
		    memcmp(t->name, host, t->name_len) == 0;
	return t->name_len == 0 &&
	    strcmp(addr_format(&t->addr, false, text), host) == 0;
}

static void
set_question(struct question *q, const char *name, const char *bytes, size_t n,
    size_t limit)
{
	memset(q, 0, sizeof *q);
	q->name = name;
	q->bytes = bytes;
	q->n = n;
	q->limit = limit;
}

START_TEST(a_head_gets_the_verdict_of_its_row_however_it_is_cut)
{
	const struct row *row = &rows[_i];
	struct question q;

	seed = 1u + (uint32_t)_i;
	set_question(&q, row->name, row->bytes, row->n, HEAD_MAX);
	q.decided = row->decided;
	q.want = row->status != 0 ? -row->status : (int)row->decided;
	check_question(&q);
	check_in_place(&q);
	if (row->status != 0)
		return;
	ck_assert_msg(is_target(&q.good.target, row->host, row->port),
	    "%s: another target", row->name);
	ck_assert_msg(q.good.minor == row->minor, "%s: version", row->name);
	ck_assert_msg(!q.good.is_head, "%s: is_head", row->name);
}
END_TEST

START_TEST(a_fifth_empty_line_is_refused)
{
	static const char bytes[] = "\r\n\r\n\r\n\r\n\r\n" GOOD;
	struct request rq;

	memset(&rq, 0, sizeof rq);
	ck_assert_int_eq(ask(bytes, 8, HEAD_MAX, &rq), 0);
	ck_assert_int_eq(ask(bytes, 10, HEAD_MAX, &rq), -400);
	ck_assert(is_reason(rq.why));
	memset(&rq, 0, sizeof rq);
	ck_assert_int_eq(ask(bytes, sizeof bytes - 1, HEAD_MAX, &rq), -400);
	memset(&rq, 0, sizeof rq);
	ck_assert_int_eq(ask(bytes + 2, sizeof bytes - 3, HEAD_MAX, &rq),
	    (int)sizeof bytes - 3);
}
END_TEST

START_TEST(no_bytes_are_no_verdict)
{
	struct request rq;

	memset(&rq, 0, sizeof rq);
	ck_assert_int_eq(ask("", 0, HEAD_MAX, &rq), 0);
	ck_assert_int_eq(ask("", 0, HEAD_MAX, &rq), 0);
	ck_assert_int_eq(ask(GOOD, sizeof GOOD - 1, HEAD_MAX, &rq),
	    (int)sizeof GOOD - 1);
}
END_TEST

START_TEST(only_a_token_character_or_cr_can_be_first)
{
	struct request rq;
	char c;
	bool good;
	int i;

	for (i = 0; i < 256; i++) {
		c = (char)i;
		memset(&rq, 0, sizeof rq);
		good = i == '\r' || (i != 0 && strchr(TOKEN, i) != NULL);
		ck_assert_msg(ask(&c, 1, HEAD_MAX, &rq) == (good ? 0 : -400),
		    "0x%02x", i);
	}
}
END_TEST

/* A reply to HEAD has no body, whatever the status. */
START_TEST(is_head_says_whether_the_method_is_head)
{
	static const struct {
		const char	*bytes;
		int		 result;
		bool		 head;
	} cases[] = {
		{ "HEAD / HTTP/1.1\r\nHost: h\r\n\r\n", -405, true },
		{ "HEAD / HTTP/1.0\r\n\r\n", -405, true },
		{ "HEAD / HTTP/2.0\r\n\r\n", -505, true },
		{ "HEAD / HTTP/1.1\r\nX : y\r\n\r\n", -400, true },
		{ "head / HTTP/1.1\r\nHost: h\r\n\r\n", -501, false },
		{ "HEADS / HTTP/1.1\r\nHost: h\r\n\r\n", -501, false },
		{ "HEA / HTTP/1.1\r\nHost: h\r\n\r\n", -501, false },
		{ "GET / HTTP/1.1\r\nHost: h\r\n\r\n", -405, false },
		{ "CONNECT h:1 HTTP/1.1\r\n\r\n", -400, false },
	};
	struct request rq;

	memset(&rq, 0, sizeof rq);
	ck_assert_int_eq(ask(cases[_i].bytes, strlen(cases[_i].bytes),
	    HEAD_MAX, &rq), cases[_i].result);
	ck_assert_msg(rq.is_head == cases[_i].head, "case %d", _i);
}
END_TEST

/* Every octet at every kind of place. */
static const struct octet_row {
	const char	*name;
	const char	*before, *after;
	const char	*good;		/* octets that are accepted, and ... */
	bool		 blank, high;	/* SP and HTAB; 0x80 to 0xff, too */
	int		 otherwise;
} octets[] = {
	{ "method", "A", "B / HTTP/1.0\r\n\r\n", TOKEN, false, false, 501 },
	{ "field name", V0 "X", "Y: z\r\n\r\n", TOKEN ":", false, false, 0 },
	{ "field value", V0 "X: a", "b\r\n\r\n",
	    TOKEN "\"(),/:;<=>?@[\\]{}", true, true, 0 },
	{ "name", "CONNECT a", "b:443 HTTP/1.0\r\n\r\n",
	    DIGITS LETTERS "-_.", false, false, 0 },
	{ "port", "CONNECT a:4", "3 HTTP/1.0\r\n\r\n", DIGITS, false, false,
	    0 },
	{ "Host", V0 "Host: a", "zb\r\n\r\n", DIGITS LETTERS
	    "-._~!$&'()*+,;=", false, false, 0 },
	{ "Host port", V0 "Host: a:4", "3\r\n\r\n", DIGITS, false, false, 0 },
	{ "Content-Length", V0 "Content-Length: 0", "0\r\n\r\n", "0", false,
	    false, 0 },
	{ "minor version", "CONNECT a:443 HTTP/1.", "\r\nHost: h\r\n\r\n",
	    DIGITS, false, false, 0 },
};

START_TEST(only_the_octets_of_its_row_are_accepted_at_a_place)
{
	const struct octet_row *row = &octets[_i];
	char bytes[256];
	struct request rq;
	size_t n = strlen(row->before), m = strlen(row->after);
	bool good;
	int i, result, want;

	for (i = 0; i < 256; i++) {
		memcpy(bytes, row->before, n);
		bytes[n] = (char)i;
		memcpy(bytes + n + 1, row->after, m);
		good = (i != 0 && strchr(row->good, i) != NULL) ||
		    (row->blank && (i == ' ' || i == '\t')) ||
		    (row->high && i >= 0x80);
		want = !good ? -400 : row->otherwise != 0 ?
		    -row->otherwise : (int)(n + 1 + m);
		memset(&rq, 0, sizeof rq);
		result = ask(bytes, n + 1 + m, HEAD_MAX, &rq);
		ck_assert_msg(result == want, "%s 0x%02x: %d", row->name, i,
		    result);
	}
}
END_TEST

/* ---- limits -------------------------------------------------------------- */

/* The bytes are filled up with `fill` beyond a limit of LIMIT. */
#define LIMIT 96

static const struct limit_row {
	const char	*name;
	const char	*bytes;
	char		 fill;
	int		 status;
} limits[] = {
	{ "target",		"CONNECT ",			'a',	414 },
	{ "target with port",	"CONNECT h:",			'0',	414 },
	{ "blanks",		"CONNECT ",			' ',	414 },
	{ "version",		"CONNECT h:443 HTTP/",		'1',	414 },
	{ "GET",		"GET /",			'a',	414 },
	{ "unknown method",	"FOO ",				'/',	414 },
	{ "behind empty lines",	"\r\n\r\n\r\n\r\nCONNECT ",	'a',	414 },
	{ "NUL in the target",	"CONNECT a",			'\0',	414 },
	{ "method",		"A",				'A',	501 },
	{ "method of CONNECT",	"CONNECT",			'T',	501 },
	{ "method of marks",	"!",				'~',	501 },
	{ "method behind CRLF",	"\r\n",				'A',	501 },
	{ "no token",		"A@",				'A',	400 },
	{ "colon",		"A:",				'A',	400 },
	{ "HTAB",		"CONNECT\t",			'a',	400 },
	{ "NUL",		"CONNECT",			'\0',	400 },
	{ "high octets",	"CONNECT",			'\xff',	400 },
	{ "no token, blank",	"A@A B",			'b',	400 },
	{ "blank first",	"\r\n ",			'a',	400 },
	{ "field name",		V0,				'a',	431 },
	{ "field value",	V0 "X: ",			'a',	431 },
	{ "blanks in a field",	V0,				' ',	431 },
	{ "Host",		V1 "Host: ",			'a',	431 },
	{ "GET, field",		"GET / HTTP/1.1\r\n",		'a',	431 },
	{ "unknown, field",	"FOO / HTTP/1.1\r\n",		'a',	431 },
	{ "bad start line",	"A@B\r\n",			'a',	431 },
	{ "another version",	"CONNECT h:1 HTTP/2.0\r\n",	'a',	431 },
};

START_TEST(what_does_not_end_within_the_limit_gets_the_status_of_its_row)
{
	const struct limit_row *row = &limits[_i];
	char bytes[LIMIT + 40];
	struct question q;

	seed = 431u + (uint32_t)_i;
	memset(bytes, row->fill, sizeof bytes);
	memcpy(bytes, row->bytes, strlen(row->bytes));
	memcpy(bytes + LIMIT + 20, "\r\n\r\n", 4);
	set_question(&q, row->name, bytes, sizeof bytes, LIMIT);
	q.decided = LIMIT;
	q.want = -row->status;
	check_question(&q);
}
END_TEST

/* A head of n bytes in all: a good one with something long in it. */
static void
make_head(char *bytes, size_t n, int kind)
{
	static const struct {
		const char	*before;
		const char	*fill;
		const char	*after;
	} shape[] = {
		{ V1 HOST "X: ", "a", "\r\n\r\n" },
		{ V1 HOST, "a:\r\n", "X:\r\n\r\n" },
		{ V0 "X", "a", ": y\r\n\r\n" },
		{ V1 "Host: h", " ", "\r\n\r\n" },
		{ "CONNECT example.com:", "0", "443 HTTP/1.0\r\n\r\n" },
		{ V0 "Content-Length: ", "0", "\r\n\r\n" },
	};
	size_t b = strlen(shape[kind].before), a = strlen(shape[kind].after);
	size_t f = strlen(shape[kind].fill), i;

	memcpy(bytes, shape[kind].before, b);
	for (i = b; i < n - a; i++)
		bytes[i] = shape[kind].fill[(i - b) % f];
	/* a piece that is not whole becomes part of the next line's name */
	for (; f > 1 && (i - b) % f != 0; i--)
		bytes[i - 1] = 'x';
	memcpy(bytes + n - a, shape[kind].after, a);
}

#define SHAPES		6
#define SHAPE_START	4	/* the one with the long start line */

static void
check_sized(size_t n, size_t limit, size_t behind, int kind)
{
	char *bytes = malloc(n + behind);
	struct question q;

	ck_assert_ptr_nonnull(bytes);
	make_head(bytes, n, kind);
	memset(bytes + n, 'z', behind);
	set_question(&q, "sized", bytes, n + behind, limit);
	q.decided = n <= limit ? n : limit;
	q.want = n <= limit ? (int)n :
	    kind == SHAPE_START && n - limit > 2 ? -414 : -431;
	if (q.decided <= q.n)
		check_question(&q);
	if (q.want > 0)
		ck_assert(is_target(&q.good.target, "example.com", 443));
	free(bytes);
}

START_TEST(a_head_of_exactly_the_limit_is_accepted)
{
	size_t n;

	seed = 8000u;
	for (n = 100; n < 140; n++) {
		check_sized(n, n - 1, 0, _i);
		check_sized(n, n, 0, _i);
		check_sized(n, n + 1, 0, _i);
		check_sized(n, n - 1, 30, _i);
		check_sized(n, n, 30, _i);
		check_sized(n, n + 1, 30, _i);
	}
}
END_TEST

START_TEST(a_large_head_is_accepted_up_to_the_limit)
{
	seed = 16384u;
	check_sized(8192, HEAD_MAX, 0, _i);
	check_sized(HEAD_MAX, HEAD_MAX, 100, _i);
	check_sized(HEAD_MAX + 1, HEAD_MAX, 100, _i);
	check_sized(5000, 4096, 0, _i);
}
END_TEST

/* The start line must end within the limit, too. */
START_TEST(the_start_line_decides_between_414_and_431)
{
	char bytes[200];
	struct question q;

	seed = 414u;
	make_head(bytes, sizeof bytes, SHAPE_START);
	set_question(&q, "start line", bytes, sizeof bytes, 0);
	q.limit = q.decided = sizeof bytes - (size_t)_i;
	q.want = _i == 0 ? (int)sizeof bytes : _i < 3 ? -431 : -414;
	check_question(&q);
}
END_TEST

START_TEST(a_bad_line_end_within_the_limit_is_400_and_beyond_does_not_matter)
{
	char bytes[LIMIT + 40];
	struct question q;
	size_t at;

	for (at = 60; at < sizeof bytes; at++) {
		if (at >= LIMIT - 2 && at <= LIMIT)
			continue;
		seed = 400u;
		memset(bytes, 'a', sizeof bytes);
		memcpy(bytes, V0 "X: ", sizeof V0 "X: " - 1);
		bytes[at] = '\n';
		set_question(&q, "line end", bytes, sizeof bytes, LIMIT);
		q.decided = at < LIMIT ? at + 1 : LIMIT;
		q.want = at < LIMIT ? -400 : -431;
		check_question(&q);
	}
}
END_TEST

/* No byte is looked at twice while the head is not complete. */
START_TEST(each_byte_is_looked_at_once)
{
	static char bytes[HEAD_MAX];
	struct request rq;
	size_t len;
	int result = 0;

	memset(&rq, 0, sizeof rq);
	make_head(bytes, sizeof bytes, _i);
	for (len = 1; len < sizeof bytes; len++) {
		result = http_parse_request(bytes, len, sizeof bytes, &rq);
		if (result != 0 || rq.scanned != len)
			ck_abort_msg("%d with %zu bytes, %zu looked at",
			    result, len, rq.scanned);
	}
	result = http_parse_request(bytes, len, sizeof bytes, &rq);
	ck_assert_int_eq(result, HEAD_MAX);
}
END_TEST

/* What was looked at is not needed again before the head is complete. */
START_TEST(an_incomplete_head_is_not_read_again)
{
	static char bytes[600];
	struct request rq;
	size_t len, i;
	int result;

	make_head(bytes, sizeof bytes, _i);
	for (len = 0; len < sizeof bytes - 8; len += 7) {
		memset(&rq, 0, sizeof rq);
		result = http_parse_request(bytes, len, sizeof bytes, &rq);
		ck_assert_int_eq(result, 0);
		/* other bytes where the search has been: nobody notices */
		for (i = 0; i + 4 < len; i++)
			bytes[i] = '\n';
		result = http_parse_request(bytes, len + 1, sizeof bytes,
		    &rq);
		ck_assert_int_eq(result, 0);
		make_head(bytes, sizeof bytes, _i);
	}
}
END_TEST

/* ---- authorities --------------------------------------------------------- */

static const struct authority_row {
	const char	*text;
	size_t		 n;
	const char	*host;		/* NULL: refused */
	unsigned	 port;
} authorities[] = {
	{ TEXT("example.com:443"),	"example.com",	443 },
	{ TEXT("EXAMPLE.com:443"),	"example.com",	443 },
	{ TEXT("ABCDEFGHIJKLMNOPQRSTUVWXYZ:443"),
	    "abcdefghijklmnopqrstuvwxyz", 443 },
	{ TEXT("example.com.:443"),	"example.com",	443 },
	{ TEXT("localhost:1"),		"localhost",	1 },
	{ TEXT("a:65535"),		"a",		65535 },
	{ TEXT("a_b-c.example:80"),	"a_b-c.example", 80 },
	{ TEXT("xn--bcher-kva.example:80"), "xn--bcher-kva.example", 80 },
	{ TEXT("1a:80"),		"1a",		80 },
	{ TEXT("163.com:80"),		"163.com",	80 },
	{ TEXT(N253 ":443"),		N253,		443 },
	{ TEXT(N253 ".:443"),		N253,		443 },
	{ TEXT("h:0443"),		"h",		443 },
	{ TEXT("h:00000000000000000000000000000443"), "h", 443 },
	{ TEXT("192.0.2.1:443"),	"192.0.2.1",	443 },
	{ TEXT("0.0.0.0:1"),		"0.0.0.0",	1 },
	{ TEXT("255.255.255.255:1"),	"255.255.255.255", 1 },
	{ TEXT("[::1]:443"),		"::1",		443 },
	{ TEXT("[::]:443"),		"::",		443 },
	{ TEXT("[1:2:3:4:5:6:7:8]:443"), "1:2:3:4:5:6:7:8", 443 },
	{ TEXT("[2001:DB8::ABCD]:443"),	"2001:db8::abcd", 443 },
	{ TEXT("[2001:0db8:0000::0001]:443"), "2001:db8::1", 443 },
	{ TEXT("[1::]:443"),		"1::",		443 },
	{ TEXT("[::2:3:4:5:6:7:8]:443"), "0:2:3:4:5:6:7:8", 443 },
	{ TEXT("[64:ff9b::192.0.2.1]:443"), "64:ff9b::c000:201", 443 },
	{ TEXT("[::192.0.2.1]:443"),	"::c000:201",	443 },
	{ TEXT("[::ffff:192.0.2.1]:443"), "192.0.2.1",	443 },
	{ TEXT("[::FFFF:7f00:1]:00080"), "127.0.0.1",	80 },
	{ TEXT("[fe80::1]:443"),	"fe80::1",	443 },

	{ TEXT(""),			NULL,	0 },
	{ TEXT(":"),			NULL,	0 },
	{ TEXT(":443"),			NULL,	0 },
	{ TEXT("443"),			NULL,	0 },
	{ TEXT("example.com"),		NULL,	0 },
	{ TEXT("example.com:"),		NULL,	0 },
	{ TEXT("example.com:0"),	NULL,	0 },
	{ TEXT("example.com:00"),	NULL,	0 },
	{ TEXT("example.com:65536"),	NULL,	0 },
	{ TEXT("example.com:65616"),	NULL,	0 },
	{ TEXT("example.com:99999"),	NULL,	0 },
	{ TEXT("example.com:100000"),	NULL,	0 },
	{ TEXT("example.com:4294967376"), NULL,	0 },
	{ TEXT("example.com:4294967739"), NULL,	0 },
	{ TEXT("example.com:18446744073709551696"), NULL, 0 },
	{ TEXT("example.com:-443"),	NULL,	0 },
	{ TEXT("example.com:+443"),	NULL,	0 },
	{ TEXT("example.com: 443"),	NULL,	0 },
	{ TEXT("example.com:443 "),	NULL,	0 },
	{ TEXT("example.com :443"),	NULL,	0 },
	{ TEXT(" example.com:443"),	NULL,	0 },
	{ TEXT("example.com:4 43"),	NULL,	0 },
	{ TEXT("example.com:0x1bb"),	NULL,	0 },
	{ TEXT("example.com:443a"),	NULL,	0 },
	{ TEXT("example.com:https"),	NULL,	0 },
	{ TEXT("example.com:4.43"),	NULL,	0 },
	{ TEXT("example.com:443,444"),	NULL,	0 },
	{ TEXT("example.com:443-444"),	NULL,	0 },
	{ TEXT("example.com:\xb2"),	NULL,	0 },
	{ TEXT("example.com:443\0"),	NULL,	0 },
	{ TEXT("example.com:\0" "443"),	NULL,	0 },
	{ TEXT("example.com\0:443"),	NULL,	0 },
	{ TEXT("example.com:443:"),	NULL,	0 },
	{ TEXT("example.com:443:443"),	NULL,	0 },
	{ TEXT("example.com::443"),	NULL,	0 },
	{ TEXT("example.com:443/"),	NULL,	0 },
	{ TEXT("example.com:443?q"),	NULL,	0 },
	{ TEXT("example.com:443#f"),	NULL,	0 },
	{ TEXT("example.com/:443"),	NULL,	0 },
	{ TEXT("http://example.com:443"), NULL,	0 },
	{ TEXT("http://example.com:443/"), NULL, 0 },
	{ TEXT("//example.com:443"),	NULL,	0 },
	{ TEXT("/"),			NULL,	0 },
	{ TEXT("*"),			NULL,	0 },
	{ TEXT("*:443"),		NULL,	0 },
	{ TEXT("u@example.com:443"),	NULL,	0 },
	{ TEXT("u:p@example.com:443"),	NULL,	0 },
	{ TEXT("@example.com:443"),	NULL,	0 },
	{ TEXT("example.com@:443"),	NULL,	0 },
	{ TEXT("example.com:443@h:1"),	NULL,	0 },
	{ TEXT(".:443"),		NULL,	0 },
	{ TEXT("..:443"),		NULL,	0 },
	{ TEXT(".example.com:443"),	NULL,	0 },
	{ TEXT("example..com:443"),	NULL,	0 },
	{ TEXT("example.com..:443"),	NULL,	0 },
	{ TEXT("ex%61mple.com:443"),	NULL,	0 },
	{ TEXT("example%2ecom:443"),	NULL,	0 },
	{ TEXT("example%00:443"),	NULL,	0 },
	{ TEXT("ex%:443"),		NULL,	0 },
	{ TEXT("a!b:443"),		NULL,	0 },
	{ TEXT("a,b:443"),		NULL,	0 },
	{ TEXT("a~b:443"),		NULL,	0 },
	{ TEXT("b\xc3\xbcr.example:443"), NULL,	0 },
	{ TEXT(N253 "a:443"),		NULL,	0 },
	{ TEXT(L60 "abcd.example:443"),	NULL,	0 },
	{ TEXT("127.1:443"),		NULL,	0 },
	{ TEXT("127.0.1:443"),		NULL,	0 },
	{ TEXT("2130706433:443"),	NULL,	0 },
	{ TEXT("0:443"),		NULL,	0 },
	{ TEXT("0177.0.0.1:443"),	NULL,	0 },
	{ TEXT("127.0.0.01:443"),	NULL,	0 },
	{ TEXT("127.000.000.001:443"),	NULL,	0 },
	{ TEXT("0x7f.1:443"),		NULL,	0 },
	{ TEXT("0x7f000001:443"),	NULL,	0 },
	{ TEXT("0x7F.0x0.0x0.0x1:443"),	NULL,	0 },
	{ TEXT("127.0.0.1.:443"),	NULL,	0 },
	{ TEXT("127.0.0.256:443"),	NULL,	0 },
	{ TEXT("1.2.3.4.5:443"),	NULL,	0 },
	{ TEXT("example.1:443"),	NULL,	0 },
	{ TEXT("example.0x1:443"),	NULL,	0 },
	{ TEXT("::1:443"),		NULL,	0 },
	{ TEXT("2001:db8::1:443"),	NULL,	0 },
	{ TEXT("::ffff:192.0.2.1:443"),	NULL,	0 },
	{ TEXT("1:2:3:4:5:6:7:8:443"),	NULL,	0 },
	{ TEXT("[::1"),			NULL,	0 },
	{ TEXT("[::1:443"),		NULL,	0 },
	{ TEXT("::1]:443"),		NULL,	0 },
	{ TEXT("[::1]"),		NULL,	0 },
	{ TEXT("[::1]:"),		NULL,	0 },
	{ TEXT("[::1]443"),		NULL,	0 },
	{ TEXT("[::1]:443]"),		NULL,	0 },
	{ TEXT("[::1]]:443"),		NULL,	0 },
	{ TEXT("[[::1]:443"),		NULL,	0 },
	{ TEXT("[[::1]]:443"),		NULL,	0 },
	{ TEXT("[::1]x:443"),		NULL,	0 },
	{ TEXT("[::1] :443"),		NULL,	0 },
	{ TEXT("[::1].:443"),		NULL,	0 },
	{ TEXT("x[::1]:443"),		NULL,	0 },
	{ TEXT("u@[::1]:443"),		NULL,	0 },
	{ TEXT("[ ::1]:443"),		NULL,	0 },
	{ TEXT("[::1 ]:443"),		NULL,	0 },
	{ TEXT("[::1\0]:443"),		NULL,	0 },
	{ TEXT("[]:443"),		NULL,	0 },
	{ TEXT("["),			NULL,	0 },
	{ TEXT("[]"),			NULL,	0 },
	{ TEXT("]:443"),		NULL,	0 },
	{ TEXT("[:]:443"),		NULL,	0 },
	{ TEXT("[:::]:443"),		NULL,	0 },
	{ TEXT("[1:2:3:4:5:6:7]:443"),	NULL,	0 },
	{ TEXT("[1:2:3:4:5:6:7:8:9]:443"), NULL, 0 },
	{ TEXT("[1::2::3]:443"),	NULL,	0 },
	{ TEXT("[::g]:443"),		NULL,	0 },
	{ TEXT("[12345::]:443"),	NULL,	0 },
	{ TEXT("[::1/128]:443"),	NULL,	0 },
	{ TEXT("[127.0.0.1]:443"),	NULL,	0 },
	{ TEXT("[::127.1]:443"),	NULL,	0 },
	{ TEXT("[::ffff:127.0.0.01]:443"), NULL, 0 },
	{ TEXT("[::ffff:127.0.0.256]:443"), NULL, 0 },
	{ TEXT("[example.com]:443"),	NULL,	0 },
	{ TEXT("[fe80::1%25eth0]:443"),	NULL,	0 },
	{ TEXT("[fe80::1%eth0]:443"),	NULL,	0 },
	{ TEXT("[fe80::1%]:443"),	NULL,	0 },
	{ TEXT("[v1.a]:443"),		NULL,	0 },
	{ TEXT("[v1.fe80::a+en1]:443"),	NULL,	0 },
	{ TEXT("[vf.1:2]:443"),		NULL,	0 },
};

START_TEST(a_text_is_an_authority_only_if_its_row_says_so)
{
	const struct authority_row *row = &authorities[_i];
	char *copy = calloc(row->n, 1);
	struct target t;
	const char *why;

	memset(&t, 0xAA, sizeof t);
	if (row->n > 0)
		memcpy(copy, row->text, row->n);
	why = http_parse_authority(copy, row->n, &t);
	free(copy);
	if (row->host == NULL) {
		ck_assert_msg(why != NULL, "%s is accepted", row->text);
		ck_assert_msg(is_reason(why), "%s: reason", row->text);
		return;
	}
	ck_assert_msg(why == NULL, "%s: %s", row->text, why);
	ck_assert_msg(is_target(&t, row->host, row->port), "%s", row->text);
}
END_TEST

/* The address in a target is one that policy.c can compare by bytes. */
START_TEST(the_unused_bytes_of_an_authority_are_zero)
{
	static const char *const text[] = { "192.0.2.1:443",
	    "[::ffff:192.0.2.1]:443", "[::1]:443", "a.example:443" };
	struct target t;
	struct addr want;

	memset(&t, 0xAA, sizeof t);
	memset(&want, 0, sizeof want);
	ck_assert_ptr_null(http_parse_authority(text[_i], strlen(text[_i]),
	    &t));
	if (_i < 2)
		addr_parse("192.0.2.1", 9, &want);
	else if (_i == 2)
		addr_parse("::1", 3, &want);
	want.port = 443;
	ck_assert_mem_eq(&t.addr, &want, sizeof want);
}
END_TEST

START_TEST(every_port_is_read_right)
{
	char text[32];
	struct target t;
	unsigned long port;
	const char *why;

	for (port = 0; port < 70000; port++) {
		snprintf(text, sizeof text, "h:%lu", port);
		why = http_parse_authority(text, strlen(text), &t);
		if ((why == NULL) != (port >= 1 && port <= 65535))
			ck_abort_msg("%s", text);
		if (why == NULL && t.addr.port != port)
			ck_abort_msg("%s: %u", text, (unsigned)t.addr.port);
	}
}
END_TEST

/* ---- a second parser ----------------------------------------------------- */

struct span {
	const char	*p;
	size_t		 n;
};

static size_t
span_of(const char *p, size_t n, const char *set)
{
	size_t i;

	for (i = 0; i < n && p[i] != '\0' && strchr(set, p[i]) != NULL; i++)
		;
	return i;
}

static bool
all_of(struct span s, const char *set)
{
	return span_of(s.p, s.n, set) == s.n;
}

static struct span
cut_off(struct span *s, size_t n)
{
	struct span front = { s->p, n };

	s->p += n;
	s->n -= n;
	return front;
}

/* inet_pton, for a span. */
static bool
system_address(struct span s, int family)
{
	char text[64];
	unsigned char out[16];

	if (s.n >= sizeof text || memchr(s.p, '\0', s.n) != NULL)
		return false;
	memcpy(text, s.p, s.n);
	text[s.n] = '\0';
	return inet_pton(family, text, out) == 1;
}

/* "v" 1*HEXDIG "." 1*( unreserved / sub-delims / ":" ) of RFC 3986 3.2.2 */
static bool
is_future(struct span s)
{
	if (s.n == 0 || (*s.p != 'v' && *s.p != 'V'))
		return false;
	cut_off(&s, 1);
	if (span_of(s.p, s.n, DIGITS "abcdefABCDEF") == 0)
		return false;
	cut_off(&s, span_of(s.p, s.n, DIGITS "abcdefABCDEF"));
	if (s.n < 2 || *s.p != '.')
		return false;
	cut_off(&s, 1);
	return all_of(s, DIGITS LETTERS "-._~!$&'()*+,;=:");
}

/* Take "[IPv6]" off the front, or "[IPvFuture]". */
static bool
cut_literal(struct span *s, bool future)
{
	const char *close = memchr(s->p, ']', s->n);
	struct span inside;

	if (s->n == 0 || *s->p != '[' || close == NULL)
		return false;
	inside = cut_off(s, (size_t)(close - s->p) + 1);
	inside.p++;
	inside.n -= 2;
	return system_address(inside, AF_INET6) ||
	    (future && is_future(inside));
}

static bool
plain_authority(struct span s)
{
	const char *colon;
	struct span host;

	if (s.n > 0 && *s.p == '[') {
		if (!cut_literal(&s, false))
			return false;
	} else {
		colon = memchr(s.p, ':', s.n);
		if (colon == NULL)
			return false;
		host = cut_off(&s, (size_t)(colon - s.p));
		if (!system_address(host, AF_INET) &&
		    !dns_name_ok(host.p, host.n))
			return false;
	}
	if (s.n < 2 || *s.p != ':')
		return false;
	cut_off(&s, 1);
	if (!all_of(s, DIGITS))
		return false;
	cut_off(&s, span_of(s.p, s.n, "0"));
	return s.n >= 1 && (s.n < 5 ||
	    (s.n == 5 && memcmp(s.p, "65535", 5) <= 0));
}

/* uri-host [ ":" *DIGIT ] of RFC 9110 7.2 */
static bool
plain_host(struct span s)
{
	size_t n;

	if (s.n > 0 && *s.p == '[') {
		if (!cut_literal(&s, true))
			return false;
	} else
		for (;;) {
			n = span_of(s.p, s.n,
			    DIGITS LETTERS "-._~!$&'()*+,;=");
			cut_off(&s, n);
			if (s.n < 3 || *s.p != '%' || span_of(s.p + 1, 2,
			    DIGITS "abcdefABCDEF") != 2)
				break;
			cut_off(&s, 3);
		}
	if (s.n > 0 && *s.p != ':')
		return false;
	if (s.n > 0)
		cut_off(&s, 1);
	return all_of(s, DIGITS);
}

static struct span
trim(struct span s)
{
	while (s.n > 0 && (*s.p == ' ' || *s.p == '\t'))
		cut_off(&s, 1);
	while (s.n > 0 && (s.p[s.n - 1] == ' ' || s.p[s.n - 1] == '\t'))
		s.n--;
	return s;
}

static bool
is_field(struct span name, const char *text)
{
	return dns_name_equal(name.p, name.n, text, strlen(text)) &&
	    name.n == strlen(text);
}

static struct span
next_line(struct span *head)
{
	struct span line;
	size_t n;

	for (n = 0; memcmp(head->p + n, "\r\n", 2) != 0; n++)
		;
	line = cut_off(head, n);
	cut_off(head, 2);
	return line;
}

/* The fields of a head behind its start line, all lines ended by CRLF. */
struct fields {
	bool		bad, bad_host, bad_framing;
	unsigned	hosts;
};

static void
plain_field(struct span line, struct fields *f)
{
	struct span name = cut_off(&line, span_of(line.p, line.n, TOKEN));
	size_t i;

	if (name.n == 0 || line.n == 0 || *line.p != ':') {
		f->bad = true;
		return;
	}
	cut_off(&line, 1);
	for (i = 0; i < line.n; i++)
		if (((unsigned char)line.p[i] < 0x20 && line.p[i] != '\t') ||
		    line.p[i] == 0x7f)
			f->bad = true;
	line = trim(line);
	if (is_field(name, "host")) {
		f->hosts++;
		f->bad_host = f->bad_host || !plain_host(line);
	}
	if (is_field(name, "transfer-encoding") ||
	    (is_field(name, "content-length") &&
	    (line.n == 0 || !all_of(line, "0"))))
		f->bad_framing = true;
}

/* The status of a complete head that begins with the start line; 0: good. */
static int
plain_status(struct span head)
{
	static const char *const known[] = { "GET", "HEAD", "POST", "PUT",
	    "DELETE", "OPTIONS", "TRACE", "PATCH" };
	struct span line = next_line(&head), method, target;
	struct fields f = { false, false, false, 0 };
	size_t i;

	method = cut_off(&line, span_of(line.p, line.n, TOKEN));
	if (method.n == 0 || line.n == 0 || *line.p != ' ')
		return 400;
	cut_off(&line, 1);
	for (i = 0; i < line.n && line.p[i] > ' ' && line.p[i] < 0x7f; i++)
		;
	target = cut_off(&line, i);
	if (target.n == 0 || line.n != 9 || memcmp(line.p, " HTTP/", 6) != 0 ||
	    span_of(line.p + 6, 1, DIGITS) != 1 || line.p[7] != '.' ||
	    span_of(line.p + 8, 1, DIGITS) != 1)
		return 400;
	if (line.p[6] != '1')
		return 505;
	while (head.n > 2)
		plain_field(next_line(&head), &f);
	if (f.bad)
		return 400;
	for (i = 0; i < (size_t)COUNT(known); i++)
		if (method.n == strlen(known[i]) &&
		    memcmp(method.p, known[i], method.n) == 0)
			return 405;
	if (method.n != 7 || memcmp(method.p, "CONNECT", 7) != 0)
		return 501;
	if (!plain_authority(target) || f.hosts > 1 || f.bad_host ||
	    (f.hosts == 0 && line.p[8] != '0') || f.bad_framing)
		return 400;
	return 0;
}

/* The limit is reached within the line that begins at p. */
static int
plain_limit(struct span line, bool start_line)
{
	size_t n = span_of(line.p, line.n, TOKEN);

	if (!start_line)
		return 431;
	if (n > 0 && n < line.n && line.p[n] == ' ')
		return 414;
	return n == line.n ? 501 : 400;
}

/*
 * The answer to a prefix of n bytes.  Lines are looked for from the beginning
 * every time.
 */
static int
plain_answer(const char *p, size_t n, size_t limit)
{
	size_t i, line = 0, start = 0, empty = 0;
	bool begun = false;
	struct span rest;

	if (n > 0 && *p != '\r' && span_of(p, 1, TOKEN) != 1)
		return -400;
	for (i = 0; i < n && i < limit; i++) {
		if (i > 0 && (p[i - 1] == '\r') != (p[i] == '\n'))
			return -400;
		if (p[i] != '\n')
			continue;
		if (i - line > 1 && !begun) {
			begun = true;
			start = line;
		} else if (i - line == 1 && !begun && ++empty > 4)
			return -400;
		else if (i - line == 1 && begun) {
			rest.p = p + start;
			rest.n = i + 1 - start;
			i = (size_t)plain_status(rest);
			return i != 0 ? -(int)i :
			    (int)(start + rest.n);
		}
		line = i + 1;
	}
	if (i < limit)
		return 0;
	rest.p = p + line;
	rest.n = limit - line;
	return -plain_limit(rest, !begun);
}

START_TEST(a_second_parser_agrees_with_the_row)
{
	const struct row *row = &rows[_i];
	size_t len;
	int want;

	for (len = 0; len <= row->n; len++) {
		want = len < row->decided ? 0 : row->status != 0 ?
		    -row->status : (int)row->decided;
		if (plain_answer(row->bytes, len, HEAD_MAX) != want)
			ck_abort_msg("%s: %d with %zu", row->name,
			    plain_answer(row->bytes, len, HEAD_MAX), len);
	}
}
END_TEST

/* Text for a message. */
static const char *
shown(const char *p, size_t n)
{
	static char out[4 * 400 + 1];
	size_t i;

	for (i = 0; i < n && i < 400; i++)
		sprintf(out + 4 * i, "\\x%02x", (unsigned char)p[i]);
	return out;
}

/* All prefixes, growing in place, until the first verdict. */
static void
check_parsers(const char *p, size_t n, size_t limit)
{
	struct request rq, once;
	size_t len;
	int ours, plain;

	memset(&rq, 0, sizeof rq);
	for (len = 0; len <= n; len++) {
		ours = http_parse_request(p, len, limit, &rq);
		plain = plain_answer(p, len, limit);
		if (ours != plain)
			ck_abort_msg("%d, not %d: %s of %s", ours, plain,
			    shown(p, len), p);
		if (ours != 0)
			break;
	}
	memset(&once, 0, sizeof once);
	ours = http_parse_request(p, n, limit, &once);
	plain = plain_answer(p, n, limit);
	if (ours != plain || answer_differs(ours, &once, plain, &rq) != NULL)
		ck_abort_msg("%d, not %d, at once: %s", ours, plain,
		    shown(p, n));
}

/* One or a few changes: an octet, a piece out, a piece of another row in. */
static size_t
spoil(char *p, size_t n, size_t max)
{
	static const char octet[] = "\r\n\r\n :\t\0\x80\x7f%[]@/.0aH1,;";
	const struct row *other = &rows[random_below((uint32_t)COUNT(rows))];
	size_t at = random_below((uint32_t)n), m = 1 + random_below(12), from;

	switch (random_below(4)) {
	case 0:
		p[at] = octet[random_below(sizeof octet - 1)];
		return n;
	case 1:
		if (m > n - at)
			m = n - at;
		memmove(p + at, p + at + m, n - at - m);
		return n - m > 0 ? n - m : 1;
	case 2:
		p[at] = (char)random_below(256);
		return n;
	default:
		from = random_below((uint32_t)other->n);
		if (m > other->n - from)
			m = other->n - from;
		if (n + m > max)
			return n;
		memmove(p + at + m, p + at, n - at);
		memcpy(p + at, other->bytes + from, m);
		return n + m;
	}
}

START_TEST(a_second_parser_agrees_on_spoilt_rows)
{
	char bytes[1024];
	const struct row *row;
	size_t n, limit;
	long i;
	uint32_t k;

	seed = 9112u + (uint32_t)_i;
	for (i = 0; i < 12000; i++) {
		do
			row = &rows[random_below((uint32_t)COUNT(rows))];
		while (row->n > 400);
		n = row->n;
		memset(bytes, 0, sizeof bytes);
		memcpy(bytes, row->bytes, n);
		for (k = 1 + random_below(3); k > 0; k--)
			n = spoil(bytes, n, sizeof bytes - 1);
		limit = random_below(4) == 0 ? 16 + random_below(100) :
		    HEAD_MAX;
		check_parsers(bytes, n, limit);
	}
}
END_TEST

/* All sequences of up to five of ten pieces. */
START_TEST(a_second_parser_agrees_on_all_short_sequences)
{
	static const char *const piece[] = { "CONNECT h:1 HTTP/1.0",
	    "CONNECT h:1 HTTP/1.1", "\r\n", "\r", "\n", "Host:h", " ", "A",
	    ":", "0" };
	char bytes[5 * 20 + 1];
	uint32_t code, rest, depth;

	for (code = 0; code < 100000; code++) {
		bytes[0] = '\0';
		rest = code;
		for (depth = 0; depth < 5; depth++, rest /= 10)
			strcat(bytes, piece[rest % 10]);
		check_parsers(bytes, strlen(bytes), _i == 0 ? 200 : 24);
	}
}
END_TEST

/* ---- replies ------------------------------------------------------------- */

static const struct reply_row {
	int		 status;
	const char	*phrase;
	bool		 allow, no_store, retry;
} replies[] = {
	{ 400, "Bad Request",			false,	false,	false },
	{ 403, "Forbidden",			false,	false,	false },
	{ 405, "Method Not Allowed",		true,	true,	false },
	{ 408, "Request Timeout",		false,	false,	false },
	{ 414, "URI Too Long",			false,	true,	false },
	{ 431, "Request Header Fields Too Large", false, false,	false },
	{ 500, "Internal Server Error",		false,	false,	false },
	{ 501, "Not Implemented",		false,	true,	false },
	{ 502, "Bad Gateway",			false,	false,	false },
	{ 503, "Service Unavailable",		false,	false,	true },
	{ 504, "Gateway Timeout",		false,	false,	false },
	{ 505, "HTTP Version Not Supported",	false,	false,	false },
};

/* A reply as a string, in memory of its own; *n is its length. */
static char *
format_reply(const struct reply *r, size_t *n)
{
	char *exact = malloc(REPLY_MAX), *out = malloc(REPLY_MAX + 1);

	ck_assert(exact != NULL && out != NULL);
	memset(exact, 'x', REPLY_MAX);
	*n = http_format_reply(r, exact);
	ck_assert_uint_le(*n, REPLY_MAX);
	memcpy(out, exact, *n);
	out[*n] = '\0';
	ck_assert_msg(strlen(out) == *n, "NUL in the reply");
	free(exact);
	return out;
}

/* The value of a field that must stand in the head exactly `times` times, 0 or
 * 1; the names are compared as they are written. */
static const char *
field_of(const char *reply, const char *name, int times)
{
	static char value[256];
	const char *line, *end = strstr(reply, "\r\n\r\n");
	size_t n = strlen(name);
	int found = 0;

	*value = '\0';
	for (line = strstr(reply, "\r\n"); line != NULL && line < end;
	    line = strstr(line, "\r\n")) {
		line += 2;
		if (strncmp(line, name, n) != 0 || line[n] != ':')
			continue;
		found++;
		ck_assert_msg(line[n + 1] == ' ', "%s", name);
		snprintf(value, sizeof value, "%.*s",
		    (int)strcspn(line + n + 2, "\r"), line + n + 2);
	}
	ck_assert_msg(found == times, "%s: %d times", name, found);
	return value;
}

/* Lines of visible ASCII and SP, CRLF at their ends, "Name: value". */
static void
check_lines(const char *reply)
{
	const char *end = strstr(reply, "\r\n\r\n"), *p;

	ck_assert_ptr_nonnull(end);
	for (p = reply; p < end + 4; p++)
		if (*p == '\r')
			ck_assert_msg(p[1] == '\n', "CR without LF");
		else if (*p == '\n')
			ck_assert_msg(p > reply && p[-1] == '\r',
			    "LF without CR");
		else
			ck_assert_msg(*p >= 0x20 && *p < 0x7f, "0x%02x",
			    (unsigned char)*p);
	for (p = strstr(reply, "\r\n"); p < end; p = strstr(p + 2, "\r\n"))
		ck_assert_msg(span_of(p + 2, strlen(p + 2), TOKEN) > 0 &&
		    p[2 + span_of(p + 2, strlen(p + 2), TOKEN)] == ':',
		    "a line that is no field");
}

static void
check_reply(const struct reply_row *row, const char *text, bool no_body)
{
	struct reply r;
	char *out, want[REASON_MAX + 2];
	size_t n;

	memset(&r, 0, sizeof r);
	r.status = row->status;
	r.name = "connectd";
	r.error = "http_request_error";
	r.text = text;
	r.no_body = no_body;
	out = format_reply(&r, &n);
	check_lines(out);
	snprintf(want, sizeof want, "HTTP/1.1 %d %s\r\n", row->status,
	    row->phrase);
	ck_assert_msg(strncmp(out, want, strlen(want)) == 0, "%s", out);
	ck_assert_str_eq(field_of(out, "Connection", 1), "close");
	ck_assert_str_eq(field_of(out, "Content-Type", 1), "text/plain");
	ck_assert_str_eq(field_of(out, "Proxy-Status", 1),
	    "connectd; error=http_request_error");
	ck_assert_str_eq(field_of(out, "Allow", row->allow),
	    row->allow ? "CONNECT" : "");
	if (row->no_store)
		ck_assert_str_eq(field_of(out, "Cache-Control", 1),
		    "no-store");
	field_of(out, "Retry-After", row->retry);
	field_of(out, "Transfer-Encoding", 0);
	field_of(out, "Keep-Alive", 0);
	snprintf(want, sizeof want, "%zu", strlen(text) + 1);
	ck_assert_str_eq(field_of(out, "Content-Length", 1), want);
	snprintf(want, sizeof want, "%s\n", text);
	ck_assert_str_eq(strstr(out, "\r\n\r\n") + 4, no_body ? "" : want);
	free(out);
}

START_TEST(a_reply_has_everything_that_its_status_wants)
{
	check_reply(&replies[_i], "the port is not allowed by the rules",
	    false);
	check_reply(&replies[_i], "x", false);
}
END_TEST

START_TEST(a_reply_to_head_has_all_but_the_body)
{
	check_reply(&replies[_i], "only CONNECT is served here", true);
}
END_TEST

START_TEST(the_longest_text_fits_into_a_reply)
{
	char text[REASON_MAX];

	memset(text, 'm', sizeof text - 1);
	text[sizeof text - 1] = '\0';
	check_reply(&replies[_i], text, false);
	check_reply(&replies[_i], text, true);
}
END_TEST

START_TEST(retry_after_is_a_number_of_seconds)
{
	struct reply r = { 503, "connectd", "connection_limit_reached",
	    NULL, "too many tunnels", false };
	const char *value;
	size_t n;
	char *out = format_reply(&r, &n);

	value = field_of(out, "Retry-After", 1);
	ck_assert_uint_gt(strlen(value), 0);
	ck_assert_uint_eq(span_of(value, strlen(value), DIGITS),
	    strlen(value));
	free(out);
}
END_TEST

START_TEST(proxy_status_names_us_and_the_error)
{
	static const char *const error[] = { "destination_ip_prohibited",
	    "dns_timeout", "connection_refused", "proxy_internal_error",
	    "http_request_denied" };
	char name[64], want[128];
	struct reply r = { 502, name, error[_i], NULL, "text", false };
	size_t n;
	char *out;

	memset(name, 'n', sizeof name - 1);
	name[sizeof name - 1] = '\0';
	out = format_reply(&r, &n);
	snprintf(want, sizeof want, "%s; error=%s", name, error[_i]);
	ck_assert_str_eq(field_of(out, "Proxy-Status", 1), want);
	free(out);
}
END_TEST

START_TEST(an_error_of_the_dns_has_its_rcode)
{
	struct reply r = { 502, "connectd", "dns_error", "NXDOMAIN", "text",
	    false };
	size_t n;
	char *out = format_reply(&r, &n);

	ck_assert_str_eq(field_of(out, "Proxy-Status", 1),
	    "connectd; error=dns_error; rcode=\"NXDOMAIN\"");
	free(out);
}
END_TEST

START_TEST(the_success_reply_is_short_and_exact)
{
	ck_assert_str_eq(HTTP_ESTABLISHED,
	    "HTTP/1.1 200 Connection established\r\n\r\n");
	ck_assert_uint_eq(HTTP_ESTABLISHED_LEN, strlen(HTTP_ESTABLISHED));
}
END_TEST

static void
add_request_tests(Suite *s)
{
	TCase *tc = tcase_create("request");

	tcase_set_timeout(tc, 300);
	tcase_add_loop_test(tc,
	    a_head_gets_the_verdict_of_its_row_however_it_is_cut, 0,
	    COUNT(rows));
	tcase_add_test(tc, a_fifth_empty_line_is_refused);
	tcase_add_test(tc, no_bytes_are_no_verdict);
	tcase_add_test(tc, only_a_token_character_or_cr_can_be_first);
	tcase_add_loop_test(tc, is_head_says_whether_the_method_is_head, 0, 9);
	tcase_add_loop_test(tc,
	    only_the_octets_of_its_row_are_accepted_at_a_place, 0,
	    COUNT(octets));
	tcase_add_loop_test(tc, a_second_parser_agrees_with_the_row, 0,
	    COUNT(rows));
	tcase_add_loop_test(tc, a_second_parser_agrees_on_spoilt_rows, 0, 4);
	tcase_add_loop_test(tc, a_second_parser_agrees_on_all_short_sequences,
	    0, 2);
	suite_add_tcase(s, tc);
}

static void
add_limit_tests(Suite *s)
{
	TCase *tc = tcase_create("limit");

	tcase_set_timeout(tc, 300);
	tcase_add_loop_test(tc,
	    what_does_not_end_within_the_limit_gets_the_status_of_its_row, 0,
	    COUNT(limits));
	tcase_add_loop_test(tc, a_head_of_exactly_the_limit_is_accepted, 0,
	    SHAPES);
	tcase_add_loop_test(tc, a_large_head_is_accepted_up_to_the_limit, 0,
	    SHAPES);
	tcase_add_loop_test(tc, the_start_line_decides_between_414_and_431, 0,
	    10);
	tcase_add_test(tc,
	    a_bad_line_end_within_the_limit_is_400_and_beyond_does_not_matter);
	tcase_add_loop_test(tc, each_byte_is_looked_at_once, 0, SHAPES);
	tcase_add_loop_test(tc, an_incomplete_head_is_not_read_again, 0,
	    SHAPES);
	suite_add_tcase(s, tc);
}

static void
add_reply_tests(Suite *s)
{
	TCase *tc = tcase_create("reply");

	tcase_add_loop_test(tc, a_reply_has_everything_that_its_status_wants,
	    0, COUNT(replies));
	tcase_add_loop_test(tc, a_reply_to_head_has_all_but_the_body, 0,
	    COUNT(replies));
	tcase_add_loop_test(tc, the_longest_text_fits_into_a_reply, 0,
	    COUNT(replies));
	tcase_add_test(tc, retry_after_is_a_number_of_seconds);
	tcase_add_loop_test(tc, proxy_status_names_us_and_the_error, 0, 5);
	tcase_add_test(tc, an_error_of_the_dns_has_its_rcode);
	tcase_add_test(tc, the_success_reply_is_short_and_exact);
	suite_add_tcase(s, tc);
}

static Suite *
http_suite(void)
{
	Suite *s = suite_create("http");
	TCase *tc = tcase_create("authority");

	add_request_tests(s);
	add_limit_tests(s);
	tcase_set_timeout(tc, 60);
	tcase_add_loop_test(tc, a_text_is_an_authority_only_if_its_row_says_so,
	    0, COUNT(authorities));
	tcase_add_loop_test(tc, the_unused_bytes_of_an_authority_are_zero, 0,
	    4);
	tcase_add_test(tc, every_port_is_read_right);
	suite_add_tcase(s, tc);
	add_reply_tests(s);
	return s;
}

int
main(void)
{
	SRunner *sr = srunner_create(http_suite());
	int failed;

	srunner_run_all(sr, CK_NORMAL);
	failed = srunner_ntests_failed(sr);
	srunner_free(sr);
	return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
