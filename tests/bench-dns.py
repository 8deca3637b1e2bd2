#!/usr/bin/env python3
"""What names cost: figures of the real connectd, over loopback.

    python3 tests/bench-dns.py [--connectd PATH]

One line for each figure: its name, the figure, and the limit that it should
keep; nothing fails.  The fast ends, bench-dns.c, are compiled on the spot.

Environment: CONNECTD is the binary, CC the compiler.
"""

import argparse
import contextlib
import os
import statistics
import subprocess
import sys
import tempfile
import time

sys.dont_write_bytecode = True

from scenarios.dns_server import SILENCE, DnsServer, Reply, on_port_53
from scenarios.harness import (
    ALLOW_LOOPBACK, KIB, Daemon, HangingTarget, Origin, Skip, accept, connect,
    echo, have_ipv6, listener, open_to, port_of, read_exactly, request, reset,
    settings, wait_until)

HERE = "A 127.0.0.1"
MANY = "tunnels 600", "tunnels-per-client 0", "log-level notice"


def figure(name, value, limit=""):
    print("%-58s %14s  %s" % (name, value, limit), flush=True)


def seconds_to_200(proxy, name, server):
    start = time.monotonic()
    answer = connect(proxy, "%s:%d" % (name, port_of(server)))
    spent = time.monotonic() - start
    assert answer.status == 200, answer.raw
    answer.sock.close()
    accept(server).close()
    return spent


# ---- the fast ends ----------------------------------------------------------

def compile_ends():
    source = os.path.join(os.path.dirname(__file__), "bench-dns.c")
    ends = os.path.join(settings.directory, "bench-dns")
    subprocess.run([os.environ.get("CC", "cc"), "-O2", "-o", ends, source],
                   check=True)
    return ends


@contextlib.contextmanager
def running(*command):
    """A server until the end; the port that it says."""
    process = subprocess.Popen(command, stdout=subprocess.PIPE)
    try:
        yield int(process.stdout.readline())
    finally:
        process.kill()
        process.wait()


def load(ends, proxy, at_a_time, first, count, pattern):
    """(requests a second, answers with 200, others)"""
    words = subprocess.check_output([
        ends, "client", str(proxy.address[1]), str(at_a_time), str(first),
        str(count), pattern]).split()
    return count / float(words[0]), int(words[1]), int(words[2])


# ---- the figures ------------------------------------------------------------

def one_dead_server_first():
    with on_port_53() as dead, on_port_53() as good, listener() as server:
        dead.script[None] = SILENCE
        good.script["A"] = Reply(HERE)
        text = "options timeout:1\nnameserver %s\nnameserver %s\n" % (
            dead.host, good.host)
        with contextlib.ExitStack() as stack:
            proxies = [stack.enter_context(Daemon(ALLOW_LOOPBACK, resolv=text))
                       for _ in range(3)]
            over = max(seconds_to_200(proxy, "a.test", server) - 1
                       for proxy in proxies)
            known = max(seconds_to_200(proxy, "b.test", server)
                        for proxy in proxies)
    figure("one dead server first: first answer over its time-out",
           "%.1f ms" % (over * 1e3), "at most 20 ms")
    figure("one dead server first: the next name",
           "%.1f ms" % (known * 1e3), "at most 20 ms")


def echo_times(sock, seconds):
    """Sorted; in milliseconds."""
    times, end = [], time.monotonic() + seconds
    while time.monotonic() < end:
        start = time.perf_counter()
        sock.sendall(b"ping")
        read_exactly(sock, 4)
        times.append((time.perf_counter() - start) * 1e3)
        time.sleep(0.0005)
    return sorted(times)


