"""A name server for the scenarios: it answers from a zone, or as it is told.

    with DnsServer({"a.test": ["A 127.0.0.2", "AAAA ::1"],
                    "b.test": ["CNAME a.test"]}) as server:
        server.script["slow.test", "A"] = Reply("A 127.0.0.2", delay=0.2)
        Daemon(..., servers=[server])

It listens on UDP and TCP on one port, remembers every query, and can break
every rule that a name server has.
"""

import contextlib
import heapq
import itertools
import random
import select
import socket
import struct
import threading
import time
from dataclasses import dataclass, field
from typing import NamedTuple
from urllib.parse import unquote_to_bytes

from .harness import DEADLINE, Skip, equal, family_of

TYPES = {"A": 1, "NS": 2, "CNAME": 5, "SOA": 6, "TXT": 16, "AAAA": 28,
         "OPT": 41}
TYPE_NAMES = {number: name for name, number in TYPES.items()}
NOERROR, FORMERR, SERVFAIL, NXDOMAIN, NOTIMP, REFUSED = range(6)
BADVERS = 16


class Query(NamedTuple):
    time: float
    way: str            # "udp" or "tcp"
    port: int           # of the asker
    id: int
    name: str
    type: str
    edns: int           # size offered, 0 without EDNS
    whole: bool = True  # over TCP: came in one piece, length and message


@dataclass
class Reply:
    """How to answer.  Records are texts, "[OWNER] [TTL] TYPE VALUE": the owner
    is the name asked for, and the time to live 60, unless they say more.  In
    names %HH stands for any byte."""
    records: list = field(default_factory=list)
    rcode: int = NOERROR
    soa: tuple = None       # (TTL, MINIMUM): negative answer to be kept
    authority: list = field(default_factory=list)
    additional: list = field(default_factory=list)
    delay: float = 0.0
    silent: bool = False
    truncated: bool = False
    copies: int = 1
    question: tuple = None  # another (NAME, TYPE) than was asked
    klass: int = 1
    questions: int = 1      # how often it stands there
    id_offset: int = 0
    flags: int = 0          # to be flipped
    other_port: bool = False    # send from another socket
    first: tuple = ()       # Replies to be sent in front of this one
    over_tcp: object = None     # Reply when asked over TCP
    pieces: int = 0         # over TCP: bytes a piece
    pace: float = 0.0       # over TCP: seconds between pieces
    cut: int = None         # over TCP: close after so many bytes
    cut_message: int = 0    # leave so many bytes at the end away
    repeat_case: bool = False
    mangle: object = None   # what to make of the message in the end
    raw: bytes = None       # instead of all that, behind the id

    def __post_init__(self):
        if isinstance(self.records, str):
            self.records = [self.records]


SILENCE = Reply(silent=True)


def encode_name(name):
    labels = [unquote_to_bytes(label) for label in name.split(".") if label]
    return b"".join(bytes([len(label)]) + label for label in labels) + b"\0"


def encode_value(kind, value):
    if kind == "A":
        return socket.inet_pton(socket.AF_INET, value)
    if kind == "AAAA":
        return socket.inet_pton(socket.AF_INET6, value)
    if kind in ("CNAME", "NS"):
        return encode_name(value)
    return value.encode("latin-1")


def split_record(text, name):
    """(owner, ttl, type, value) of a record as text."""
    words = text.split()
    at = next(i for i, word in enumerate(words) if word in TYPES)
    ttl = next((int(word) for word in words[:at] if word.isdigit()), 60)
    owner = next((word for word in words[:at] if not word.isdigit()), name)
    return owner, ttl, words[at], " ".join(words[at + 1:])


def encode_record(text, name):
    owner, ttl, kind, value = split_record(text, name)
    data = encode_value(kind, value)
    # The usual pointer to the question where that is the owner.
    where = b"\xc0\x0c" if owner == name else encode_name(owner)
    return where + struct.pack("!HHIH", TYPES[kind], 1, ttl, len(data)) + data


def encode_soa(ttl, minimum):
    data = b"\0\0" + struct.pack("!IIIII", 1, 2, 3, 4, minimum)
    return b"\0" + struct.pack("!HHIH", TYPES["SOA"], 1, ttl, len(data)) + data


