"""What the client is told, when, and that it can read it."""

from .harness import (
    ALLOW_LOOPBACK, ESTABLISHED, KIB, Daemon, HangingTarget, accept, ask,
    authority, check_refusal, check_silent, connect, equal, listener, open_to,
    payload, pending, read_answer, read_to_end, refusing_port, request,
    status_lines)

# One request for each kind of refusal that needs nothing but a request:
# (request, status, error token)
REFUSED = (
    (b"CONNECT no-port HTTP/1.1\r\nHost: h\r\n\r\n", 400, "http_request_error"),
    (b"CONNECT example.com:443 HTTP/1.1\r\n\r\n", 400, "http_request_error"),
    (request("192.0.2.1:443"), 403, "destination_ip_prohibited"),
    (b"GET http://example.com/ HTTP/1.1\r\nHost: h\r\n\r\n", 405,
     "http_request_error"),
    (b"CONNECT %s:443 HTTP/1.1\r\nHost: h\r\n\r\n" % (b"a" * 20000), 414,
     "http_request_error"),
    (request("example.com:443", "X: %s\r\n" % ("a" * 20000)), 431,
     "http_request_error"),
    (b"BREW pot:443 HTTP/1.1\r\nHost: h\r\n\r\n", 501, "http_request_error"),
    (request("no-such-name.invalid:443"), 502, "dns_error"),
    (b"CONNECT example.com:443 HTTP/2.0\r\nHost: h\r\n\r\n", 505,
     "http_request_error"),
)

# Any name needs the address; this makes an unknown one a matter of the DNS.
ALLOW_PUBLIC = "allow from loopback to public port any"


def every_refusal_is_complete_and_says_why():
    """Goal: status, Proxy-Status, exact length, close: one whole reply."""
    with Daemon(ALLOW_PUBLIC) as proxy:
        for data, status, error in REFUSED:
            answer = ask(proxy, data)
            check_refusal(answer, status, error)
            if status == 405:
                equal(answer.headers.get("allow"), "CONNECT")


def no_refusal_repeats_bytes_of_the_client():
    """Goal: a reply cannot be used to carry somebody's words."""
    with Daemon(ALLOW_PUBLIC) as proxy:
        for data in (b"CONNECT <script>:443 HTTP/1.1\r\nHost: h\r\n\r\n",
                     request("script-name.test:443"),
                     request("h.test:443", "script-field : 1\r\n"),
                     b"SCRIPT h:443 HTTP/1.1\r\nHost: h\r\n\r\n"):
            answer = ask(proxy, data)
            assert answer.status >= 400, answer.raw
            assert b"script" not in answer.raw.lower(), answer.raw


def a_refusal_names_what_the_rules_lack():
    """Goal: a user can mend the rules by what the reply says."""
    with Daemon(ALLOW_LOOPBACK.replace("any", "443")) as proxy:
        answer = connect(proxy, "127.0.0.1:8443")
        check_refusal(answer, 403, "http_request_denied")
        assert b"port 8443" in answer.body, answer.body
    with Daemon(ALLOW_PUBLIC) as proxy:
        answer = connect(proxy, "127.0.0.1:443")
        check_refusal(answer, 403, "destination_ip_prohibited")
        assert b"loopback" in answer.body, answer.body


def every_refusal_survives_unread_input():
    """Goal: 200 KB behind the request do not cost the client its reply, in
    100 of 100 tries, though it sends all before it reads and its system
    takes little at a time."""
    with Daemon(ALLOW_LOOPBACK) as proxy, refusing_port() as closed:
        for data, status, error in (
                (REFUSED[0][0], 400, "http_request_error"),
                (request("192.0.2.1:443"), 403, "destination_ip_prohibited"),
                (REFUSED[3][0], 405, "http_request_error"),
                (request(authority(closed)), 502, "connection_refused")):
            flood = data + payload(200 * KIB)
            for _ in range(100):
                answer = ask(proxy, flood, buffers=4 * KIB)
                check_refusal(answer, status, error)


def an_answer_to_head_has_no_body():
    """Goal: HEAD is refused with the fields alone."""
    with Daemon(ALLOW_LOOPBACK) as proxy:
        answer = ask(proxy, b"HEAD http://example.com/ HTTP/1.1\r\n"
                     b"Host: example.com\r\n\r\n")
        equal((answer.status, answer.body), (405, b""))
        assert answer.headers["content-length"].isdigit()
        equal(answer.headers["connection"], "close")


def success_is_said_only_once_the_target_has_accepted():
    """Goal: no byte before the connection stands, then the exact reply."""
    with Daemon(ALLOW_LOOPBACK) as proxy, HangingTarget() as server, \
            open_to(proxy.address) as client:
        client.sendall(request(server.authority) + b"early")
        check_silent(client, 0.5)
        with server.accept() as target:
            equal(read_answer(client).raw, ESTABLISHED)
            equal(target.recv(100), b"early")


def a_closed_port_is_a_refused_connection():
    """Goal: 502 connection_refused, and the log says so."""
    with Daemon(ALLOW_LOOPBACK) as proxy, refusing_port() as closed:
        target = authority(closed)
        check_refusal(connect(proxy, target), 502, "connection_refused")
        line, = proxy.tunnels(1)
        equal((line["end"], line["status"], line["target"]),
              ("connection_refused", "502", target))


def nothing_behind_a_refused_request_is_answered():
    """Goal: one status line, and no second request is carried out."""
    with Daemon(ALLOW_LOOPBACK) as proxy, listener() as server:
        second = request(authority(server))
        for first in (REFUSED[0][0], REFUSED[3][0], request("192.0.2.1:443"),
                      request("no-such-name.invalid:443")):
            with open_to(proxy.address) as client:
                client.sendall(first + second)
                raw, was_reset = read_to_end(client)
                assert not was_reset, raw
                equal(len(status_lines(raw)), 1, repr(raw))
            assert not pending(server), "the second request was carried out"
        proxy.tunnels(4)


def nothing_behind_an_accepted_request_is_answered():
    """Goal: a second request behind the first is tunnel data."""
    with Daemon(ALLOW_LOOPBACK) as proxy, listener() as server:
        second = request("192.0.2.1:443")
        with connect(proxy, authority(server), second).sock as client, \
                accept(server) as target:
            client.shutdown(1)
            equal(read_to_end(target), (second, False))
            target.close()
            equal(read_to_end(client), (b"", False))


def proxy_status_carries_the_configured_name():
    """Goal: `name` is who we are to others."""
    with Daemon("name gate-7", ALLOW_LOOPBACK) as proxy:
        answer = connect(proxy, "192.0.2.1:443")
        assert answer.headers["proxy-status"].startswith("gate-7; error="), (
            answer.raw)
