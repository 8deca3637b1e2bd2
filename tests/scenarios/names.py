"""Targets: names and addresses, what the rules let through, ourselves."""

import fcntl
import os
import socket
import struct
import time

from .harness import (
    ALLOW_LOOPBACK, Daemon, HangingTarget, accept, authority, between,
    check_carries, check_refusal, connect, equal, have_ipv6, listener, pending,
    port_of, refusing_port)

ALLOW_ALL = "allow from 0.0.0.0/0,::/0 to 0.0.0.0/0,::/0 port any"
ALLOW_PUBLIC = "allow from loopback to public port any"


# ---- names ------------------------------------------------------------------

def a_name_is_looked_up_in_the_hosts_file():
    """Goal: any case, any of several names on a line, a dot at the end."""
    hosts = "# comment\n127.0.0.3 first.test Second.Test # and more\n"
    with Daemon(ALLOW_LOOPBACK, hosts=hosts) as proxy, \
            listener("127.0.0.3") as server:
        for name in ("first.test", "SECOND.test", "first.test."):
            target = "%s:%d" % (name, port_of(server))
            with connect(proxy, target).sock as client, \
                    accept(server) as far:
                check_carries(client, far)
        for line in proxy.tunnels(3):
            equal(line["address"], authority(server))
            assert line["target"] == line["target"].lower(), line


def localhost_is_loopback_without_being_asked():
    """Goal: localhost and the names below it need no hosts file."""
    with Daemon(ALLOW_LOOPBACK) as proxy, listener() as server:
        for name in ("localhost", "LocalHost.", "below.localhost"):
            target = "%s:%d" % (name, port_of(server))
            with connect(proxy, target).sock as client, \
                    accept(server) as far:
                check_carries(client, far)


def a_name_that_cannot_exist_is_a_dns_error():
    """Goal: 502 dns_error, with no address in the log."""
    unknown = ("x.invalid:443", "x.onion:443")
    with Daemon(ALLOW_LOOPBACK) as proxy:
        for target in unknown:
            check_refusal(connect(proxy, target), 502, "dns_error")
        for line, target in zip(proxy.tunnels(2), unknown):
            equal((line["end"], line["target"], line["address"]),
                  ("dns_error", target, "-"))
            equal(line["setup-ms"], "-")


def the_second_address_is_tried_while_the_first_one_hangs():
    """Goal: RFC 8305: 250 ms behind the first attempt goes the second."""
    hosts = "127.0.0.2 two.test\n127.0.0.3 two.test\n"
    with Daemon(ALLOW_LOOPBACK, hosts=hosts) as proxy, \
            listener("127.0.0.3") as working, \
            HangingTarget("127.0.0.2", port_of(working)):
        before = proxy.descriptors()
        start = time.monotonic()
        answer = connect(proxy, "two.test:%d" % port_of(working))
        between(0.2, time.monotonic() - start, 1.5, "seconds")
        equal(answer.status, 200)
        with answer.sock as client, accept(working) as far:
            check_carries(client, far)
            equal(proxy.descriptors() - before, 2, "the loser is closed")
        line, = proxy.tunnels(1)
        equal(line["address"], authority(working))


def the_second_address_is_tried_at_once_when_the_first_one_refuses():
    """Goal: a failed attempt does not wait for the clock."""
    hosts = "127.0.0.2 two.test\n127.0.0.3 two.test\n"
    with Daemon(ALLOW_LOOPBACK, hosts=hosts) as proxy, \
            listener("127.0.0.3") as working:
        for _ in range(20):     # often enough to tell 20 ms from 250 ms
            start = time.monotonic()
            connect(proxy, "two.test:%d" % port_of(working)).sock.close()
            if time.monotonic() - start < 0.2:
                return
    raise AssertionError("never within 200 ms")


def a_name_with_no_reachable_address_is_refused_once():
    """Goal: the failure of the last address is the answer."""
    with Daemon(ALLOW_LOOPBACK,
                hosts="127.0.0.2 two.test\n127.0.0.3 two.test\n") as proxy, \
            refusing_port("127.0.0.2") as closed:
        answer = connect(proxy, "two.test:%d" % port_of(closed))
        check_refusal(answer, 502, "connection_refused")


# ---- rules ------------------------------------------------------------------

