"""What is scarce: slots, descriptors, memory, and one client's share."""

import contextlib
import resource
import time

from .harness import (
    ALLOW_LOOPBACK, KIB, Daemon, HangingTarget, Skip, accept, authority,
    between, check_carries, check_refusal, check_silent, connect, equal,
    finish, listener, open_to, port_of, read_answer, read_to_end, request,
    reset, run, send_until_stalled, settings, tunnel, wait_until,
    wait_until_clock)


# ---- the table --------------------------------------------------------------

def half_head(proxy):
    """A connection that stays in its request."""
    sock = open_to(proxy.address)
    sock.sendall(b"CONNECT 127.0.0.1:443 HTTP/1.1\r\nHost: ")
    return sock


def evicted(proxy):
    """Client ports of the evicted, in the order of their eviction."""
    lines = [line.split() for line in proxy.lines("tunnel ")]
    return [int(words[1].rpartition(":")[2]) for words in lines
            if "end=evicted" in words]


def check_evicts(proxy, count):
    """The table is full: a newcomer costs somebody its place."""
    stack = contextlib.ExitStack()
    pair = stack.enter_context(tunnel(proxy))
    wait_until(lambda: len(evicted(proxy)) == count, "%d evicted" % count)
    check_carries(*pair)
    return stack


def a_full_table_evicts_half_closed_tunnels_then_old_requests():
    """Goal: oldest half-closed tunnel first, then the oldest request that is
    older than a second, and a working tunnel never."""
    with Daemon(ALLOW_LOOPBACK, "tunnels 4") as proxy, \
            contextlib.ExitStack() as open_ends:
        opened = time.monotonic()
        asking = open_ends.enter_context(half_head(proxy))
        working = open_ends.enter_context(tunnel(proxy))
        halves = [open_ends.enter_context(tunnel(proxy)) for _ in range(2)]
        # The later one ends first: what counts is the age of the half-close.
        halves.reverse()
        for client, target in halves:
            finish(client)
            equal(read_to_end(target), (b"", False))
        wait_until_clock(opened + 1.1)

        for count in (1, 2, 3):
            open_ends.enter_context(check_evicts(proxy, count))
        equal(evicted(proxy), [port_of(halves[0][0]), port_of(halves[1][0]),
                               port_of(asking)], "evicted, in order")
        for client, _ in halves:
            equal(read_to_end(client), (b"", True))
        check_carries(*working)
        equal(proxy.statistics()["evicted"], 3)


def a_newcomer_waits_until_the_oldest_request_is_a_second_old():
    """Goal: young requests are left alone, and the wait for them is short."""
    with Daemon(ALLOW_LOOPBACK, "tunnels 4") as proxy, listener() as server, \
            contextlib.ExitStack() as open_ends:
        start = time.monotonic()
        asking = [open_ends.enter_context(half_head(proxy)) for _ in range(4)]
        wait_until(lambda: proxy.statistics()["accepted"] == 4, "a full table")
        answer = connect(proxy, authority(server))
        between(0.9, time.monotonic() - start, 2, "seconds")
        equal(answer.status, 200, repr(answer.raw))
        equal(evicted(proxy), [port_of(asking[0])])
        answer.sock.close()


def a_newcomer_to_a_table_of_working_tunnels_waits_for_a_slot():
    """Goal: nobody who works is evicted; the newcomer keeps its place in the
    queue, and waiting for it costs nothing."""
    with Daemon(ALLOW_LOOPBACK, "tunnels 2") as proxy, listener() as server, \
            tunnel(proxy) as staying, contextlib.ExitStack() as leaving:
        pair = leaving.enter_context(tunnel(proxy))
        with open_to(proxy.address) as newcomer:
            newcomer.sendall(request(authority(server)))
            before = proxy.processor_seconds()
            check_silent(newcomer, 1.2)     # no request of this age is safe
            spent = proxy.processor_seconds() - before
            assert spent <= 0.06, "%.2f s of processor time" % spent
            check_carries(*pair)
            leaving.close()
            equal(read_answer(newcomer).status, 200)
            check_carries(*staying)


