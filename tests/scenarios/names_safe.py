"""Names from the DNS: where no answer may lead, and what waiting costs."""

import contextlib
import signal
import time

from .dns import EVIL, HERE, need_ipv6, reach, refused, timed
from .dns_server import SILENCE, DnsServer, Reply, encode_name
from .harness import (
    ALLOW_LOOPBACK, Daemon, HangingTarget, accept, between, check_carries,
    check_refusal, check_silent, connect, equal, listener, open_to, pending,
    port_of, read_answer, request, wait_until)

# ---- aliases that lie -------------------------------------------------------

# Behind header and question: the owner (a pointer), type, class, TTL, length
# (at 10), and what the alias leads to (at 12), which is as long as "x.test".
AT = 12 + len(encode_name("l0.test")) + 4


def lying_alias(length, name, after):
    """An alias whose data is said to be so long, but is `name`; then address
    records of these owners."""
    whole = encode_name("x.test")

    def mangle(message):
        assert message[AT + 12:].startswith(whole), message
        return (message[:AT + 10] + length.to_bytes(2, "big") + name +
                message[AT + 12 + len(whole):])
    return Reply(["CNAME x.test"] + [owner + " " + EVIL for owner in after],
                 mangle=mangle)


LYING = (
    # The name ends before the data does.
    lying_alias(15, encode_name("evil.test") + b"more", ["evil.test"]),
    # The data ends before the name does: it goes on in the next owner.
    lying_alias(5, b"\4evil", ["test", "evil.test"]),
    # Not even a label is inside.
    lying_alias(0, b"", ["test"]),
)


def an_alias_that_is_not_what_its_length_says_is_not_followed():
    """Goal: DNS-7: the name of a CNAME fills its data, no more and no less;
    else the message is broken and the next server is asked."""
    with DnsServer() as bad, DnsServer() as good, listener() as server, \
            listener("127.0.0.66", port_of(server)) as evil, \
            Daemon(ALLOW_LOOPBACK, servers=[bad, good]) as proxy:
        good.script["A"] = Reply(HERE)
        bad.script["AAAA"] = Reply(soa=(60, 60))
        believed = []
        for i, reply in enumerate(LYING):
            name = "l%d.test" % i
            bad.script[name, "A"] = reply
            answer = connect(proxy, "%s:%d" % (name, port_of(server)))
            if not good.asked(name, "A"):
                believed.append(i)
            answer.sock.close()
        equal(believed, [], "believed")
        assert not pending(evil), "the evil address was dialled"


# ---- where no answer may lead -----------------------------------------------

PROHIBITED = (
    "127.0.0.1", "127.255.255.254", "0.0.0.0", "169.254.169.254",
    "255.255.255.255", "224.0.0.1", "192.0.2.1", "::", "::1", "fe80::1",
    "::ffff:127.0.0.1", "::127.0.0.1", "64:ff9b::7f00:1", "2002:7f00:1::",
    "ff02::1", "10.0.0.1", "192.168.1.1", "172.16.0.1", "100.64.0.1",
    "fd00::1", "::ffff:10.0.0.1")


def no_record_leads_to_an_address_that_is_not_public():
    """Goal: in A or AAAA, whatever it is dressed as: 403."""
    with DnsServer() as dns, Daemon(
            "allow from loopback to public port any", servers=[dns]) as proxy:
        for i, host in enumerate(PROHIBITED):
            name = "n%d.test" % i
            dns.zone[name] = [("AAAA " if ":" in host else "A ") + host]
            refused(proxy, name, 403, "destination_ip_prohibited")


def an_own_listener_is_found_behind_a_name():
    """Goal: 502 proxy_loop_detected, without a connection to find out."""
    with DnsServer({"me.test": [HERE]}) as dns, \
            Daemon(ALLOW_LOOPBACK, servers=[dns]) as proxy:
        answer = connect(proxy, "me.test:%d" % proxy.address[1])
        check_refusal(answer, 502, "proxy_loop_detected")
        equal(proxy.statistics()["accepted"], 1)


# ---- time -------------------------------------------------------------------

def the_lookup_and_the_race_share_the_deadline():
    """Goal: HEB-5: what the name took, the connection has not."""
    with DnsServer() as dns, HangingTarget() as hanging, \
            Daemon(ALLOW_LOOPBACK, "timeout connect 800ms",
                   servers=[dns]) as proxy:
        dns.script["A"] = Reply(HERE, delay=0.5)
        dns.script["AAAA"] = Reply(soa=(60, 60))
        target = "a.test:%d" % port_of(hanging.server)
        start = time.monotonic()
        check_refusal(connect(proxy, target), 504, "connection_timeout")
        between(0.75, time.monotonic() - start, 1.3, "seconds")


def a_lost_race_waits_for_addresses_that_may_come():
    """Goal: HEB-4: IPv6 refused is not the end while IPv4 is not known; if
    there is none, that refusal is the answer."""
    need_ipv6()
    with DnsServer() as dns, listener() as server, \
            Daemon(ALLOW_LOOPBACK, servers=[dns]) as proxy:
        dns.script["AAAA"] = Reply("AAAA ::1")
        dns.script["a.test", "A"] = Reply(HERE, delay=0.3)
        dns.script["b.test", "A"] = Reply(soa=(60, 60), delay=0.3)
        between(0.3, timed(lambda: reach(proxy, "a.test", server)), 1,
                "seconds")
        check_refusal(connect(proxy, "b.test:%d" % port_of(server)), 502,
                      "connection_refused")


def a_lookup_under_way_survives_the_signal_to_stop():
    """Goal: TERM: who has been accepted is served, within the drain."""
    with DnsServer() as dns, listener() as server, \
            Daemon(ALLOW_LOOPBACK, "timeout drain 5s",
                   servers=[dns]) as proxy, \
            open_to(proxy.address) as client:
        dns.script["A"] = Reply(HERE, delay=0.3)
        dns.script["AAAA"] = Reply(soa=(60, 60))
        client.sendall(request("a.test:%d" % port_of(server)))
        wait_until(lambda: dns.asked(kind="A"), "the question")
        proxy.signal(signal.SIGTERM)
        check_silent(client, 0.1)
        equal(read_answer(client).status, 200)
        with accept(server) as far:
            check_carries(client, far)
        client.close()
        wait_until(lambda: proxy.process.poll() is not None, "the end")


def waiting_for_name_servers_costs_nothing():
    """Goal: no state of a lookup makes it spin: by UDP, by TCP, in line for
    a buffer of TCP, in line for a place."""
    with DnsServer() as dns, \
            Daemon(ALLOW_LOOPBACK, "tunnels 400", "tunnels-per-client 0",
                   servers=[dns]) as proxy, \
            contextlib.ExitStack() as clients:
        dns.script[None] = Reply(truncated=True, over_tcp=SILENCE)
        for i in range(120):
            if i == 20:
                wait_until(lambda: len(dns.asked(way="udp")) == 40 and
                           len(dns.asked(way="tcp")) == 4, "the questions")
                dns.script[None] = SILENCE
            client = clients.enter_context(open_to(proxy.address))
            client.sendall(request("n%d.test:443" % i))
        wait_until(lambda: proxy.statistics()["asked"] == 120, "asked")
        seconds = proxy.processor_seconds()
        time.sleep(1)       # the measurement
        spent = proxy.processor_seconds() - seconds
        assert spent <= 0.03, "%.2f s of processor time in 1 s" % spent
