"""Deadlines: when they strike, what renews them, what they say."""

import contextlib
import select
import signal
import time

from .harness import (
    ALLOW_LOOPBACK, KIB, Daemon, HangingTarget, accept, authority, between,
    check_carries, check_refusal, check_silent, connect, equal, finish,
    listener, open_to, parse_answer, payload, read_answer, read_exactly,
    read_to_end, request, reset, settings, tunnel, wait_until_clock,
    wait_until_taken)

LATE = 0.7      # seconds that a busy machine may add to a deadline


def dribble(sock, data, pause):
    """Send byte by byte until something comes back."""
    for byte in data:
        sock.sendall(bytes([byte]))
        if select.select([sock], [], [], pause)[0]:
            return
    raise AssertionError("the deadline did not strike")


def a_head_that_dribbles_is_cut_at_an_absolute_deadline():
    """Goal: `timeout request` runs from accept and nothing renews it."""
    with Daemon(ALLOW_LOOPBACK, "timeout request 1s") as proxy:
        start = time.monotonic()
        with open_to(proxy.address) as client:
            dribble(client, request("example.com:443", "X: " + "x" * 99), 0.05)
            between(0.9, time.monotonic() - start, 1 + LATE, "seconds")
            raw, was_reset = read_to_end(client)
            assert not was_reset, raw
            check_refusal(parse_answer(client, raw), 408, "http_request_error")
        line, = proxy.tunnels(1)
        equal((line["status"], line["end"], line["target"]),
              ("408", "http_request_error", "-"))


def a_silent_connection_is_closed_at_the_deadline_without_a_word():
    """Goal: who has said nothing is told nothing."""
    with Daemon(ALLOW_LOOPBACK, "timeout request 500ms") as proxy:
        start = time.monotonic()
        with open_to(proxy.address) as client:
            equal(read_to_end(client), (b"", False))
            between(0.45, time.monotonic() - start, 0.5 + LATE, "seconds")
        line, = proxy.tunnels(1)
        equal(line["status"], "0")


def an_idle_tunnel_ends_and_bytes_of_either_side_keep_it():
    """Goal: `timeout idle` counts from the last byte, whoever sent it."""
    with Daemon(ALLOW_LOOPBACK, "timeout idle 600ms") as proxy, \
            tunnel(proxy) as (client, target):
        for near, far in ((client, target), (target, client)):
            for _ in range(5):      # each way longer than the deadline
                check_silent(near, 0.2)
                near.sendall(b"x")
                equal(read_exactly(far, 1), b"x")
        last = time.monotonic()
        equal(read_to_end(client), (b"", True))
        equal(read_to_end(target), (b"", True))
        between(0.5, time.monotonic() - last, 0.6 + LATE, "seconds")
        line, = proxy.tunnels(1)
        equal((line["end"], line["up"], line["down"]), ("idle", "5", "5"))


def check_half_timeout(proxy, near, far):
    """`near` ends; only bytes of `far`, the live side, keep the tunnel."""
    finish(near)
    equal(read_to_end(far), (b"", False))
    for _ in range(4):
        check_silent(near, 0.2)
        far.sendall(b"x")
        equal(read_exactly(near, 1), b"x")
    last = time.monotonic()
    equal(read_to_end(near), (b"", True))
    between(0.4, time.monotonic() - last, 0.5 + LATE, "seconds")


def a_half_closed_tunnel_ends_when_its_live_side_falls_silent():
    """Goal: `timeout half` is renewed by the live direction, then cuts."""
    with Daemon(ALLOW_LOOPBACK, "timeout half 500ms") as proxy:
        with tunnel(proxy) as (client, target):
            check_half_timeout(proxy, client, target)
        with tunnel(proxy) as (client, target):
            check_half_timeout(proxy, target, client)
        equal([line["end"] for line in proxy.tunnels(2)], ["half", "half"])


def check_slow_reader(near, far, leave, is_reset):
    """`near` has said all; `far` takes longer than the deadline for it."""
    data = payload(200 * KIB)
    near.sendall(data)
    wait_until_taken(near)
    leave(near)
    got, was_reset = read_to_end(far, pace=0.02, piece=4 * KIB)
    assert got == data, "only %d of %d bytes" % (len(got), len(data))
    equal(was_reset, is_reset, "a reset")


def a_slow_reader_gets_all_that_was_sent_before_the_end():
    """Goal: while bytes are still being delivered, no deadline takes them
    away, neither behind a FIN nor behind a reset."""
    with Daemon(ALLOW_LOOPBACK, "timeout half 500ms") as proxy:
        for leave, is_reset in ((finish, False), (reset, True)):
            with tunnel(proxy, buffers=4 * KIB) as (client, target):
                check_slow_reader(target, client, leave, is_reset)