def decode_query(message, way, port, whole=True):
    """Whatever a scenario is about, a query is as DNS-4, DNS-11 and DNS-19
    want it: one question for addresses, in lower case, RD and no other flag."""
    ident, *rest, extras = struct.unpack("!6H", message[:12])
    assert rest == [0x0100, 1, 0, 0], "flags, questions ...: %r" % rest
    labels, at = [], 12
    while message[at]:
        size = message[at]
        labels.append(message[at + 1:at + 1 + size].decode("ascii"))
        at += 1 + size
    name = ".".join(labels)
    assert name == name.lower(), name
    kind, klass = struct.unpack("!HH", message[at + 1:at + 5])
    assert TYPE_NAMES.get(kind) in ("A", "AAAA"), "type %d" % kind
    assert klass == 1, "class %d" % klass
    edns = 0
    if extras:
        root, option, edns, more, options = struct.unpack(
            "!BHHIH", message[at + 5:at + 16])
        equal((extras, root, option, more, options),
              (1, 0, TYPES["OPT"], 0, 0), "OPT")
    equal(len(message), at + (16 if extras else 5), "length")
    return Query(time.monotonic(), way, port, ident, name, TYPE_NAMES[kind],
                 edns, whole)


def encode_reply(reply, query):
    ident = (query.id + reply.id_offset) & 0xffff
    if reply.raw is not None:
        return struct.pack("!H", ident) + reply.raw
    name, kind = reply.question or (query.name, query.type)
    if reply.repeat_case:
        name = name.upper()
    flags = 0x8180 | (0x0200 if reply.truncated else 0) | (reply.rcode & 15)
    extra = [encode_record(text, name) for text in reply.additional]
    if reply.rcode > 15:
        extra.append(struct.pack("!BHHIH", 0, TYPES["OPT"], 1232,
                                 reply.rcode >> 4 << 24, 0))
    proof = [encode_record(text, name) for text in reply.authority]
    if reply.soa:
        proof.append(encode_soa(*reply.soa))
    message = struct.pack("!6H", ident, flags ^ reply.flags, reply.questions,
                          len(reply.records), len(proof), len(extra))
    message += reply.questions * (
        encode_name(name) + struct.pack("!HH", TYPES[kind], reply.klass))
    message += b"".join(encode_record(text, name) for text in reply.records)
    message += b"".join(proof + extra)
    message = message[:len(message) - reply.cut_message]
    return reply.mangle(message) if reply.mangle else message


