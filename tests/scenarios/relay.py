"""Bytes through a tunnel: unchanged, in order, at a constant price."""

import contextlib
import signal
import socket
import threading
import time

from .harness import (
    ALLOW_LOOPBACK, ESTABLISHED, GIB, KIB, MIB, Daemon, Origin, accept,
    authority, check_carries, connect, echo, equal, finish, have_ipv6,
    listener, open_to, payload, read_answer, read_exactly, read_to_end,
    receive_pattern, request, send_pattern, send_until_stalled, settings,
    together, tunnel, wait_until)


def transfer(client, target, size, meanwhile, pause=0.02):
    """Move `size` bytes each way at once and compare what arrives."""
    sent_up, sent_down, got_up, got_down = together(
        lambda: send_pattern(client, size),
        lambda: send_pattern(target, size),
        lambda: receive_pattern(target),
        lambda: receive_pattern(client),
        meanwhile=meanwhile, pause=pause)
    equal(got_up, (size, sent_up), "client to target: size and checksum")
    equal(got_down, (size, sent_down), "target to client: size and checksum")


def a_gigabyte_each_way_at_once_arrives_unchanged_in_constant_memory():
    """Goal: bulk both ways is whole and costs two rings, whatever its size."""
    size = GIB if settings.slow else 128 * MIB
    with Daemon(ALLOW_LOOPBACK) as proxy:
        before = proxy.memory()
        highest = [before]
        with tunnel(proxy) as (client, target):
            transfer(client, target, size,
                     lambda: highest.append(proxy.memory()))
        line, = proxy.tunnels(1)
        equal((line["up"], line["down"]), (str(size), str(size)))
    if not settings.sanitized:
        growth = max(highest) - before
        assert growth <= 256 * KIB, "memory grew by %d bytes" % growth


def early_sizes(ring, head):
    """Early data around the ring's size, alone and together with the head
    that shares the ring with it."""
    around = [ring - 1, ring, ring + 1]
    return [0, 1, *(size - head for size in around), *around, 300 * KIB]


def early_data_of_every_size_arrives_once_and_in_order():
    """Goal: what the client sends behind its head is the tunnel's beginning,
    whether it fits the ring or not."""
    for ring in (4, 32):
        with Daemon(ALLOW_LOOPBACK, "buffer %dk" % ring) as proxy, \
                listener() as server:
            head = request(authority(server))
            for size in early_sizes(ring * KIB, len(head)):
                check_early_data(proxy, server, head, payload(size))


def check_early_data(proxy, server, head, data):
    with open_to(proxy.address) as client:
        def send_and_end():
            client.sendall(head + data)
            equal(read_answer(client).status, 200)
            finish(client)

        def receive():
            with accept(server) as target:
                return read_to_end(target)

        _, got = together(send_and_end, receive)
        assert got == (data, False), "%d bytes of early data: got %d" % (
            len(data), len(got[0]))


def urgent_bytes_stay_in_their_place():
    """Goal: a byte that was sent as urgent is a byte of the stream."""
    with Daemon(ALLOW_LOOPBACK) as proxy, tunnel(proxy) as pair:
        for near, far in (pair, pair[::-1]):
            near.sendall(b"ab")
            near.send(b"X", socket.MSG_OOB)
            near.sendall(b"cd")
            equal(read_exactly(far, 5), b"abXcd")


def a_head_that_comes_byte_by_byte_works():
    """Goal: how the request is cut into segments makes no difference."""
    with Daemon(ALLOW_LOOPBACK) as proxy, listener() as server, \
            open_to(proxy.address) as client:
        client.setsockopt(6, 1, 1)      # TCP_NODELAY: one byte, one segment
        for byte in request(authority(server)) + b"early":
            client.sendall(bytes([byte]))
        equal(read_answer(client).status, 200)
        with accept(server) as target:
            equal(read_exactly(target, 5), b"early")
            check_carries(client, target)