def only_the_permitted_addresses_of_a_name_are_dialled():
    """Goal: each address is judged on its own; with none left it is a 403."""
    hosts = ("127.0.0.2 mixed.test\n127.0.0.3 mixed.test\n"
             "127.0.0.2 denied.test\n")
    rule = "allow from loopback to 127.0.0.3 port any"
    with Daemon(rule, hosts=hosts) as proxy, \
            listener("127.0.0.3") as permitted, \
            listener("127.0.0.2", port_of(permitted)) as denied:
        port = port_of(permitted)
        with connect(proxy, "mixed.test:%d" % port).sock as client, \
                accept(permitted) as far:
            check_carries(client, far)
        check_refusal(connect(proxy, "denied.test:%d" % port), 403,
                      "destination_ip_prohibited")
        assert not pending(denied), "a denied address was dialled"
        equal([line["status"] for line in proxy.tunnels(2)], ["200", "403"])


def the_first_rule_that_matches_decides_and_the_log_names_it():
    """Goal: order matters, `deny` without port means every port, and
    FILE:LINE of the rule stands in the access line."""
    deny = "deny to 127.0.0.2"
    with Daemon(deny, ALLOW_LOOPBACK) as proxy, \
            listener("127.0.0.2") as denied, listener() as allowed:
        check_refusal(connect(proxy, authority(denied)), 403,
                      "destination_ip_prohibited")
        with connect(proxy, authority(allowed)).sock as client, \
                accept(allowed) as far:
            check_carries(client, far)
        assert not pending(denied), "a denied address was dialled"
        refused, _ = proxy.tunnels(2)
        equal(refused["rule"], proxy.line_of(deny))


def without_rules_only_the_public_port_443_is_open():
    """Goal: an unconfigured proxy reaches nothing inside."""
    with Daemon() as proxy, listener() as server:
        check_refusal(connect(proxy, authority(server)), 403,
                      "http_request_denied")
        check_refusal(connect(proxy, "192.0.2.1:25"), 403,
                      "http_request_denied")
        for host in ("127.0.0.1", "[::1]", "10.0.0.1", "192.168.1.1",
                     "169.254.169.254", "[fd00:ec2::254]", "[fe80::1]",
                     "0.0.0.0", "[::]", "224.0.0.1", "localhost"):
            check_refusal(connect(proxy, host + ":443"), 403,
                          "destination_ip_prohibited")
        assert not pending(server)


def clients_that_no_rule_names_are_refused():
    """Goal: `from` is about who asks."""
    with Daemon("allow from 127.0.0.9 to loopback port any") as proxy, \
            listener() as server:
        check_refusal(connect(proxy, authority(server)), 403,
                      "http_request_denied")
        answer = connect(proxy, authority(server), source="127.0.0.9")
        equal(answer.status, 200, repr(answer.raw))
        answer.sock.close()


# What other programs take for 127.0.0.1 or ::1, and what it is here.
NOT_A_HOST = (
    "0x7f.1", "2130706433", "0177.0.0.1", "127.1", "127.0.0.1.", "127.0.0.01",
    "017700000001", "0x7f000001", "0x7f.0.0.0x1", "0", "127.0.0.1%20",
    "%31%32%37.0.0.1", "127%2e0.0.1", "localhos%74", "localhost%00.test",
    "[::1%25lo]", "[::1%lo]", "[::1%1]", "[fe80::1%25lo]", "127.0.0.1%lo",
    "[127.0.0.1]", "[localhost]", "::1", "[[::1]]", "[::1", "[0::0::1]",
    "[::ffff:127.1]", "[::ffff:0x7f.0.0.1]", "[v1.::1]", "x@127.0.0.1",
    "\u2460\u2461\u2466.0.0.1", "localhost..", ".localhost")
PROHIBITED = (
    "127.0.0.1", "0.0.0.0", "localhost", "LOCALHOST.", "below.localhost",
    "inside.test", "[::1]", "[0:0:0:0:0:0:0:1]", "[0000::0001]", "[::]",
    "[::ffff:7f00:1]", "[::FFFF:127.0.0.1]", "[::ffff:0.0.0.0]",
    "[::127.0.0.1]", "[::ffff:0:127.0.0.1]", "[64:ff9b::7f00:1]",
    "[64:ff9b::127.0.0.1]", "[2002:7f00:1::]", "[2002:7f00:1::1]")


