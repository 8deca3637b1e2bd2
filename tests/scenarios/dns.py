"""Names from the DNS: what is asked, what is believed, what is dialled.

Where a row of the table of requirements is meant (HEB, ADR, DNS, RES, HOS),
the docstring names it.
"""

import contextlib
import os
import re
import socket
import time
from collections import Counter

from .dns_server import (
    BADVERS, FORMERR, NOTIMP, NXDOMAIN, REFUSED, SERVFAIL, SILENCE, DnsServer,
    Reply, encode_name, on_port_53, scripted)
from .harness import (
    ALLOW_LOOPBACK, Daemon, HangingTarget, Skip, accept, authority, between,
    check_carries, check_refusal, check_silent, connect, equal, finish,
    have_ipv6, listener, open_to, pending, port_of, read_answer, read_to_end,
    refusing_port, request, reset, settings, together, wait_until,
    wait_until_clock)
from .limits import limit_descriptors, skip_if_sanitized

HERE = "A 127.0.0.1"
EVIL = "A 127.0.0.66"
QUICK = "timeout:1 attempts:1"


def reach(proxy, name, server):
    """A tunnel to `server` under this name, used once."""
    answer = connect(proxy, "%s:%d" % (name, port_of(server)))
    equal(answer.status, 200, repr(answer.raw))
    with answer.sock as client, accept(server) as far:
        check_carries(client, far)


def leave(answer, server):
    """Close both ends of a tunnel that was not used."""
    equal(answer.status, 200, repr(answer.raw))
    answer.sock.close()
    accept(server).close()


def refused(proxy, name, status, error, rcode=None):
    answer = connect(proxy, name + ":443")
    check_refusal(answer, status, error)
    wanted = "connectd; error=" + error
    if rcode:
        wanted += '; rcode="%s"' % rcode
    equal(answer.headers["proxy-status"], wanted)


def at_rest(proxy):
    """The number of its descriptors when no tunnel is there."""
    wait_until(lambda: proxy.statistics()["tunnels"] == 0, "the end")
    return proxy.descriptors()


def timed(job):
    start = time.monotonic()
    job()
    return time.monotonic() - start


def resolv_conf(*servers, options=QUICK, more=""):
    """The text of a resolv.conf, with this in front of its servers."""
    return "options %s\n%s%s" % (options, more, "".join(
        "nameserver %s\n" % server.host for server in servers))


def need_ipv6():
    if not have_ipv6():
        raise Skip("no IPv6 loopback")


# ---- what is asked ----------------------------------------------------------

def both_families_are_asked_for_at_once():
    """Goal: HEB-1, DNS-1, DNS-2, DNS-4, DNS-11, DNS-19: AAAA in front of A,
    each once, by itself, in lower case, recursion wanted and nothing else."""
    with DnsServer({"a.test": [HERE]}) as dns, listener() as server, \
            Daemon(ALLOW_LOOPBACK, servers=[dns]) as proxy:
        reach(proxy, "A.Test", server)
        equal([(q.name, q.type, q.edns) for q in dns.asked()],
              [("a.test", "AAAA", 0), ("a.test", "A", 0)])
        first, second = dns.asked()
        assert second.time - first.time < 0.1, "the second one waited"
        assert first.port != second.port and first.id != second.id


def a_thousand_queries_show_no_pattern():
    """Goal: DNS-1, DNS-2, RFC 5452: ids and ports cannot be guessed, not from
    others and not from each other."""
    with DnsServer() as dns, Daemon(
            ALLOW_LOOPBACK, "tunnels-per-client 0", servers=[dns]) as proxy:
        for i in range(500):
            connect(proxy, "n%d.test:443" % i)
        ids, ports = zip(*[(q.id, q.port) for q in dns.asked()])
        equal(len(ids), 1000)
        check_no_pattern(ids, range(16), 940)
        # The system draws ports from about 28,000, half of them at a time.
        check_no_pattern(ports, range(1, 12), 850)
        for join in (int.__xor__, int.__sub__):
            joined = Counter(join(*pair) & 0xffff for pair in zip(ids, ports))
            assert joined.most_common(1)[0][1] <= 12, joined.most_common(3)


def check_no_pattern(values, bits, distinct):
    assert len(set(values)) >= distinct, "%d distinct" % len(set(values))
    steps = Counter((b - a) & 0xffff for a, b in zip(values, values[1:]))
    assert steps.most_common(1)[0][1] <= 12, steps.most_common(3)
    for bit in bits:
        ones = sum(value >> bit & 1 for value in values)
        between(380, ones, 620, "ones in bit %d" % bit)


def names_that_are_nobodys_business_are_not_asked_for():
    """Goal: DNS-20, DNS-21, DNS-22; `test` is a name like any other."""
    with DnsServer({"a.test": [HERE]}) as dns, listener() as server, \
            Daemon(ALLOW_LOOPBACK, servers=[dns]) as proxy:
        for name in ("localhost", "a.b.LOCALHOST", "localhost."):
            reach(proxy, name, server)
        for name in ("invalid", "x.invalid", "x.INVALID.", "a.onion",
                     "a.b.Onion"):
            refused(proxy, name, 502, "dns_error", "NXDOMAIN")
        equal(dns.asked(), [])
        reach(proxy, "a.test", server)
        equal(len(dns.asked()), 2)


def a_localhost_of_the_hosts_file_is_that_one():
    """Goal: DNS-20: the file is asked before the special names are."""
    with DnsServer() as dns, listener("127.0.0.9") as server, Daemon(
            ALLOW_LOOPBACK, servers=[dns],
            hosts="127.0.0.9 localhost own.localhost\n") as proxy:
        reach(proxy, "localhost", server)
        reach(proxy, "own.LocalHost", server)
        equal(dns.asked(), [])


def nobody_is_asked_before_there_is_need():
    """Goal: MSG-7, TGT-7: not for half a head, not for an address, not for
    what is no name."""
    with DnsServer() as dns, listener() as server, \
            Daemon(ALLOW_LOOPBACK, servers=[dns]) as proxy, \
            open_to(proxy.address) as half:
        half.sendall(request("half.test:443")[:-2])
        for host in ("2130706433", "127.1", "0x7f.1", "a..test", "a b.test"):
            equal(connect(proxy, "%s:%d" % (host, port_of(server))).status, 400)
        leave(connect(proxy, authority(server)), server)
        equal(dns.asked(), [])
        half.sendall(b"\r\n")
        equal(read_answer(half).status, 502)
        equal(len(dns.asked("half.test")), 2)


def a_name_that_will_be_denied_is_not_asked_for():
    """Goal: no address could help it, so nobody has to hear of it."""
    with DnsServer({"a.test": [HERE]}) as dns, Daemon(
            "deny to private", "allow to other.test", servers=[dns]) as proxy:
        refused(proxy, "a.test", 403, "http_request_denied")
        equal(dns.asked(), [])


def concurrent_askers_share_one_lookup():
    """Goal: DNS-24: 20 clients, one name, one query a family."""
    with DnsServer() as dns, listener() as server, \
            Daemon(ALLOW_LOOPBACK, servers=[dns]) as proxy:
        dns.script["a.test", "A"] = Reply(HERE, delay=0.3)
        target = "a.test:%d" % port_of(server)
        answers = together(*[lambda: connect(proxy, target)] * 20)
        equal(len(dns.asked()), 2)
        for answer in answers:
            leave(answer, server)


# ---- what is believed -------------------------------------------------------

LIES = {
    "id": Reply(EVIL, id_offset=1),
    "name": Reply(EVIL, question=("b.test", "A")),
    "type": Reply(EVIL, question=("a.test", "AAAA")),
    "class": Reply(EVIL, klass=3),
    "no question": Reply(EVIL, questions=0),
    "two questions": Reply(EVIL, questions=2),
    "query": Reply(EVIL, flags=0x8000),
    "opcode": Reply(EVIL, flags=0x0800),
    "source": Reply(EVIL, other_port=True),
    "short": Reply(raw=b"\x81\x80"),
    "empty": Reply(raw=b"\x81\x80" + bytes(8)),
}