def check_slow_download(proxy, ended):
    """The target has said all, its system has sent it, and the client takes
    several times the deadline to read it."""
    data = payload(200 * KIB)
    with tunnel(proxy, buffers=4 * KIB) as (client, target):
        if ended:
            finish(client)
            equal(read_to_end(target), (b"", False))
        target.sendall(data)
        wait_until_taken(target)
        got = b""
        while len(got) < len(data):
            time.sleep(0.03)
            piece = client.recv(4 * KIB)
            assert piece, "ended after %d bytes" % len(got)
            got += piece
        equal(got == data, True)


def a_slow_download_is_progress_in_either_state():
    """Goal: bytes that only the kernel still moves keep a tunnel alive, be it
    whole or half-closed."""
    with Daemon(ALLOW_LOOPBACK, "timeout idle 500ms",
                "timeout half 500ms") as proxy:
        check_slow_download(proxy, False)
        check_slow_download(proxy, True)


def without_half_closing_both_sides_end_behind_the_drained_rest():
    """Goal: `timeout half 0` is the letter of RFC 9110: the rest of the side
    that ended is delivered, then both are closed."""
    data = payload(300 * KIB)
    with Daemon(ALLOW_LOOPBACK, "timeout half 0") as proxy:
        with tunnel(proxy) as (client, target):
            target.sendall(data)
            finish(target)
            got, was_reset = read_to_end(client)
            equal((len(got), got == data, was_reset), (len(data), True, False))
            start = time.monotonic()
            equal(read_to_end(target), (b"", False))
            between(0, time.monotonic() - start, 2 + LATE, "seconds")
        with tunnel(proxy) as (client, target):
            client.sendall(data)
            finish(client)
            got, was_reset = read_to_end(target)
            equal((len(got), got == data, was_reset), (len(data), True, False))
            target.close()      # which is not waited for then
            equal(read_to_end(client), (b"", False))
        equal([line["end"] for line in proxy.tunnels(2)],
              ["target-fin", "client-fin"])


def a_target_that_does_not_answer_is_504_at_the_deadline():
    """Goal: `timeout connect` bounds the wait of the client."""
    with Daemon(ALLOW_LOOPBACK, "timeout connect 500ms") as proxy, \
            HangingTarget() as server:
        start = time.monotonic()
        answer = connect(proxy, server.authority)
        between(0.45, time.monotonic() - start, 0.5 + LATE, "seconds")
        check_refusal(answer, 504, "connection_timeout")
        line, = proxy.tunnels(1)
        equal((line["end"], line["status"]), ("connection_timeout", "504"))


def a_pause_of_the_daemon_times_out_nobody_who_has_spoken():
    """Goal: what has arrived counts before the clock does."""
    with Daemon(ALLOW_LOOPBACK, "timeout idle 500ms") as proxy, \
            tunnel(proxy) as (client, target), \
            tunnel(proxy) as (silent, _):
        proxy.signal(signal.SIGSTOP)
        start = time.monotonic()
        client.sendall(b"still here")
        wait_until_clock(start + 0.7)
        proxy.signal(signal.SIGCONT)
        equal(read_exactly(target, 10), b"still here")
        equal(read_to_end(silent), (b"", True))
        check_carries(client, target)


def a_refused_client_that_does_not_close_is_closed():
    """Goal: the wait behind a refusal is 2 s, and 10 s if bytes come."""
    with Daemon(ALLOW_LOOPBACK) as proxy, open_to(proxy.address) as client:
        start = time.monotonic()
        client.sendall(request("192.0.2.1:443"))
        equal(read_answer(client).status, 403)
        proxy.tunnels(1)
        between(1.9, time.monotonic() - start, 2 + LATE, "seconds")
    if not settings.slow:
        return
    with Daemon(ALLOW_LOOPBACK) as proxy, open_to(proxy.address) as client:
        start = time.monotonic()
        client.sendall(request("192.0.2.1:443"))
        talk_until_cut(client)
        between(7, time.monotonic() - start, 10 + LATE, "seconds")


def talk_until_cut(sock):
    with contextlib.suppress(ConnectionError):
        while True:
            sock.sendall(b"more")
            time.sleep(0.1)


def a_tunnel_outlives_the_deadlines_of_its_beginning():
    """Goal: neither `timeout request` nor `connect` ends a tunnel."""
    with Daemon(ALLOW_LOOPBACK, "timeout request 300ms",
                "timeout connect 300ms") as proxy, listener() as server:
        start = time.monotonic()
        with connect(proxy, authority(server)).sock as client, \
                accept(server) as target:
            wait_until_clock(start + 0.5)
            check_carries(client, target)