def an_echo_while_names_are_dead():
    with on_port_53() as dead, Origin(echo) as origin:
        dead.script[None] = SILENCE
        with Daemon(ALLOW_LOOPBACK, *MANY, resolv=(
                "options timeout:1 attempts:1\nnameserver %s\n" % dead.host)
                ) as proxy, connect(proxy, origin.authority).sock as sock:
            quiet = echo_times(sock, 1)
            asking = [open_to(proxy.address) for _ in range(200)]
            for i, each in enumerate(asking):
                each.sendall(request("dead%d.test:443" % i))
            wait_until(lambda: len(dead.asked()) >= 64, "questions")
            times = echo_times(sock, 3)
            for each in asking:
                reset(each)
    figure("an echo, 99 of 100, nothing else to do",
           "%.2f ms" % quiet[len(quiet) * 99 // 100])
    figure("an echo, 99 of 100, while 200 dead names are looked up",
           "%.2f ms" % times[len(times) * 99 // 100], "at most 20 ms")
    figure("an echo, the worst of %d, meanwhile" % len(times),
           "%.2f ms" % times[-1])


def ten_thousand_names(ends):
    with running(ends, "server", "10.0.0.1") as port, Daemon(
            "allow from loopback to public port any", *MANY,
            servers=["127.0.0.1:%d" % port]) as proxy:
        load(ends, proxy, 64, 0, 1000, "w%d.test:443")
        wait_until(lambda: proxy.statistics()["tunnels"] == 0, "the end")
        before = proxy.descriptors(), proxy.memory()
        rate, good, other = load(ends, proxy, 64, 0, 10000, "n%d.test:443")
        assert (good, other) == (0, 10000), (good, other)
        wait_until(lambda: proxy.statistics()["tunnels"] == 0, "the end")
        after = proxy.descriptors(), proxy.memory()
        found = proxy.statistics()
        assert found["asked"] == 11000 and not found["dns-full"], found
    figure("10,000 names: looked up and refused, a second", "%.0f" % rate,
           "at least 5000")
    figure("10,000 names: descriptors before and after",
           "%d, %d" % (before[0], after[0]), "the same")
    figure("10,000 names: resident before and after",
           "%d, %d KiB" % (before[1] // KIB, after[1] // KIB), "the same")


def a_dead_ipv6_address():
    if not have_ipv6():
        raise Skip("there is no IPv6 loopback")
    times = []
    with DnsServer() as dns, listener("127.0.0.1") as four, \
            HangingTarget("::1", port_of(four)), \
            Daemon(ALLOW_LOOPBACK, servers=[dns]) as proxy:
        dns.script["A"] = Reply(HERE)
        dns.script["AAAA"] = Reply("AAAA ::1")
        for i in range(5):
            times.append(seconds_to_200(proxy, "a%d.test" % i, four))
    figure("a dead IPv6 address in front costs, in the middle of 5",
           "%.1f ms" % (statistics.median(times) * 1e3), "at most 300 ms")


def known_names_and_literals(ends):
    rates = {"name": [], "literal": []}
    with running(ends, "server", "127.0.0.1") as dns, \
            running(ends, "sink") as port, Daemon(
                ALLOW_LOOPBACK, *MANY,
                servers=["127.0.0.1:%d" % dns]) as proxy:
        for _ in range(15):
            for kind, host in (("name", "a.test"), ("literal", "127.0.0.1")):
                rate, good, other = load(ends, proxy, 16, 0, 2000, "%s:%d" % (
                    host, port))
                assert (good, other) == (2000, 0), (good, other)
                rates[kind].append(rate)
    ratio = statistics.median(
        name / literal for name, literal in zip(*rates.values()))
    for kind, each in rates.items():
        figure("tunnels set up a second, %s" % (
            "a known name" if kind == "name" else "an address"),
            "%.0f" % statistics.median(each))
    figure("a known name to an address", "%.2f" % ratio, "at least 0.90")


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--connectd", metavar="PATH",
                        default=os.environ.get("CONNECTD", "./connectd"))
    settings.connectd = os.path.abspath(parser.parse_args().connectd)
    with tempfile.TemporaryDirectory(prefix="connectd-") as directory:
        settings.directory = directory
        ends = compile_ends()
        for play in (one_dead_server_first, an_echo_while_names_are_dead,
                     lambda: ten_thousand_names(ends), a_dead_ipv6_address,
                     lambda: known_names_and_literals(ends)):
            try:
                play()
            except Skip as why:
                print("skipped: %s" % why, flush=True)


if __name__ == "__main__":
    main()