# ---- one client's share -----------------------------------------------------

POLITE_MAX = 8


def a_client_over_its_share_is_told_so():
    """Goal: 503 for the newcomer, nothing for the others, and only while
    the share is used up."""
    with Daemon(ALLOW_LOOPBACK, "tunnels-per-client 2") as proxy, \
            tunnel(proxy) as first:
        with tunnel(proxy), listener() as server:
            target = authority(server)
            check_refusal(connect(proxy, target), 503,
                          "connection_limit_reached")
            with connect(proxy, target, source="127.0.0.2").sock as other, \
                    accept(server) as far:
                check_carries(other, far)
        wait_until(lambda: proxy.statistics()["tunnels"] == 1, "room")
        with tunnel(proxy) as again:
            check_carries(*again)
            check_carries(*first)
        equal(proxy.statistics()["limited"], 1)


def politeness_to_a_client_over_its_share_is_limited_too():
    """Goal: refusals take no more than a few slots at a time; the rest are
    closed without a word."""
    with Daemon(ALLOW_LOOPBACK, "tunnels-per-client 1") as proxy, \
            tunnel(proxy) as working, contextlib.ExitStack() as open_ends:
        for _ in range(POLITE_MAX):
            client = open_ends.enter_context(open_to(proxy.address))
            client.sendall(request("127.0.0.1:443"))
            check_refusal(read_answer(client), 503, "connection_limit_reached")
        for _ in range(3):
            with open_to(proxy.address) as client:
                equal(read_to_end(client)[0], b"")
        equal(proxy.statistics()["limited"], POLITE_MAX + 3)
        check_carries(*working)


# ---- descriptors ------------------------------------------------------------

def limit_descriptors(proxy, soft):
    _, hard = resource.prlimit(proxy.pid, resource.RLIMIT_NOFILE)
    resource.prlimit(proxy.pid, resource.RLIMIT_NOFILE, (soft, hard))


def without_descriptors_it_waits_calmly_and_recovers():
    """Goal: at the descriptor limit it neither spins nor exits nor floods
    the log, and serves those who waited once there is room."""
    with Daemon(ALLOW_LOOPBACK, "tunnels 100", "tunnels-per-client 0") \
            as proxy, listener() as server, \
            contextlib.ExitStack() as open_ends:
        before = proxy.descriptors()
        soft, _ = resource.prlimit(proxy.pid, resource.RLIMIT_NOFILE)
        limit_descriptors(proxy, before + 4)
        lines = len(proxy.lines())
        clients = [open_ends.enter_context(half_head(proxy))
                   for _ in range(40)]
        wait_until(lambda: proxy.descriptors() == before + 4, "the limit")
        seconds = proxy.processor_seconds()
        time.sleep(2)       # the measurement
        spent = proxy.processor_seconds() - seconds
        assert spent < 0.1, "%.2f s of processor time in 2 s" % spent
        written = proxy.lines()[lines:]
        assert len(written) <= 10, written
        limit_descriptors(proxy, soft)
        wait_until(lambda: proxy.statistics()["accepted"] == 40, "recovery")
        for client in clients:
            client.sendall(b"h\r\n\r\n")
            equal(read_to_end(client)[1], False)
        connect(proxy, authority(server)).sock.close()


def a_target_without_a_descriptor_for_it_is_a_503():
    """Goal: who was accepted is told that the fault is ours and may pass."""
    with Daemon(ALLOW_LOOPBACK) as proxy, listener() as server:
        soft, _ = resource.prlimit(proxy.pid, resource.RLIMIT_NOFILE)
        limit_descriptors(proxy, proxy.descriptors() + 1)
        answer = connect(proxy, authority(server))
        check_refusal(answer, 503, "proxy_internal_error")
        limit_descriptors(proxy, soft)
        connect(proxy, authority(server)).sock.close()