def a_target_that_speaks_first_is_heard_right_behind_the_reply():
    """Goal: the 200 comes first and nothing comes between it and the tunnel."""
    with Daemon(ALLOW_LOOPBACK) as proxy, listener() as server, \
            open_to(proxy.address) as client:
        client.sendall(request(authority(server)))
        with accept(server) as target:
            target.sendall(b"220 ready\r\n")
            finish(target)
            equal(read_to_end(client), (ESTABLISHED + b"220 ready\r\n", False))


def tunnels_run_over_ipv4_and_ipv6_in_every_combination():
    """Goal: the family of the client does not bind the family of the target."""
    hosts = ["127.0.0.1"] + (["::1"] if have_ipv6() else [])
    listen = ["[%s]:0" % host if ":" in host else host + ":0"
              for host in hosts]
    with Daemon(ALLOW_LOOPBACK, listen=listen) as proxy:
        equal([host for host, _ in proxy.addresses], hosts, "listeners")
        for address in proxy.addresses:
            for host in hosts:
                with listener(host) as server, open_to(address) as client:
                    client.sendall(request(authority(server)))
                    equal(read_answer(client).status, 200)
                    with accept(server) as target:
                        check_carries(client, target)


def a_stalled_reader_holds_memory_and_processor_still():
    """Goal: back-pressure reaches the sender; waiting costs nothing; nothing
    is lost by it."""
    with Daemon(ALLOW_LOOPBACK) as proxy, tunnel(proxy) as (client, target):
        up, down = send_until_stalled(client), send_until_stalled(target)
        memory, seconds = proxy.memory(), proxy.processor_seconds()
        time.sleep(2)       # the measurement
        spent = proxy.processor_seconds() - seconds
        growth = proxy.memory() - memory
        assert spent <= 0.04, "%.2f s of processor time in 2 s" % spent
        if not settings.sanitized:
            assert growth <= 0, "memory grew by %d bytes" % growth
        finish(client)
        finish(target)
        equal(len(read_to_end(target)[0]), up, "bytes up")
        equal(len(read_to_end(client)[0]), down, "bytes down")


def pings(sock, rounds):
    """The longest of so many round trips, in seconds."""
    longest = 0.0
    for _ in range(rounds):
        start = time.monotonic()
        sock.sendall(b"ping")
        equal(read_exactly(sock, 4), b"ping")
        longest = max(longest, time.monotonic() - start)
    return longest


def a_firehose_starves_neither_a_ping_nor_a_newcomer():
    """Goal: one tunnel at full speed leaves every other its turn."""
    stop = threading.Event()

    def pour(sock):
        with contextlib.suppress(OSError):
            while not stop.is_set():
                sock.sendall(bytes(MIB))

    def drink(sock):
        with contextlib.suppress(OSError):
            while sock.recv(MIB):
                pass

    def measure():
        try:
            with Origin(echo) as quiet:
                start = time.monotonic()
                with connect(proxy, quiet.authority).sock as sock:
                    return max(time.monotonic() - start, pings(sock, 300))
        finally:
            stop.set()

    with Daemon(ALLOW_LOOPBACK) as proxy, tunnel(proxy) as (client, target):
        def pour_and_end():
            pour(target)
            finish(target)
        longest, *_ = together(
            measure, pour_and_end, lambda: drink(client))
    assert longest < 1, "a round trip took %.2f s" % longest


def a_storm_of_signals_disturbs_no_transfer():
    """Goal: interrupted system calls are no errors, ends or losses."""
    with Daemon(ALLOW_LOOPBACK) as proxy, tunnel(proxy) as (client, target):
        transfer(client, target, 64 * MIB,
                 lambda: proxy.signal(signal.SIGUSR1), pause=0)
        wait_until(lambda: len(proxy.lines("statistics ")) > 10,
                   "more than 10 signals noticed")