def wrong_answers_are_dropped_and_the_wait_goes_on():
    """Goal: DNS-3, DNS-4, RFC 5452 9.1: the right answer behind them is
    taken; who meets a wrong id asks where nobody can guess."""
    with DnsServer() as dns, listener() as server, \
            listener("127.0.0.66", port_of(server)) as evil, \
            Daemon(ALLOW_LOOPBACK, servers=[dns]) as proxy:
        for number, (what, lie) in enumerate(LIES.items()):
            if lie.question:    # the same under the name that is asked for
                lie = Reply(EVIL, question=(lie.question[0].replace(
                    "a.", "a%d." % number), lie.question[1]))
            name = "a%d.test" % number
            dns.script[name, "A"] = Reply(HERE, delay=0.02, first=(lie,))
            reach(proxy, name, server)
            assert not pending(evil), what
            ways = [q.way for q in dns.asked(name, "A")]
            equal(ways, ["udp", "tcp"] if what == "id" else ["udp"], what)


def wrong_answers_alone_are_silence():
    """Goal: DNS-3: whatever comes, it is not an answer of the server."""
    lies = [lie for what, lie in LIES.items() if what != "id"]
    with on_port_53() as dns, Daemon(
            ALLOW_LOOPBACK, resolv=resolv_conf(dns)) as proxy:
        dns.script["a.test", "A"] = Reply(
            EVIL, question=("b.test", "A"), first=tuple(lies))
        dns.script["a.test", "AAAA"] = SILENCE
        seconds = timed(lambda: refused(proxy, "a.test", 504, "dns_timeout"))
        between(0.9, seconds, 1.7, "seconds")


def a_guessed_id_is_no_way_to_deny_a_name():
    """Goal: DNS-3: neither a forged address nor a forged NXDOMAIN gets
    through, though it was there first, and often."""
    forged = (Reply(rcode=NXDOMAIN, id_offset=9, copies=50),
              Reply(EVIL, id_offset=7, copies=50))
    with DnsServer() as dns, listener() as server, \
            Daemon(ALLOW_LOOPBACK, servers=[dns]) as proxy:
        dns.script["a.test", "A"] = Reply(
            HERE, delay=0.2, first=forged, over_tcp=Reply(HERE))
        reach(proxy, "a.test", server)
        equal([q.way for q in dns.asked(kind="A")], ["udp", "tcp"])


def a_lying_server_leads_nowhere():
    """Goal: DNS-7, DNS-8, DNS-9: records of others, of other sections and of
    other classes are not looked at; nor is what no host could be called."""
    lies = {
        "owner": Reply("b.test " + EVIL),
        "behind": Reply(["a.test CNAME c.test", "b.test " + EVIL]),
        "in front": Reply(["a.test CNAME c.test", "a.test " + EVIL]),
        "additional": Reply([], additional=["a.test " + EVIL]),
        "authority": Reply([], authority=["a.test " + EVIL]),
        "below": Reply("x.a.test " + EVIL),
        "above": Reply("test " + EVIL),
        "loop": Reply(["a.test CNAME b.test", "b.test CNAME a.test",
                       "c.test " + EVIL]),
        "self": Reply("a.test CNAME a.test"),
        "odd": Reply(["a.test CNAME x*y.test", "x*y.test " + EVIL]),
        "nul": Reply(["a.test CNAME x%00.test", "x%00.test " + EVIL]),
        "dot": Reply(["a.test CNAME x%2etest", "x%2etest " + EVIL]),
        "dot in owner": Reply("a%2etest " + EVIL),
        "number": Reply(["a.test CNAME 1.2.3.4", "1.2.3.4 " + EVIL]),
        "root": Reply(["a.test CNAME .", ". " + EVIL]),
        "localhost": Reply("a.test CNAME localhost"),
        "onion": Reply("a.test CNAME b.onion"),
    }
    with DnsServer() as dns, listener("127.0.0.66", 0) as evil:
        for what, lie in lies.items():
            with Daemon(ALLOW_LOOPBACK, servers=[dns]) as proxy:
                dns.script["a.test", "A"] = lie
                dns.script["a.test", "AAAA"] = lie
                answer = connect(proxy, "a.test:%d" % port_of(evil))
                check_refusal(answer, 502, "dns_error")
                assert not pending(evil), what
        equal({q.name for q in dns.asked()}, {"a.test", "c.test"})


# Behind header and question: the owner (a pointer, 2 bytes), type, class, TTL,
# length (at 10), address.
AT = 12 + len(encode_name("m0.test")) + 4


def patched(offset, new):
    def patch(message):
        at = AT + offset
        return message[:at] + new + message[at + len(new):]
    return Reply(EVIL, mangle=patch)


def own_name(name):
    """The owner is this, in place of a pointer."""
    return Reply(EVIL, mangle=lambda m: m[:AT] + name + m[AT + 2:])


BROKEN = [
    patched(0, b"\xc0" + bytes([AT])),          # to itself
    patched(0, b"\xc0" + bytes([AT + 2])),      # forwards
    patched(0, b"\xff\xff"),                    # out of the message
    patched(0, b"\x40\x00"), patched(0, b"\x80\x00"),   # no such labels
    patched(0, b"\x3f\x00"),                    # a label beyond the end
    patched(10, b"\x00\x05"), patched(10, b"\xff\xff"),  # data beyond the end
    patched(10, b"\x00\x03"), patched(10, b"\x00\x00"),  # no address
    patched(6 - AT, b"\x00\x02"), patched(6 - AT, b"\xff\xff"),     # counts
    patched(8 - AT, b"\x00\x01"), patched(10 - AT, b"\x00\x01"),
    own_name(5 * (b"\x3f" + b"a" * 63) + b"\0"),    # longer than a name
    own_name(130 * b"\x01a" + b"\0"),
    own_name(b"\x01a\xc0"), own_name(b"\x01a"),
    *[Reply(EVIL, cut_message=cut) for cut in (1, 4, 5, 9, 14, 15)],
]


def a_message_that_breaks_the_format_is_no_answer():
    """Goal: DNS-7, DNS-17: pointers, labels, lengths and counts that lie:
    the next server is asked at once; without one it is a SERVFAIL."""
    with DnsServer() as bad, DnsServer() as good, listener() as server, \
            listener("127.0.0.66", port_of(server)) as evil, \
            Daemon(ALLOW_LOOPBACK, servers=[bad, good]) as both, \
            Daemon(ALLOW_LOOPBACK, servers=[bad]) as alone:
        good.script["A"] = Reply(HERE)
        for i, reply in enumerate(BROKEN):
            name = "m%s.test" % "0123456789abcdefghijklmnopqrstuvw"[i]
            bad.script[name] = reply
            between(0, timed(lambda: reach(both, name, server)), 1,
                    "seconds for %d" % i)
            refused(alone, name, 502, "dns_error", "SERVFAIL")
            assert bad.asked(name, "A") and good.asked(name, "A"), i
        assert not pending(evil)


def harmless_oddities_are_accepted():
    """Goal: DNS-10, DNS-25: case, AD, CD and Z bits, duplicates, records that
    nobody asked for."""
    good = (Reply(HERE, repeat_case=True), Reply(HERE, flags=0x0070),
            Reply(HERE, flags=0x0480), Reply("A.TEST " + HERE),
            Reply(HERE, additional=["b.test " + EVIL]), Reply(HERE, copies=3),
            Reply(HERE, authority=["test NS ns.test"], soa=(60, 60)),
            Reply([HERE, "TXT hello", "NS ns.test", HERE, "AAAA ::1"]),
            Reply(["a.test CNAME B.Test", "b.tEST " + HERE]),
            Reply(HERE, mangle=lambda message: message + b"behind it"))
    for reply in good:
        with DnsServer() as dns, listener() as server, \
                Daemon(ALLOW_LOOPBACK, servers=[dns]) as proxy:
            dns.script["a.test", "A"] = reply
            reach(proxy, "a.test", server)
            equal(len(dns.asked(kind="A")), 1)


def a_chain_of_aliases_is_followed():
    """Goal: DNS-8: any order, 16 links, no more."""
    links = ["n%d.test CNAME n%d.test" % (i, i + 1) for i in range(20)]
    end = "n%d.test " + HERE
    with DnsServer() as dns, listener() as server, \
            Daemon(ALLOW_LOOPBACK, servers=[dns]) as proxy:
        # The last name of a chain must not be denied to exist.
        dns.script["AAAA"] = Reply(soa=(60, 60))
        dns.script["n0.test"] = Reply(links[2::-1] + [end % 3])
        reach(proxy, "n0.test", server)
        dns.script["n4.test"] = Reply([end % 20] + links[:3:-1])
        reach(proxy, "n4.test", server)
        dns.script["n3.test"] = Reply([end % 20] + links[3:])
        refused(proxy, "n3.test", 502, "dns_error", "SERVFAIL")