def a_table_that_does_not_fit_the_descriptor_limit_is_said_at_start():
    """Goal: better no service than one that fails under load."""
    def lower():
        resource.setrlimit(resource.RLIMIT_NOFILE, (100, 100))
    result = run("-f", "/dev/null", "-o", "listen 127.0.0.1:0", "-o",
                 "tunnels 1000", preexec_fn=lower)
    equal(result.returncode, 1, result.stderr)
    assert "descriptors" in result.stderr, result.stderr


# ---- processor time ---------------------------------------------------------

def odd_states(proxy, open_ends):
    """Connections of which nothing is to be expected soon."""
    for _ in range(10):
        client, target = open_ends.enter_context(tunnel(proxy))
        finish(client)
        client, target = open_ends.enter_context(tunnel(proxy))
        finish(target)
        client, target = open_ends.enter_context(tunnel(proxy))
        finish(client)
        equal(read_to_end(target), (b"", False))
        reset(client)
        open_ends.enter_context(half_head(proxy))
    for near, _ in [open_ends.enter_context(tunnel(proxy)) for _ in range(2)]:
        send_until_stalled(near)
    hanging = open_ends.enter_context(HangingTarget())
    for leave in (check_silent, finish):
        client = open_ends.enter_context(open_to(proxy.address))
        client.sendall(request(hanging.authority))
        leave(client)
    refused = open_ends.enter_context(open_to(proxy.address))
    refused.sendall(request("192.0.2.1:443"))
    read_answer(refused)


def waiting_in_any_odd_state_costs_nothing():
    """Goal: no combination of ends, stalls and hang-ups makes it spin."""
    with Daemon(ALLOW_LOOPBACK) as proxy, \
            contextlib.ExitStack() as open_ends:
        odd_states(proxy, open_ends)
        before = proxy.processor_seconds()
        time.sleep(1.5)     # the measurement
        spent = proxy.processor_seconds() - before
        assert spent <= 0.03, "%.2f s of processor time in 1.5 s" % spent


# ---- memory -----------------------------------------------------------------

def skip_if_sanitized():
    if settings.sanitized:
        raise Skip("sanitizers have their own idea of memory")


def a_thousand_half_sent_requests_cost_five_kibibytes_each():
    """Goal: holding a connection costs the attacker about as much as us."""
    skip_if_sanitized()
    if resource.getrlimit(resource.RLIMIT_NOFILE)[1] < 2300:
        raise Skip("the hard limit of descriptors is too low")
    with Daemon(ALLOW_LOOPBACK, "tunnels 1100", "tunnels-per-client 0") \
            as proxy, contextlib.ExitStack() as open_ends:
        before = proxy.memory()
        for _ in range(1000):
            open_ends.enter_context(half_head(proxy))
        wait_until(lambda: proxy.statistics()["accepted"] == 1000, "accepted")
        proxy.statistics()      # one more turn: what was ready has been read
        each = (proxy.memory() - before) / 1000
        assert each <= 5 * KIB, "%.0f bytes each" % each


def idle_tunnels_hold_no_buffer():
    """Goal: the memory behind a ring is lent, and given back when empty."""
    skip_if_sanitized()
    with Daemon(ALLOW_LOOPBACK, "tunnels 250", "tunnels-per-client 0") \
            as proxy, contextlib.ExitStack() as open_ends:
        before = proxy.memory()
        for _ in range(200):
            pair = open_ends.enter_context(tunnel(proxy))
            check_carries(*pair)
        each = (proxy.memory() - before) / 200
        assert each <= 2 * KIB, "%.0f bytes each" % each


def an_idle_daemon_owns_at_most_256_kib():
    """Goal: with the default settings, tables and all."""
    skip_if_sanitized()
    with Daemon(hosts=None) as proxy:
        proxy.statistics()
        owned = proxy.memory("Private_Dirty")
        assert owned <= 256 * KIB, "%d bytes" % owned