class DnsServer:
    """Without `tcp` its connections are refused."""

    def __init__(self, zone=None, host="127.0.0.1", port=0, tcp=True):
        self.zone = zone or {}
        self.script = {}        # (NAME, TYPE) or TYPE or None: Reply
        self.queries = []
        self.udp, self.tcp = self.open(host, port)
        self.readers = [self.udp]
        if tcp:
            self.tcp.listen(64)
            self.readers.append(self.tcp)
        self.other = socket.socket(self.udp.family, socket.SOCK_DGRAM)
        self.other.bind((host, 0))
        self.wake, self.woken = socket.socketpair()
        self.looked = threading.Event()
        self.later = []         # heap of (time, number, job)
        self.numbers = itertools.count()
        self.connections = {}   # socket: bytes received
        self.thread = threading.Thread(target=self.run)
        self.error = None

    @staticmethod
    def open(host, port):
        """Both on one port, which may take some tries."""
        for _ in range(50):
            udp = socket.socket(family_of(host), socket.SOCK_DGRAM)
            udp.bind((host, port))
            tcp = socket.socket(family_of(host), socket.SOCK_STREAM)
            tcp.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            with contextlib.suppress(OSError):
                tcp.bind((host, udp.getsockname()[1]))
                return udp, tcp
            udp.close()
            tcp.close()
        raise OSError("no port for both UDP and TCP")

    @property
    def host(self):
        return self.udp.getsockname()[0]

    @property
    def address(self):
        host, port = self.udp.getsockname()[:2]
        return "%s:%d" % ("[%s]" % host if ":" in host else host, port)

    def asked(self, name=None, kind=None, way=None):
        """The queries so far, of one name, type and transport; also those
        whose answer nobody waited for, as the other one was enough."""
        if self.thread.is_alive():
            self.looked.clear()
            self.wake.sendall(b"look")
            assert self.looked.wait(DEADLINE), "the name server hangs"
        return [q for q in list(self.queries)
                if name in (None, q.name) and kind in (None, q.type)
                and way in (None, q.way)]

    def __enter__(self):
        self.thread.start()
        return self

    def __exit__(self, *_):
        self.wake.close()
        self.thread.join(DEADLINE)
        for sock in [self.udp, self.tcp, self.other, self.woken,
                     *self.connections]:
            sock.close()
        if self.error:
            raise self.error

    # what to say

    def reply_to(self, query):
        name = query.name.lower()
        for key in ((name, query.type), name, query.type, None):
            if key in self.script:
                reply = self.script[key]
                return reply(query) if callable(reply) else reply
        return self.from_zone(name, query.type)

    def speaks_of(self, name):
        """Does the script have something of this name, perhaps of another
        type?  Then it exists."""
        return any(name in (key, key[0]) if key not in TYPES else
                   reply is not SILENCE
                   for key, reply in self.script.items() if key)

    def from_zone(self, name, kind):
        records, owner = [], name
        for _ in range(20):
            found = [split_record(text, owner)
                     for text in self.zone.get(owner, ())]
            alias = [r for r in found if r[2] == "CNAME"]
            records += ["%s %d %s %s" % r for r in found
                        if r[2] in (kind, "CNAME")]
            if not alias:
                break
            owner = alias[0][3]
        known = owner in self.zone or self.speaks_of(owner)
        if any(" %s " % kind in text for text in records):
            return Reply(records)
        return Reply(records, rcode=NOERROR if known else NXDOMAIN,
                     soa=(60, 60))

    # the loop

    def run(self):
        try:
            while self.turn():
                pass
        except Exception as error:
            self.error = error

    def turn(self):
        wait = max(0, self.later[0][0] - time.monotonic()) if self.later \
            else None
        ready = select.select([self.woken, *self.readers,
                               *self.connections], [], [], wait)[0]
        while self.later and self.later[0][0] <= time.monotonic():
            heapq.heappop(self.later)[2]()
        for sock in ready:
            if sock is self.woken:
                return self.look()
            if sock is self.udp:
                self.take_datagram()
            elif sock is self.tcp:
                self.connections[sock.accept()[0]] = b""
            elif sock in self.connections:
                self.take_stream(sock)
        return True

    def look(self):
        """Take what has arrived; False if it is the end."""
        if not self.woken.recv(64):
            return False
        while select.select([self.udp], [], [], 0)[0]:
            self.take_datagram()
        self.looked.set()
        return True

    def at(self, delay, job):
        heapq.heappush(self.later, (time.monotonic() + delay,
                                    next(self.numbers), job))

    def take_datagram(self):
        message, peer = self.udp.recvfrom(65536)
        if message[2] & 0x80:   # somebody's answer to who had this port
            return
        query = decode_query(message, "udp", peer[1])
        self.queries.append(query)
        reply = self.reply_to(query)
        for each in (*reply.first, reply):
            if not each.silent:
                self.at(each.delay, lambda r=each: self.send(r, query, peer))

    def send(self, reply, query, peer):
        sock = self.other if reply.other_port else self.udp
        for _ in range(reply.copies):
            with contextlib.suppress(OSError):  # the asker is gone
                sock.sendto(encode_reply(reply, query), peer)

    def take_stream(self, sock):
        try:
            data, port = sock.recv(65536), sock.getpeername()[1]
        except OSError:     # the asker is gone
            data = b""
        if not data:
            del self.connections[sock]
            sock.close()
            return
        held = self.connections[sock] + data
        self.connections[sock] = held
        if len(held) < 2 or len(held) < 2 + int.from_bytes(held[:2], "big"):
            return
        query = decode_query(held[2:], "tcp", port, held == data)
        self.queries.append(query)
        self.connections[sock] = b""
        reply = self.reply_to(query)
        reply = reply.over_tcp or reply
        if not reply.silent:
            self.at(reply.delay, lambda: self.stream(sock, reply, query))

    def stream(self, sock, reply, query):
        message = encode_reply(reply, query)
        data = struct.pack("!H", len(message)) + message
        if reply.cut is not None:
            data = data[:reply.cut]
        step = reply.pieces or len(data) or 1
        with contextlib.suppress(OSError):      # the asker is gone
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        pieces = [data[at:at + step] for at in range(0, len(data), step)]
        for number, piece in enumerate(pieces):
            self.at(number * reply.pace,
                    lambda piece=piece: self.send_piece(sock, piece))
        if reply.cut is not None:
            self.at(len(pieces) * reply.pace, lambda: self.hang_up(sock))

    @staticmethod
    def send_piece(sock, piece):
        with contextlib.suppress(OSError):      # the asker is gone
            sock.sendall(piece)

    def hang_up(self, sock):
        self.connections.pop(sock, None)
        sock.close()


def on_port_53():
    """A server where resolv.conf looks for one, at an address of its own."""
    for _ in range(20):
        host = "127.53.%d.%d" % (random.randrange(256), random.randrange(256))
        with contextlib.suppress(OSError):
            return DnsServer(host=host, port=53)
    raise Skip("port 53 cannot be had")


def scripted(*replies):
    """One after the other, the last one for ever."""
    left = list(replies)

    def reply(_query):
        return left.pop(0) if len(left) > 1 else left[0]
    return reply