def a_chain_that_goes_on_elsewhere_is_asked_for():
    """Goal: DNS-8: as many questions as there are answers to join, and no
    more than a chain may have links."""
    with DnsServer() as dns, listener() as server, \
            Daemon(ALLOW_LOOPBACK, servers=[dns]) as proxy:
        dns.script["a.test"] = Reply("CNAME b.test")
        dns.script["b.test"] = Reply("CNAME c.test")
        dns.script["c.test", "A"] = Reply(HERE)
        reach(proxy, "a.test", server)
        equal([q.name for q in dns.asked(kind="A")],
              ["a.test", "b.test", "c.test"])
        for i in range(20):
            dns.script["n%d.test" % i] = Reply("CNAME n%d.test" % (i + 1))
        refused(proxy, "n0.test", 502, "dns_error", "SERVFAIL")
        equal(len(dns.asked("n17.test")), 0)
        links = ["l%d.test CNAME l%d.test" % (i, i + 1) for i in range(20)]
        dns.script["AAAA"] = Reply(soa=(60, 60))
        dns.script["l0.test"] = Reply(links[:10])
        dns.script["l10.test"] = Reply(links[10:16] + ["l16.test " + HERE])
        reach(proxy, "l0.test", server)
        dns.script["l1.test"] = Reply(links[1:11])
        dns.script["l11.test"] = Reply(links[11:18] + ["l18.test " + HERE])
        refused(proxy, "l1.test", 502, "dns_error", "SERVFAIL")
        for i in range(4):      # round and round
            dns.script["r%d.test" % i] = Reply("CNAME r%d.test" % ((i + 1) % 4))
        refused(proxy, "r0.test", 502, "dns_error", "SERVFAIL")
        assert len(dns.asked("r0.test", "A")) <= 5, len(dns.asked("r0.test"))


# ---- over TCP ---------------------------------------------------------------