def no_spelling_of_loopback_passes_a_rule_for_public_targets():
    """Goal: an address is judged by what it is; what is no address by
    RFC 3986 is never read as one."""
    hosts = ["127.0.0.1"] + (["::1"] if have_ipv6() else [])
    with Daemon(ALLOW_PUBLIC, hosts="127.0.0.1 inside.test\n") as proxy:
        for host in hosts:
            with listener(host) as inside:
                check_spellings(proxy, port_of(inside))
                assert not pending(inside), "a loopback listener was reached"


def check_spellings(proxy, port):
    for host in NOT_A_HOST:
        check_refusal(connect(proxy, "%s:%d" % (host, port)), 400,
                      "http_request_error")
    for host in PROHIBITED:
        check_refusal(connect(proxy, "%s:%d" % (host, port)), 403,
                      "destination_ip_prohibited")


# ---- ourselves --------------------------------------------------------------

SIOCGIFADDR = 0x8915


def own_ipv4():
    found = []
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        for _, name in socket.if_nameindex():
            asked = struct.pack("256s", name.encode())
            try:
                reply = fcntl.ioctl(sock, SIOCGIFADDR, asked)
            except OSError:     # an interface without an IPv4 address
                continue
            found.append(socket.inet_ntoa(reply[20:24]))
    return found


def own_ipv6():
    """Without link-local ones, which nobody can name without a zone."""
    if not os.path.exists("/proc/net/if_inet6"):
        return []
    with open("/proc/net/if_inet6") as file:
        packed = [bytes.fromhex(line.split()[0]) for line in file]
    return ["[%s]" % socket.inet_ntop(socket.AF_INET6, raw)
            for raw in packed if raw[:2] != b"\xfe\x80"]


def own_names_ipv4():
    plain = {"127.0.0.1", "127.0.0.2", "0.0.0.0", *own_ipv4()}
    mapped = {"[::ffff:%s]" % host for host in plain}
    return sorted(plain | mapped | {"me.test"})


def own_names_ipv6():
    return sorted({"[::1]", "[::]", *own_ipv6(), "me6.test"})


def check_is_loop(proxy, host, port):
    answer = connect(proxy, "%s:%d" % (host, port))
    assert answer.status == 502, "%s: %r" % (host, answer.raw)
    check_refusal(answer, 502, "proxy_loop_detected")


def it_never_connects_to_itself_by_any_of_its_addresses():
    """Goal: an own listener is no target, whatever the rules allow, and not
    one connection is made to find that out."""
    ipv6 = have_ipv6()
    listen = ["0.0.0.0:0"] + (["[::]:0"] if ipv6 else [])
    with Daemon(ALLOW_ALL, listen=listen,
                hosts="127.0.0.1 me.test\n::1 me6.test\n") as proxy:
        (_, port), *others = proxy.addresses
        asked = [(host, port) for host in own_names_ipv4()]
        asked += [(host, port6) for _, port6 in others
                  for host in own_names_ipv6()]
        proxy.addresses[0] = ("127.0.0.1", port)
        for host, port in asked:
            check_is_loop(proxy, host, port)
        equal(proxy.statistics()["accepted"], len(asked), "connections")


def a_listener_on_one_address_is_no_target_either():
    """Goal: 0.0.0.0 leads to 127.0.0.1, and is seen through."""
    with Daemon(ALLOW_ALL, hosts="127.0.0.1 me.test\n") as proxy:
        _, port = proxy.address
        hosts = ("127.0.0.1", "0.0.0.0", "[::ffff:127.0.0.1]",
                 "[::ffff:0.0.0.0]", "me.test")
        for host in hosts:
            check_is_loop(proxy, host, port)
        equal(proxy.statistics()["accepted"], len(hosts), "connections")


def a_listener_on_every_address_is_written_with_a_star():
    """Goal: *:PORT is both families on one port, and guarded like them."""
    with listener() as taken:
        port = port_of(taken)
    families = 2 if have_ipv6() else 1
    with Daemon(ALLOW_ALL, listen=["*:%d" % port],
                listeners=families) as proxy:
        equal([found for _, found in proxy.addresses], [port] * families)
        proxy.addresses[0] = ("127.0.0.1", port)
        hosts = ["127.0.0.1", "0.0.0.0"] + ["[::1]"] * (families - 1)
        for host in hosts:
            check_is_loop(proxy, host, port)


def an_own_listener_that_the_rules_deny_is_a_403():
    """Goal: the rules are asked first."""
    with Daemon(ALLOW_PUBLIC) as proxy:
        answer = connect(proxy, "127.0.0.1:%d" % proxy.address[1])
        check_refusal(answer, 403, "destination_ip_prohibited")