MANY = ["A 127.0.0.1"] + ["A 127.1.%d.%d" % (i // 250, i % 250 + 1)
                          for i in range(399)]


def a_truncated_answer_is_asked_for_over_tcp():
    """Goal: DNS-5, DNS-6: what was cut is not looked at; the query goes out
    in one piece; the answer may come in many; 400 addresses are no problem,
    nor is a datagram longer than any that can be read."""
    with DnsServer() as dns, listener() as server, \
            listener("127.0.0.66", port_of(server)) as evil, \
            Daemon(ALLOW_LOOPBACK, servers=[dns]) as proxy:
        for name, whole in (
                ("a.test", Reply(HERE)), ("b.test", Reply(HERE, pieces=1)),
                ("c.test", Reply(MANY)), ("d.test", Reply(MANY, pieces=777))):
            dns.script[name, "A"] = Reply(EVIL, truncated=True, over_tcp=whole)
            reach(proxy, name, server)
            equal([q.way for q in dns.asked(name, "A")], ["udp", "tcp"])
        dns.script["e.test", "A"] = Reply([EVIL] + MANY, over_tcp=Reply(HERE))
        reach(proxy, "e.test", server)
        assert all(q.whole for q in dns.asked(way="tcp")), "it came in pieces"
        assert not pending(evil), "a cut answer was used"


def slow_answers_over_tcp_hold_up_nobody():
    """Goal: DNS-6, DNS-24: byte by byte, more at a time than there are
    buffers for: all of them work in the end, and an echo does meanwhile."""
    slow = Reply(HERE, pieces=1, pace=0.005)     # 42 bytes
    names = ["t%d.test" % i for i in range(8)]
    with DnsServer() as dns, listener() as server, listener() as other, \
            Daemon(ALLOW_LOOPBACK, servers=[dns]) as proxy, \
            connect(proxy, authority(other)).sock as near, \
            accept(other) as far:
        for name in names:
            dns.script[name, "A"] = Reply(truncated=True, over_tcp=slow)
        longest = []
        answers = together(
            *[lambda n=n: connect(proxy, "%s:%d" % (n, port_of(server)))
              for n in names],
            meanwhile=lambda: longest.append(
                timed(lambda: check_carries(near, far))))
        between(0, max(longest), 0.2, "seconds of an echo")
        for answer in answers:
            leave(answer, server)


def a_connection_that_breaks_off_is_a_server_that_fails():
    """Goal: DNS-6: cut anywhere, or not to be had: the next server is asked,
    at once."""
    for tcp, cut in ((False, 0), (True, 0), (True, 1), (True, 2), (True, 13),
                     (True, 40)):
        with DnsServer(tcp=tcp) as dns, DnsServer({"a.test": [HERE]}) as good, \
                listener() as server, \
                Daemon(ALLOW_LOOPBACK, servers=[dns, good]) as proxy:
            dns.script["a.test", "A"] = Reply(
                truncated=True, over_tcp=Reply(HERE, cut=cut))
            seconds = timed(lambda: reach(proxy, "a.test", server))
            between(0, seconds, 2, "seconds")


def a_wrong_answer_over_tcp_is_not_believed():
    """Goal: DNS-6: id and question count there too."""
    for lie in (Reply(EVIL, id_offset=3), Reply(EVIL, question=("x", "A")),
                Reply(EVIL, truncated=True), Reply(raw=b"")):
        with DnsServer() as dns, Daemon(
                ALLOW_LOOPBACK, servers=[dns]) as proxy:
            dns.script["a.test", "A"] = Reply(truncated=True, over_tcp=lie)
            refused(proxy, "a.test", 502, "dns_error", "SERVFAIL")


# ---- failures ---------------------------------------------------------------

def causes_are_told_apart():
    """Goal: no name, no data, failures by name, in the reply and in the log;
    DNS-17: what is final is final, for the rest the next server is asked."""
    cases = {"none.test": ("NXDOMAIN", None),
             "nodata.test": ("NOERROR", Reply()),
             "chained.test": ("NXDOMAIN", Reply("CNAME gone.test",
                                                rcode=NXDOMAIN)),
             "empty.test": ("NOERROR", Reply("CNAME there.test",
                                             soa=(60, 60))),
             "servfail.test": ("SERVFAIL", Reply(rcode=SERVFAIL)),
             "refused.test": ("REFUSED", Reply(rcode=REFUSED)),
             "formerr.test": ("FORMERR", Reply(rcode=FORMERR)),
             "notimp.test": ("NOTIMP", Reply(rcode=NOTIMP)),
             "broken.test": ("SERVFAIL", Reply(HERE, cut_message=3))}
    with DnsServer() as dns, DnsServer() as other, \
            Daemon(ALLOW_LOOPBACK, servers=[dns, other]) as proxy:
        for name, (rcode, reply) in cases.items():
            if reply:
                dns.script[name] = other.script[name] = reply
            refused(proxy, name, 502, "dns_error", rcode)
            final = rcode in ("NXDOMAIN", "NOERROR")
            equal(bool(other.asked(name)), not final, name)
        for line, (rcode, _) in zip(proxy.tunnels(len(cases)),
                                    cases.values()):
            equal((line["end"], line["rcode"]), ("dns_error", rcode))


def the_access_line_tells_of_the_name():
    """Goal: dns-ms is the time that the name took, `-` where none was asked
    for or it was not known in time; the rcode stands behind it, and only where
    there is one."""
    tails = []
    with DnsServer() as dns, listener() as server, Daemon(
            ALLOW_LOOPBACK, "timeout connect 500ms", servers=[dns]) as proxy:
        def tail_of(job):
            job()
            proxy.tunnels(len(tails) + 1)
            tails.append(re.search(
                r" ms=\d+ setup-ms=(\d+|-) dns-ms=(\d+|-)( .*)?$",
                proxy.lines("tunnel ")[-1]).groups())
            return tails[-1]
        dns.script["a.test", "A"] = Reply(HERE, delay=0.2)
        dns.script["silent.test"] = SILENCE
        setup, name, more = tail_of(lambda: reach(proxy, "a.test", server))
        between(200, int(name), int(setup), "dns-ms")
        equal(more, None)
        setup, name, more = tail_of(lambda: reach(proxy, "a.test", server))
        between(0, int(name), min(int(setup), 150), "dns-ms of a known name")
        equal(more, None)
        setup, *rest = tail_of(lambda: leave(
            connect(proxy, authority(server)), server))
        assert setup.isdigit(), setup
        equal(rest, ["-", None])
        setup, name, more = tail_of(lambda: refused(
            proxy, "none.test", 502, "dns_error", "NXDOMAIN"))
        assert name.isdigit(), name
        equal((setup, more), ("-", " rcode=NXDOMAIN"))
        equal(tail_of(lambda: refused(
            proxy, "silent.test", 504, "dns_timeout")), ("-", "-", None))


def one_bad_family_does_not_spoil_the_other():
    """Goal: DNS-17, HEB-2: AAAA fails, is refused, is silent; the same the
    other way round."""
    need_ipv6()
    bad = (Reply(rcode=SERVFAIL), Reply(rcode=REFUSED), SILENCE,
           Reply(HERE, cut_message=5))
    for family, host, good in (("A", "127.0.0.1", Reply(HERE)),
                               ("AAAA", "::1", Reply("AAAA ::1"))):
        with DnsServer() as dns, listener(host) as server, \
                Daemon(ALLOW_LOOPBACK, servers=[dns]) as proxy:
            dns.script[family] = good
            for number, reply in enumerate(bad):
                name = "a%d.test" % number
                other = "AAAA" if family == "A" else "A"
                dns.script[name, other] = reply
                seconds = timed(lambda: reach(proxy, name, server))
                between(0, seconds, 1, "seconds")


def no_such_name_ends_both_families():
    """Goal: DNS-17: NXDOMAIN of one of them is enough; no data is not."""
    for quick, slow in (("A", "AAAA"), ("AAAA", "A")):
        with DnsServer() as dns, Daemon(
                ALLOW_LOOPBACK, servers=[dns]) as proxy:
            dns.script[slow] = SILENCE
            seconds = timed(lambda: refused(proxy, "a.test", 502, "dns_error",
                                            "NXDOMAIN"))
            between(0, seconds, 1, quick)
            dns.script["b.test", slow] = Reply(rcode=SERVFAIL, delay=0.05)
            dns.script["b.test", quick] = Reply()
            refused(proxy, "b.test", 502, "dns_error", "SERVFAIL")


@contextlib.contextmanager
def refusing_server():
    """A port whose system says that nobody is there: its socket takes only
    what comes from itself."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.bind(("127.0.0.1", 0))
        sock.connect(sock.getsockname())
        yield authority(sock)


def a_server_that_does_not_help_is_followed_by_the_next():
    """Goal: DNS-17, RES-4: at once, whether it says so or its port is
    closed."""
    with DnsServer() as bad, listener() as server, \
            refusing_server() as closed, \
            DnsServer({"a.test": [HERE], "b.test": [HERE]}) as good:
        for rcode in (FORMERR, SERVFAIL, NOTIMP, REFUSED, 9, 15):
            bad.script[None] = Reply(EVIL, rcode=rcode)
            for first in (bad, closed):
                with Daemon(ALLOW_LOOPBACK, servers=[first, good]) as proxy:
                    for name in ("a.test", "b.test"):
                        seconds = timed(lambda: reach(proxy, name, server))
                        between(0, seconds, 1, "seconds")


def a_silent_server_costs_its_time_only_once():
    """Goal: RES-4: `timeout` for the first name, nothing for the second;
    while it is asked last, its answers are good all the same."""
    with on_port_53() as dead, listener() as server, on_port_53() as good:
        dead.script["a.test"] = dead.script["b.test"] = SILENCE
        dead.script["A"] = good.script["A"] = Reply(HERE)
        with Daemon(ALLOW_LOOPBACK, resolv=resolv_conf(
                dead, good, options="timeout:1")) as proxy:
            seconds = timed(lambda: reach(proxy, "a.test", server))
            between(0.95, seconds, 1.5, "seconds for the first")
            seconds = timed(lambda: reach(proxy, "b.test", server))
            between(0, seconds, 0.5, "seconds for the second")
            equal(len(dead.asked("b.test")), 0)
            good.script["c.test"] = Reply(rcode=SERVFAIL)
            reach(proxy, "c.test", server)
            equal([bool(s.asked("c.test")) for s in (dead, good)], [True] * 2)


def a_server_that_is_silent_about_one_name_is_not_dead():
    """Goal: it answered somebody else meanwhile: the name is dead."""
    with on_port_53() as first, on_port_53() as second, \
            listener() as server, Daemon(
                ALLOW_LOOPBACK, resolv=resolv_conf(first, second)) as proxy:
        first.script["A"] = second.script["A"] = Reply(HERE)
        first.script["dead.test"] = SILENCE
        second.script["dead.test"] = Reply(rcode=SERVFAIL)

        def others():
            wait_until(lambda: first.asked("dead.test"), "the question")
            reach(proxy, "other.test", server)
        together(lambda: refused(proxy, "dead.test", 502, "dns_error",
                                 "SERVFAIL"), others)
        assert second.asked("dead.test"), "the next server was not asked"
        reach(proxy, "c.test", server)
        equal([bool(s.asked("c.test")) for s in (first, second)],
              [True, False])


def servers_are_asked_in_rounds():
    """Goal: RES-1, RES-4: each in turn, `attempts` times, the first three."""
    with contextlib.ExitStack() as stack:
        four = [stack.enter_context(on_port_53()) for _ in range(4)]
        for server in four:
            server.script[None] = Reply(rcode=SERVFAIL)
        proxy = stack.enter_context(Daemon(ALLOW_LOOPBACK, resolv=resolv_conf(
            *four, options="attempts:3 no-aaaa")))
        refused(proxy, "a.test", 502, "dns_error", "SERVFAIL")
        asked = sorted((query.time, number)
                       for number, server in enumerate(four)
                       for query in server.asked())
        equal([number for _, number in asked], [0, 1, 2] * 3)


def servers_that_all_are_silent_time_out():
    """Goal: RES-4, DNS-14: 504 dns_timeout after each had its time; then it
    is known for a moment."""
    with on_port_53() as one, on_port_53() as two:
        one.script[None] = two.script[None] = SILENCE
        with Daemon(ALLOW_LOOPBACK, resolv=resolv_conf(one, two)) as proxy:
            seconds = timed(lambda: refused(proxy, "a.test", 504,
                                            "dns_timeout"))
            between(1.9, seconds, 2.7, "seconds")
            seconds = timed(lambda: refused(proxy, "a.test", 504,
                                            "dns_timeout"))
            between(0, seconds, 0.5, "seconds when it is known")
            for server in (one, two):
                equal(len(server.asked()), 2)
            line = proxy.tunnels(2)[0]
            equal((line["end"], line["status"]), ("dns_timeout", "504"))


def a_name_cannot_use_up_more_than_the_tunnels_time():
    """Goal: LIM-4: `timeout connect` holds while a name is looked up; then
    nothing of the lookup is left."""
    with DnsServer() as dns, Daemon(ALLOW_LOOPBACK, "timeout connect 300ms",
                                    servers=[dns]) as proxy:
        dns.script[None] = SILENCE
        before = proxy.descriptors()
        seconds = timed(lambda: refused(proxy, "a.test", 504, "dns_timeout"))
        between(0.25, seconds, 0.9, "seconds")
        wait_until(lambda: proxy.descriptors() == before, "nothing is left")


def too_many_names_at_once_are_told_to_come_back():
    """Goal: DNS-24: 32 are asked, 256 wait, the next is 503; others go on,
    who waits has its turn, and nothing is left behind."""
    with DnsServer() as dns, listener() as server, Daemon(
            ALLOW_LOOPBACK, "tunnels 400", "tunnels-per-client 0",
            servers=[dns]) as proxy:
        dns.script[None] = SILENCE
        dns.script["n32.test", "A"] = Reply(HERE)
        dns.script["n32.test", "AAAA"] = Reply()
        before = proxy.descriptors()
        waiting = [open_to(proxy.address) for _ in range(288)]
        for i, sock in enumerate(waiting):
            sock.sendall(request("n%d.test:%d" % (i, port_of(server))))
            if i < 32:      # so that it is known which of them are asked
                wait_until(lambda: dns.asked("n%d.test" % i, "A"), "its turn")
        wait_until(lambda: proxy.descriptors() - before == 288 + 64, "sockets")
        check_refusal(connect(proxy, "one.more.test:443"), 503,
                      "proxy_internal_error")
        reach(proxy, "localhost", server)
        check_silent(waiting[0], 0)
        equal(len(dns.asked()), 64)
        equal(proxy.statistics()["dns-full"], 1)
        start = time.monotonic()
        reset(waiting.pop(0))
        leave(read_answer(waiting.pop(31)), server)
        between(0, time.monotonic() - start, 2, "seconds for its turn")
        for sock in waiting:
            reset(sock)
        wait_until(lambda: proxy.descriptors() == before, "nothing is left")


def who_waits_has_its_turn_when_an_answer_comes():
    """Goal: DNS-24: without anybody coming or leaving meanwhile."""
    with DnsServer() as dns, listener() as server, Daemon(
            ALLOW_LOOPBACK, "tunnels-per-client 0", servers=[dns]) as proxy, \
            contextlib.ExitStack() as stack:
        dns.script[None] = SILENCE
        dns.script["n0.test"] = Reply(rcode=NXDOMAIN, delay=0.3)
        dns.script["last.test", "A"] = Reply(HERE)
        for i in range(32):
            sock = stack.enter_context(open_to(proxy.address))
            sock.sendall(request("n%d.test:443" % i))
        wait_until(lambda: len(dns.asked()) >= 64, "the questions")
        between(0, timed(lambda: reach(proxy, "last.test", server)), 2,
                "seconds")


def a_client_that_leaves_takes_its_question_with_it():
    """Goal: no socket is left, and another client's question goes on."""
    with DnsServer() as dns, listener() as server, \
            Daemon(ALLOW_LOOPBACK, servers=[dns]) as proxy:
        dns.script["a.test"] = SILENCE
        dns.script["b.test", "A"] = Reply(HERE, delay=0.5)
        before = proxy.descriptors()
        for name in ("a.test", "b.test"):
            sock = open_to(proxy.address)
            sock.sendall(request("%s:443" % name))
            wait_until(lambda: dns.asked(name, "A"), "the question")
            if name == "a.test":
                reset(sock)
                wait_until(lambda: proxy.descriptors() == before, "the end")
        def leave_when_shared():
            wait_until(lambda: proxy.statistics()["cached"], "the other one")
            reset(sock)
        together(lambda: reach(proxy, "b.test", server), leave_when_shared)
        equal(len(dns.asked("b.test")), 2)


def a_fin_while_a_name_is_looked_up_is_not_an_abort():
    """Goal: what the client said and its end reach the target."""
    with DnsServer() as dns, listener() as server, \
            Daemon(ALLOW_LOOPBACK, servers=[dns]) as proxy:
        dns.script["a.test", "A"] = Reply(HERE, delay=0.3)
        with open_to(proxy.address) as client:
            client.sendall(request("a.test:%d" % port_of(server)) + b"bye")
            finish(client)
            with accept(server) as far:
                equal(read_to_end(far), (b"bye", False))
                far.sendall(b"so long")
                finish(far)
                equal(read_answer(client).status, 200)
                equal(read_to_end(client), (b"so long", False))


def the_end_does_not_wait_for_a_name():
    """Goal: TERM, drain, exit 0, while a question is open."""
    with DnsServer() as dns, Daemon(
            ALLOW_LOOPBACK, "timeout drain 200ms", servers=[dns]) as proxy:
        dns.script[None] = SILENCE
        with open_to(proxy.address) as sock:
            sock.sendall(request("a.test:443"))
            wait_until(lambda: dns.asked(), "the question")
            between(0, timed(proxy.stop), 2, "seconds")
            equal(proxy.tunnels(1)[0]["end"], "stopped")


def without_a_descriptor_for_the_question_it_is_a_503():
    """Goal: the fault is ours and may pass, and it is not remembered."""
    with DnsServer() as dns, listener() as server, \
            Daemon(ALLOW_LOOPBACK, servers=[dns]) as proxy:
        dns.script["A"] = Reply(HERE)
        reach(proxy, "a.test", server)      # so that all is open that stays
        limit_descriptors(proxy, at_rest(proxy) + 1)
        check_refusal(connect(proxy, "b.test:443"), 503,
                      "proxy_internal_error")
        limit_descriptors(proxy, 1024)
        reach(proxy, "b.test", server)


# ---- choosing addresses -----------------------------------------------------

def ipv6_is_used_without_waiting_for_ipv4():
    """Goal: HEB-1, HEB-2: AAAA first in is dialled at once."""
    need_ipv6()
    with DnsServer() as dns, listener("::1") as six, \
            Daemon(ALLOW_LOOPBACK, servers=[dns]) as proxy:
        dns.script["a.test", "AAAA"] = Reply("AAAA ::1")
        dns.script["a.test", "A"] = Reply(HERE, delay=3)
        seconds = timed(lambda: reach(proxy, "a.test", six))
        between(0, seconds, 1, "seconds")


def ipv4_waits_a_moment_for_ipv6():
    """Goal: HEB-2: 50 ms; a negative AAAA ends that, a late one joins."""
    need_ipv6()
    with DnsServer() as dns, listener("::1") as six, \
            listener("127.0.0.1", port_of(six)) as four, \
            Daemon(ALLOW_LOOPBACK, servers=[dns]) as proxy:
        dns.script["A"] = Reply(HERE)
        dns.script["soon.test", "AAAA"] = Reply("AAAA ::1", delay=0.01)
        dns.script["late.test", "AAAA"] = Reply("AAAA ::1", delay=0.4)
        dns.script["never.test", "AAAA"] = SILENCE
        dns.script["no.test", "AAAA"] = Reply()
        reach(proxy, "soon.test", six)
        reach(proxy, "late.test", four)
        reach(proxy, "never.test", four)
        reach(proxy, "no.test", four)
        assert not pending(six) and not pending(four)
        soon, late, never, no = [int(line["dns-ms"])
                                 for line in proxy.tunnels(4)]
        between(0, soon, 49, "ms until AAAA")
        for waited in (late, never):
            between(50, waited, 200, "ms until AAAA was not waited for")
        between(0, no, 49, "ms until AAAA was negative")


def a_late_family_joins_the_race():
    """Goal: HEB-3, HEB-4: IPv4 hangs or is refused; IPv6 comes later, and its
    turn is in front of the next IPv4 address."""
    need_ipv6()
    with DnsServer() as dns, listener("::1") as six, \
            listener("127.0.0.3", port_of(six)) as next_four:
        dns.script["a.test", "AAAA"] = Reply("AAAA ::1", delay=0.15)
        for first, addresses in (
                (HangingTarget, [HERE, "A 127.0.0.3"]),
                (refusing_port, [HERE])):
            with (first("127.0.0.1", port_of(six)) if first is HangingTarget
                  else first("127.0.0.1")), \
                    Daemon(ALLOW_LOOPBACK, servers=[dns]) as proxy:
                dns.script["a.test", "A"] = Reply(addresses)
                seconds = timed(lambda: reach(proxy, "a.test", six))
                between(0.1, seconds, 2, "seconds")
                assert not pending(next_four), "IPv4 went on without IPv6"


def a_late_ipv4_joins_the_race_too():
    """Goal: HEB-4: the same the other way round."""
    need_ipv6()
    with DnsServer() as dns, listener("127.0.0.1") as four, \
            HangingTarget("::1", port_of(four)), \
            Daemon(ALLOW_LOOPBACK, servers=[dns]) as proxy:
        dns.script["a.test", "AAAA"] = Reply("AAAA ::1")
        dns.script["a.test", "A"] = Reply(HERE, delay=0.4)
        seconds = timed(lambda: reach(proxy, "a.test", four))
        between(0.35, seconds, 1, "seconds")


def a_dead_ipv6_address_costs_a_quarter_of_a_second():
    """Goal: HEB-4, HEB-6: 250 ms, then IPv4; the loser is closed, and what
    the client sent ahead goes to the winner, once."""
    need_ipv6()
    with DnsServer({"a.test": [HERE, "AAAA ::1"]}) as dns, \
            listener("127.0.0.1") as four, \
            HangingTarget("::1", port_of(four)) as hanging, \
            Daemon(ALLOW_LOOPBACK, servers=[dns]) as proxy:
        before = proxy.descriptors()
        start = time.monotonic()
        with connect(proxy, "a.test:%d" % port_of(four), b"early").sock, \
                accept(four) as far:
            between(0.2, time.monotonic() - start, 0.6, "seconds")
            equal(far.recv(100), b"early")
            equal(proxy.descriptors() - before, 2, "the loser is closed")
            for filler in hanging.fillers:
                accept(hanging.server).close()
            assert not pending(hanging.server), "the loser is still there"


def a_family_without_a_route_costs_nothing():
    """Goal: ADR-2: the next address at once."""
    with DnsServer({"a.test": [HERE, "AAAA ff0e::1", "AAAA ff0e::2"]}) as dns, \
            listener() as server, Daemon(
                "allow to 127.0.0.1,ff00::/8 port any", servers=[dns]) as proxy:
        seconds = timed(lambda: reach(proxy, "a.test", server))
        between(0, seconds, 0.2, "seconds")


def addresses_are_tried_in_the_order_of_the_answer():
    """Goal: ADR-1, ADR-2, HEB-3: IPv6 first, else the server's order."""
    need_ipv6()
    hosts = ["127.0.0.%d" % i for i in (5, 3, 9, 4)]
    with DnsServer() as dns, contextlib.ExitStack() as stack, \
            Daemon(ALLOW_LOOPBACK, servers=[dns]) as proxy:
        six = stack.enter_context(listener("::1"))
        fours = [stack.enter_context(listener(host, port_of(six)))
                 for host in hosts]
        for first in range(len(hosts)):
            order = hosts[first:] + hosts[:first]
            dns.script["f%d.test" % first, "A"] = dns.script[
                "s%d.test" % first, "A"] = Reply(["A " + h for h in order])
            dns.script["s%d.test" % first, "AAAA"] = Reply("AAAA ::1")
            reach(proxy, "f%d.test" % first, fours[first])
            reach(proxy, "s%d.test" % first, six)


def of_many_addresses_eight_are_tried():
    """Goal: HEB-5: fifty addresses, eight attempts."""
    many = ["127.0.2.%d" % i for i in range(1, 51)]
    with DnsServer({"a.test": ["A " + host for host in many]}) as dns, \
            Daemon(ALLOW_LOOPBACK, servers=[dns]) as proxy:
        with listener(many[7]) as server:
            reach(proxy, "a.test", server)
        with listener(many[8]) as server:
            answer = connect(proxy, "a.test:%d" % port_of(server))
            check_refusal(answer, 502, "connection_refused")
            assert not pending(server)


def two_are_tried_at_a_time():
    """Goal: HEB-5: however many hang, and one deadline for all of them."""
    with DnsServer() as dns, contextlib.ExitStack() as stack, Daemon(
            ALLOW_LOOPBACK, "timeout connect 1s", servers=[dns]) as proxy:
        first = stack.enter_context(HangingTarget("127.0.0.2"))
        port = port_of(first.server)
        for i in range(3, 6):
            stack.enter_context(HangingTarget("127.0.0.%d" % i, port))
        dns.script["a.test", "A"] = Reply(["A 127.0.0.%d" % i
                                           for i in range(2, 6)])
        before, seen = proxy.descriptors(), []

        def ask():
            answer, = together(
                lambda: connect(proxy, "a.test:%d" % port),
                meanwhile=lambda: seen.append(proxy.descriptors() - before))
            check_refusal(answer, 504, "connection_timeout")
        seconds = timed(ask)
        between(0.95, seconds, 1.7, "seconds")
        equal(max(seen), 3, "descriptors: the client's and the attempts'")


def addresses_are_judged_one_by_one():
    """Goal: SSR-5: the denied ones are skipped, with none left it is a 403; a
    name that changes its mind (DNS rebinding) reaches nothing denied."""
    rule = "allow from loopback to 127.0.0.3 port any"
    with DnsServer() as dns, listener("127.0.0.3") as good, \
            listener("127.0.0.2", port_of(good)) as bad, \
            Daemon(rule, servers=[dns]) as proxy:
        flip = scripted(*[Reply("0 A 127.0.0.%d" % (2 + i % 2))
                          for i in range(40)])
        dns.script["mixed.test", "A"] = Reply(["A 127.0.0.2", "A 127.0.0.3"])
        dns.script["flip.test", "A"] = flip
        dns.script["bad.test", "A"] = Reply(["A 127.0.0.2", "A 169.254.1.1"])
        dns.script["six.test", "AAAA"] = Reply("AAAA ::ffff:127.0.0.2")
        dns.script["alias.test", "A"] = Reply(["CNAME t.test",
                                               "t.test A 127.0.0.2"])
        dns.script["mapped.test", "AAAA"] = Reply("AAAA ::ffff:127.0.0.3")
        reach(proxy, "mixed.test", good)
        reach(proxy, "mapped.test", good)
        for name in ("bad.test", "six.test", "alias.test"):
            refused(proxy, name, 403, "destination_ip_prohibited")
        statuses = []
        for _ in range(20):
            answer = connect(proxy, "flip.test:%d" % port_of(good))
            statuses.append(answer.status)
            if answer.status == 200:
                answer.sock.close()
                accept(good).close()
        equal(statuses, [403, 200] * 10)
        assert not pending(bad), "a denied address was dialled"


def a_deny_rule_sees_every_name_of_a_chain():
    """Goal: an alias does not hide what is denied; a permission is for the
    name that was asked for."""
    zone = {"a.test": ["CNAME www.evil.test"], "www.evil.test": [HERE],
            "b.test": ["CNAME good.test"], "good.test": [HERE]}
    with DnsServer(zone) as dns, listener() as server:
        deny = "deny to .evil.test"
        with Daemon(deny, ALLOW_LOOPBACK, servers=[dns]) as proxy:
            refused(proxy, "a.test", 403, "http_request_denied")
            reach(proxy, "b.test", server)
            line = proxy.tunnels(2)[0]
            equal(line["rule"], proxy.line_of(deny))
        with Daemon("allow to good.test,127.0.0.9 port any",
                    servers=[dns]) as proxy:
            refused(proxy, "b.test", 403, "destination_ip_prohibited")


# ---- what is remembered -----------------------------------------------------

CHAIN = ["60 CNAME b.test", "b.test 1 CNAME c.test", "c.test 60 " + HERE]

# Name: what A is answered, queries for it in the end: 1 if the answer is kept
# for more than a second.
KEPT = {
    "kept": (Reply(HERE), 1), "zero": (Reply("0 " + HERE), 3),
    "second": (Reply("1 " + HERE), 2), "huge": (Reply("4294967295 " + HERE), 1),
    "sign": (Reply("2147483648 " + HERE), 1), "chain": (Reply(CHAIN), 2),
    "least": (Reply(["60 " + HERE, "1 A 127.0.0.2"]), 2),
    "joined": (Reply("1 CNAME end.test"), 2),
}
NEGATIVE = {
    "none": (Reply(rcode=NXDOMAIN, soa=(60, 60)), 1),
    "no-soa": (Reply(rcode=NXDOMAIN), 3),
    "minimum": (Reply(rcode=NXDOMAIN, soa=(60, 0)), 3),
    "soa-ttl": (Reply(rcode=NXDOMAIN, soa=(0, 60)), 3),
    "brief": (Reply(rcode=NXDOMAIN, soa=(1, 60)), 2),
    "nodata": (Reply(soa=(60, 60)), 1), "nodata-no-soa": (Reply(), 3),
    "failed": (Reply(rcode=SERVFAIL), 1),
}


def answers_are_kept_as_long_as_they_say():
    """Goal: DNS-13, DNS-14, DNS-15: the least TTL counts, 0 is for once;
    negatives need an SOA and live as it says; failures, for a moment."""
    with on_port_53() as dns, listener() as server, Daemon(
            ALLOW_LOOPBACK, resolv=resolv_conf(
                dns, options=QUICK + " no-aaaa")) as proxy:
        dns.script["end.test"] = Reply(HERE)
        for name, (reply, _) in (*KEPT.items(), *NEGATIVE.items()):
            dns.script[name + ".test"] = reply

        def ask_all():
            for name in KEPT:
                reach(proxy, name + ".test", server)
            for name, (reply, _) in NEGATIVE.items():
                refused(proxy, name + ".test", 502, "dns_error",
                        ["NOERROR", "", "SERVFAIL", "NXDOMAIN"][reply.rcode])
        ask_all()
        asked = time.monotonic()
        ask_all()
        assert time.monotonic() - asked < 0.9, "too slow to tell"
        wait_until_clock(asked + 1.1)
        ask_all()
        for name, (_, queries) in (*KEPT.items(), *NEGATIVE.items()):
            equal(len(dns.asked(name + ".test")), queries, name)


def no_such_name_is_kept_for_both_families():
    """Goal: DNS-13: with one negative answer nothing is asked any more."""
    with DnsServer() as dns, Daemon(ALLOW_LOOPBACK, servers=[dns]) as proxy:
        dns.script["AAAA"] = SILENCE
        for _ in range(3):
            refused(proxy, "a.test", 502, "dns_error", "NXDOMAIN")
        equal(len(dns.asked()), 2)


def what_has_expired_is_not_used():
    """Goal: DNS-16: rather no answer than a stale one."""
    with on_port_53() as dns, listener() as server, Daemon(
            ALLOW_LOOPBACK, resolv=resolv_conf(dns)) as proxy:
        dns.script["A"] = Reply("1 " + HERE)
        reach(proxy, "a.test", server)
        dns.script["A"] = dns.script["AAAA"] = SILENCE
        wait_until_clock(time.monotonic() + 1.1)
        refused(proxy, "a.test", 504, "dns_timeout")


def failures_are_kept_for_a_moment():
    """Goal: DNS-14, RFC 9520: SERVFAIL is not asked for again at once, but
    it is after 5 s (with --slow); no query is doubled."""
    with DnsServer() as dns, Daemon(ALLOW_LOOPBACK, servers=[dns]) as proxy:
        dns.script[None] = Reply(rcode=SERVFAIL)
        for _ in range(2):
            refused(proxy, "a.test", 502, "dns_error", "SERVFAIL")
            equal(len(dns.asked()), 4, "two families, two attempts")
        found = proxy.statistics()
        equal((found["lookups"], found["cached"], found["asked"],
               found["dns-failed"]), (2, 1, 1, 1))
        if settings.slow:
            wait_until_clock(time.monotonic() + 5.1)
            refused(proxy, "a.test", 502, "dns_error", "SERVFAIL")
            equal(len(dns.asked()), 8)


def a_dead_server_is_tried_again_after_a_while():
    """Goal: RES-4: 30 s later it is the first one again (with --slow)."""
    if not settings.slow:
        raise Skip("it takes half a minute: --slow")
    with on_port_53() as first, on_port_53() as second, \
            listener() as server, Daemon(
                ALLOW_LOOPBACK, resolv=resolv_conf(first, second)) as proxy:
        first.script[None] = SILENCE
        second.script["A"] = Reply(HERE)
        reach(proxy, "a.test", server)
        first.script = {"A": Reply(HERE)}
        wait_until_clock(time.monotonic() + 28)
        reach(proxy, "b.test", server)
        equal(first.asked("b.test"), [])
        wait_until_clock(time.monotonic() + 2.5)
        reach(proxy, "c.test", server)
        equal(second.asked("c.test"), [])


def many_names_leave_nothing_behind():
    """Goal: DNS-24: more names than are remembered, of every outcome: no
    descriptor, no memory, and what was first is asked for again."""
    kinds = (Reply(HERE), Reply(rcode=SERVFAIL), Reply(),
             Reply(truncated=True, over_tcp=Reply(HERE)),
             Reply(HERE, id_offset=1, over_tcp=Reply(HERE)))
    with DnsServer() as dns, Daemon(
            "allow to public port any", servers=[dns]) as proxy:
        dns.script["A"] = lambda query: kinds[
            int(query.name[1:-len(".test")]) % len(kinds)]

        def ask(first, last):
            for i in range(first, last):
                connect(proxy, "n%d.test:443" % i)
        ask(0, 600)
        before = at_rest(proxy), proxy.memory()
        ask(600, 1200)
        equal(at_rest(proxy), before[0])
        asked = len(dns.asked("n0.test"))
        ask(0, 1)
        assert len(dns.asked("n0.test")) > asked, "it was still known"
        skip_if_sanitized()
        between(0, proxy.memory() - before[1], 16 * 1024, "bytes more")


def a_family_that_never_answers_leaves_no_socket():
    """Goal: RFC 8305 5: when the tunnel stands, the rest is of no use."""
    with DnsServer() as dns, listener() as server, \
            Daemon(ALLOW_LOOPBACK, servers=[dns]) as proxy:
        before = proxy.descriptors()
        dns.script["a.test", "A"] = Reply(HERE)
        dns.script["a.test", "AAAA"] = SILENCE
        with connect(proxy, "a.test:%d" % port_of(server)).sock:
            wait_until(lambda: proxy.descriptors() == before + 2, "two", 3)


# ---- the hosts file ---------------------------------------------------------

def the_hosts_file_comes_first():
    """Goal: HOS-2: a family that is not there is not asked for."""
    with DnsServer({"a.test": ["A 127.0.0.2", "AAAA ::1"]}) as dns, \
            listener() as server, Daemon(
                ALLOW_LOOPBACK, hosts="127.0.0.1 a.test\n",
                servers=[dns]) as proxy:
        reach(proxy, "a.test", server)
        equal(dns.asked(), [])


def every_line_of_a_name_counts():
    """Goal: HOS-1, HOS-2, HOS-3: in the order of the file, of both families;
    what is no address is skipped, and the last line needs no end."""
    need_ipv6()
    hosts = ("127.0.0.300 a.test\nnonsense a.test\n127.0.0.5\t\tA.test b.test"
             " # 127.0.0.1 c.test\r\n::1 b.test\n127.1 a.test\n"
             "  127.0.0.4 a.test\n#127.0.0.9 a.test\n127.0.0.4 last.test")
    with DnsServer() as dns, listener("127.0.0.5") as five, \
            listener("127.0.0.4", port_of(five)) as four, \
            listener("::1", port_of(five)) as six, \
            Daemon(ALLOW_LOOPBACK, hosts=hosts, servers=[dns]) as proxy:
        reach(proxy, "a.test", five)
        reach(proxy, "b.test", six)
        reach(proxy, "last.test.", four)
        refused(proxy, "c.test", 502, "dns_error", "NXDOMAIN")
        equal({q.name for q in dns.asked()}, {"c.test"})
        five.close()
        reach(proxy, "a.test", four)
        assert not pending(four) and not pending(six)


def a_large_block_list_costs_nothing_a_lookup():
    """Goal: HOS-3: 100,000 lines are read once."""
    hosts = "".join("0.0.0.0 ads%d.example\n" % i for i in range(100000))
    with listener() as server, Daemon(
            ALLOW_LOOPBACK, hosts=hosts + "127.0.0.1 a.test\n") as proxy:
        before = proxy.processor_seconds()
        for _ in range(200):
            reach(proxy, "a.test", server)
        spent = proxy.processor_seconds() - before
        refused(proxy, "ads99999.example", 403, "destination_ip_prohibited")
        assert spent < 0.5, "%.2f s of processor time" % spent


def replace(proxy, name, text):
    """As editors do: a new file in place of the old one."""
    os.rename(proxy.write(name + ".new", text), proxy.path(name))


HOSTS = "127.0.0.%d a.test\n"


def a_changed_hosts_file_is_read_again():
    """Goal: HOS-3: within a second or so, written in place or put in its
    place; one that is gone or too large changes nothing."""
    def check(change, before, host, warnings):
        with listener("127.0.0.%d" % host) as server, \
                Daemon(ALLOW_LOOPBACK, hosts=HOSTS % before) as proxy:
            connect(proxy, "a.test:1")      # so that it was looked at
            change(proxy)
            end = time.monotonic() + 1.2
            while time.monotonic() < end:
                answer = connect(proxy, "a.test:%d" % port_of(server))
                if answer.status == 200:
                    leave(answer, server)
            equal(answer.status, 200, repr(answer.raw))
            equal(len(proxy.lines("hosts file not read")), warnings)
    together(
        lambda: check(lambda p: p.write("hosts", HOSTS % 3 + "\n"), 2, 3, 0),
        lambda: check(lambda p: replace(p, "hosts", HOSTS % 5), 4, 5, 0),
        lambda: check(lambda p: replace(p, "hosts", "#" * 10 ** 6), 6, 6, 1),
        lambda: check(lambda p: os.unlink(p.path("hosts")), 7, 7, 1))


# ---- resolv.conf ------------------------------------------------------------

def resolv_conf_names_the_servers():
    """Goal: RES-1, RES-6: in their order; comments; what is misplaced, too
    long or unknown is skipped; CR; no newline at the end."""
    with on_port_53() as wrong, on_port_53() as one, on_port_53() as two, \
            listener() as server:
        text = ("# nameserver {0}\n;nameserver {0}\n nameserver {0}\n"
                "nameserver {0}x\nnameservers {0}\nnameserver\n"
                "nameserver {3}{0}\nNAMESERVER {0}\n\0\nnameserver\t{1} \r\n"
                "nameserver nonsense\nsortlist 1.2.3.4\nlookup file\n"
                "options {3}\nnameserver {2}").format(
                    wrong.host, one.host, two.host, "x" * 5000)
        with Daemon(ALLOW_LOOPBACK, resolv=text) as proxy:
            one.script[None] = Reply(rcode=REFUSED)
            two.script["A"] = Reply(HERE)
            reach(proxy, "a.test", server)
            equal(wrong.asked(), [])
            assert one.asked() and two.asked()
            assert one.asked()[0].time < two.asked()[0].time


def directives_name_servers_instead():
    """Goal: RES-1: of either family, with a port, three at most; resolv.conf
    is then not read."""
    need_ipv6()
    with on_port_53() as never, DnsServer(host="::1") as six, \
            listener() as server:
        six.script["A"] = Reply(HERE)
        with Daemon(ALLOW_LOOPBACK, "nameserver " + six.address,
                    resolv=resolv_conf(never)) as proxy:
            reach(proxy, "a.test", server)
            equal(never.asked(), [])
            assert six.address.startswith("[::1]:"), six.address


def without_a_server_the_local_one_is_asked():
    """Goal: RES-1: 127.0.0.1 if there is no file, or no server in it."""
    try:
        local = DnsServer(host="127.0.0.1", port=53)
    except OSError:
        raise Skip("port 53 of 127.0.0.1 cannot be had") from None
    with local as dns, listener() as server:
        dns.script["A"] = Reply(HERE)
        with Daemon(ALLOW_LOOPBACK, resolv="search test\n") as proxy:
            reach(proxy, "a.test", server)
        with Daemon(ALLOW_LOOPBACK, "resolv /nonexistent",
                    servers=[]) as proxy:
            reach(proxy, "b.test", server)


def only_names_without_a_dot_are_searched():
    """Goal: RES-2, RES-3, RES-8: the last list counts, in its order, and
    then the name itself; a dot at the end turns it off."""
    with on_port_53() as dns, listener() as server:
        text = resolv_conf(dns, options=QUICK + " ndots:3", more=(
            "domain wrong.test\nsearch \tone.test  Two.Test\t\n"))
        dns.script["host.two.test", "A"] = Reply(HERE)
        dns.script["plain", "A"] = Reply(HERE)
        with Daemon(ALLOW_LOOPBACK, resolv=text) as proxy:
            reach(proxy, "Host", server)
            reach(proxy, "plain", server)
            refused(proxy, "host.", 502, "dns_error", "NXDOMAIN")
            refused(proxy, "host.sub", 502, "dns_error", "NXDOMAIN")
        equal([q.name for q in dns.asked(kind="A")], [
            "host.one.test", "host.two.test", "plain.one.test",
            "plain.two.test", "plain", "host", "host.sub"])
        del dns.queries[:]
        with Daemon(ALLOW_LOOPBACK, resolv=text +
                    "options ndots:0\n") as proxy:
            reach(proxy, "plain", server)
            equal([q.name for q in dns.asked(kind="A")], ["plain"])
        del dns.queries[:]
        with Daemon(ALLOW_LOOPBACK, resolv=text +
                    "domain two.test\n") as proxy:
            reach(proxy, "host", server)
            equal([q.name for q in dns.asked(kind="A")], ["host.two.test"])


def a_search_stops_at_a_failure():
    """Goal: what may be there must not be taken for something else."""
    with on_port_53() as dns, Daemon(ALLOW_LOOPBACK, resolv=resolv_conf(
            dns, more="search one.test two.test\n")) as proxy:
        dns.script["host.one.test"] = Reply(rcode=SERVFAIL)
        dns.script["host.two.test", "A"] = Reply(HERE)
        refused(proxy, "host", 502, "dns_error", "SERVFAIL")


def the_options_of_resolv_conf_are_followed():
    """Goal: RES-5, DNS-12: use-vc, no-aaaa, single-request, edns0 and what
    comes of it; the rest changes nothing."""
    def asked(options, script):
        del dns.queries[:]
        dns.script = {"A": Reply(HERE), **script}
        with Daemon(ALLOW_LOOPBACK, resolv=resolv_conf(
                dns, options=options)) as proxy, listener() as server:
            reach(proxy, "a.test", server)
        return [(q.type, q.way, q.edns) for q in dns.asked()]
    with on_port_53() as dns:
        equal(asked("trust-ad inet6 timeout:x ndots:99 debug no-tld-query", {}),
              [("AAAA", "udp", 0), ("A", "udp", 0)])
        equal(asked("no-aaaa", {}), [("A", "udp", 0)])
        equal(sorted(asked("use-vc", {})), [("A", "tcp", 0),
                                            ("AAAA", "tcp", 0)])
        slow = {"AAAA": Reply(delay=0.2)}
        for option in ("single-request", "single-request-reopen"):
            equal(asked("unknown:7 " + option, slow),
                  [("AAAA", "udp", 0), ("A", "udp", 0)])
            assert (dns.asked(kind="A")[0].time -
                    dns.asked(kind="AAAA")[0].time) > 0.15, "both at once"
        equal(asked("edns0 no-aaaa", {}), [("A", "udp", 1232)])
        for rcode in (FORMERR, NOTIMP, BADVERS):
            plain = {"A": lambda q, rcode=rcode:
                     Reply(rcode=rcode) if q.edns else Reply(HERE)}
            equal(asked("edns0 no-aaaa", plain),
                  [("A", "udp", 1232), ("A", "udp", 0)])
        silent = {"A": lambda q: SILENCE if q.edns else Reply(HERE)}
        equal(asked("edns0 no-aaaa timeout:1", silent),
              [("A", "udp", 1232), ("A", "udp", 0)])


def servers_are_rotated_if_so_told():
    """Goal: RES-5: rotate."""
    with on_port_53() as one, on_port_53() as two, Daemon(
            ALLOW_LOOPBACK, resolv=resolv_conf(
                one, two, options="rotate no-aaaa")) as proxy:
        for i in range(10):
            refused(proxy, "n%d.test" % i, 502, "dns_error", "NXDOMAIN")
        equal((len(one.asked()), len(two.asked())), (5, 5))


def a_changed_resolv_conf_is_obeyed():
    """Goal: RES-7: other servers; what the old ones said is forgotten; one
    that is gone changes nothing, nor does any with no-reload (RES-5)."""
    def check(change, obeyed, warnings, options=QUICK):
        with on_port_53() as one, on_port_53() as two, listener() as server, \
                Daemon(ALLOW_LOOPBACK, resolv=resolv_conf(
                    one, options=options)) as proxy:
            one.script["A"] = two.script["A"] = Reply(HERE)
            reach(proxy, "a.test", server)
            change(proxy, resolv_conf(two))
            wait_until_clock(time.monotonic() + 1.1)
            reach(proxy, "a.test", server)
            reach(proxy, "b.test", server)
            for name in ("a.test", "b.test"):
                equal(len(two.asked(name)), 2 * obeyed)
            equal(len(one.asked("b.test")), 2 * (not obeyed))
            equal(len(proxy.lines("resolv.conf not read")), warnings)

    def put(proxy, text):
        replace(proxy, "resolv.conf", text)

    def remove(proxy, _text):
        os.unlink(proxy.path("resolv.conf"))
    together(lambda: check(put, True, 0), lambda: check(remove, False, 1),
             lambda: check(put, False, 0, "no-reload"))
