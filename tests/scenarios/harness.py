"""What the scenarios share: the daemon under test, sockets, waiting.

A scenario is a function whose name is the sentence that must be true and
whose docstring begins with "Goal:".  Most of them hold both ends of a tunnel
in one thread, so that the order of events is forced and never slept for.
"""

import contextlib
import fcntl
import os
import random
import re
import select
import signal
import socket
import struct
import subprocess
import tempfile
import termios
import threading
import time
import types
import zlib
from concurrent.futures import ThreadPoolExecutor, wait
from typing import NamedTuple

# Seconds until a condition that takes milliseconds counts as never met.
DEADLINE = 10.0

# Filled in by the runner.
settings = types.SimpleNamespace(
    connectd="./connectd", directory=None, slow=False,
    sanitized=os.environ.get("SANITIZED", "") not in ("", "0"))

ESTABLISHED = b"HTTP/1.1 200 Connection established\r\n\r\n"
ALLOW_LOOPBACK = "allow from loopback to loopback port any"

KIB = 1024
MIB = 1024 * KIB
GIB = 1024 * MIB


class Skip(Exception):
    """Raised by a scenario that cannot be played on this machine."""


# ---- conditions and waiting -------------------------------------------------

def equal(got, wanted, what=""):
    assert got == wanted, "%s: got %.400r, wanted %.400r" % (
        what or "not equal", got, wanted)


def between(low, value, high, what):
    assert low <= value <= high, "%s: %.3f is not in %.3f ... %.3f" % (
        what, value, low, high)


def wait_until(condition, what, seconds=DEADLINE):
    """Ask until the answer is something true, which is the result."""
    end = time.monotonic() + seconds
    while True:
        answer = condition()
        if answer:
            return answer
        assert time.monotonic() < end, "in vain for %g s: %s" % (seconds, what)
        time.sleep(0.005)


def wait_until_clock(moment):
    """For what the contract itself ties to the clock."""
    time.sleep(max(0.0, moment - time.monotonic()))


def together(*jobs, meanwhile=None, pause=0.02):
    """Run the jobs in threads; their results, or the first exception."""
    with ThreadPoolExecutor(len(jobs)) as pool:
        running = [pool.submit(job) for job in jobs]
        while meanwhile and wait(running, timeout=pause).not_done:
            meanwhile()
        return [job.result() for job in running]


def note(text):
    print("   note: " + text, flush=True)


# ---- the daemon -------------------------------------------------------------

class LogFile:
    """Standard error of the daemon as a file."""

    def __init__(self, directory):
        self.path = os.path.join(directory, "log")
        self.writer = os.open(
            self.path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)

    def text(self):
        with open(self.path, encoding="latin-1", newline="") as file:
            return file.read()


class LogPipe:
    """Standard error of the daemon as a pipe, read only by text()."""

    def __init__(self, _directory):
        self.reader, self.writer = self.ends()
        os.set_blocking(self.reader, False)
        self.seen = b""

    def ends(self):
        return os.pipe()

    def text(self):
        with contextlib.suppress(BlockingIOError):
            while self.reader is not None:
                self.seen += os.read(self.reader, 65536)
        return self.seen.decode("latin-1")

    def close(self):
        """Nobody will ever read it again."""
        os.close(self.reader)
        os.close(self.writer)
        self.reader = None


class LogSocket(LogPipe):
    """The same as a socket, which cannot be opened again through /proc."""

    def ends(self):
        reader, writer = socket.socketpair()
        return reader.detach(), writer.detach()


def fields(line):
    """The key=value words of a log line."""
    return dict(word.split("=", 1) for word in line.split() if "=" in word)


class Daemon:
    """connectd from its start to its orderly end.

    It runs on ports that the kernel chose, with the directives given, and
    knows no names but those in `hosts` (None leaves that to its default) and
    those that its `servers` know: without any, it asks a port that refuses.
    With `resolv`, the text of that file, its servers are those named there.
    """

    started = []    # in the current scenario, for its report

    def __init__(self, *directives, listen=("127.0.0.1:0",), listeners=None,
                 hosts="", servers=("127.0.0.1:9",), resolv=None, log=LogFile,
                 options=()):
        self.directory = tempfile.mkdtemp(dir=settings.directory)
        self.log = log(self.directory)
        self.listeners = listeners or len(listen)
        lines = ["listen " + at for at in listen]
        if hosts is not None:
            lines.append("hosts " + self.write("hosts", hosts))
        if resolv is not None:
            lines.append("resolv " + self.write("resolv.conf", resolv))
        else:
            lines += ["nameserver " + getattr(server, "address", server)
                      for server in servers]
        self.configuration = self.write(
            "connectd.conf", "\n".join(lines + list(directives)) + "\n")
        self.options = options
        self.addresses = []
        self.process = None

    def path(self, name):
        return os.path.join(self.directory, name)

    def write(self, name, text):
        with open(self.path(name), "w", encoding="latin-1") as file:
            file.write(text)
        return self.path(name)

    def line_of(self, directive):
        """FILE:LINE of a directive, as the daemon names it."""
        with open(self.configuration, encoding="latin-1") as file:
            number = file.read().splitlines().index(directive) + 1
        return "%s:%d" % (self.configuration, number)

    def __enter__(self):
        Daemon.started.append(self)
        command = [settings.connectd, "-f", self.configuration, *self.options]
        self.process = subprocess.Popen(
            command, stdin=subprocess.DEVNULL,
            stdout=self.log.writer, stderr=self.log.writer)
        try:
            self.wait_for_listeners()
        except BaseException:
            self.kill()
            raise
        return self

    def __exit__(self, kind, _value, _traceback):
        if kind is None:
            self.stop()
        else:
            self.kill()

    def wait_for_listeners(self):
        def ready():
            assert self.process.poll() is None, "connectd did not start"
            found = self.lines("listening on ")
            return len(found) >= self.listeners and found
        for line in wait_until(ready, "the listeners"):
            host, port = re.fullmatch(
                r"listening on \[?([^]]*)\]?:(\d+)", line).groups()
            self.addresses.append((host, int(port)))

    @property
    def address(self):
        return self.addresses[0]

    @property
    def pid(self):
        return self.process.pid

    # the end

    def signal(self, number):
        self.process.send_signal(number)

    def stop(self):
        """End it; a second signal cuts what the scenario left open."""
        for seconds in (0.3, DEADLINE):
            if self.process.poll() is None:
                self.signal(signal.SIGTERM)
                with contextlib.suppress(subprocess.TimeoutExpired):
                    self.process.wait(seconds)
        self.check_end()

    def check_end(self):
        equal(self.process.poll(), 0, "exit status")
        for line in self.log.text().splitlines():
            for word in ("Sanitizer", "runtime error", "Assertion"):
                assert word not in line, line
            assert re.fullmatch(r"[\x20-\x7e]{1,511}", line), repr(line)

    def kill(self):
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait(DEADLINE)

    # the log

    def lines(self, prefix=""):
        whole = self.log.text().rpartition("\n")[0]
        return [line for line in whole.splitlines() if line.startswith(prefix)]

    def tunnels(self, count):
        """The access lines, of which there must be `count`; as fields."""
        def found():
            lines = self.lines("tunnel ")
            return len(lines) >= count and lines
        lines = wait_until(found, "%d access lines" % count)
        equal(len(lines), count, "access lines")
        return [fields(line) for line in lines]

    def statistics(self):
        before = len(self.lines("statistics "))
        self.signal(signal.SIGUSR1)
        line = wait_until(lambda: self.lines("statistics ")[before:],
                          "the statistics")[0]
        return {key: int(value) for key, value in fields(line).items()}

    # what it costs

    def memory(self, kind="Rss"):
        """Bytes.  VmRSS would be cheaper, but kernels since 6.2 count it per
        processor and may be off by more than the figures looked for here."""
        with open("/proc/%d/smaps_rollup" % self.pid) as file:
            found = re.search(r"(?m)^%s:\s+(\d+) kB" % kind, file.read())
        return int(found.group(1)) * KIB

    def processor_seconds(self):
        with open("/proc/%d/stat" % self.pid) as file:
            values = file.read().rpartition(")")[2].split()
        return sum(map(int, values[11:13])) / os.sysconf("SC_CLK_TCK")

    def descriptors(self):
        return len(os.listdir("/proc/%d/fd" % self.pid))


def run(*arguments, **options):
    """connectd to its end, for invocations that are not meant to stay."""
    return subprocess.run(
        [settings.connectd, *arguments], stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        timeout=DEADLINE, encoding="latin-1", **options)


# ---- sockets ----------------------------------------------------------------

def family_of(host):
    return socket.AF_INET6 if ":" in host else socket.AF_INET


def have_ipv6():
    try:
        listener("::1").close()
    except OSError:
        note("no IPv6 loopback here: its part is skipped")
        return False
    return True


def listener(host="127.0.0.1", port=0, backlog=1024):
    sock = socket.socket(family_of(host), socket.SOCK_STREAM)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    sock.settimeout(DEADLINE)
    sock.bind((host, port))
    sock.listen(backlog)
    return sock


def refusing_port(host="127.0.0.1"):
    """Bound but not listening: connections to it are refused, and no other
    socket can come to have the port."""
    sock = socket.socket(family_of(host), socket.SOCK_STREAM)
    sock.bind((host, 0))
    return sock


def accept(server):
    sock, _ = server.accept()
    sock.settimeout(DEADLINE)
    return sock


def pending(server):
    """Is a connection waiting to be accepted?"""
    return bool(select.select([server], [], [], 0)[0])


def port_of(sock):
    return sock.getsockname()[1]


def authority(sock):
    """host:port of a socket's own end."""
    host, port = sock.getsockname()[:2]
    return "%s:%d" % ("[%s]" % host if ":" in host else host, port)


def open_to(address, source=None, buffers=None):
    """A client connection on which no wait is for ever."""
    sock = socket.socket(family_of(address[0]), socket.SOCK_STREAM)
    sock.settimeout(DEADLINE)
    if buffers:     # before connect, or the window is set already
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, buffers)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, buffers)
    if source:
        sock.bind((source, 0))
    sock.connect(address)
    return sock


def reset(sock):
    """Close so that the peer sees a reset."""
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER,
                    struct.pack("ii", 1, 0))
    sock.close()


def finish(sock):
    sock.shutdown(socket.SHUT_WR)


def unacknowledged(sock):
    """Bytes sent that the peer's system has not taken yet."""
    return struct.unpack("i", fcntl.ioctl(sock, termios.TIOCOUTQ, b"\0" * 4))[0]


def wait_until_taken(sock):
    wait_until(lambda: unacknowledged(sock) == 0, "the bytes to leave")


def send_until_stalled(sock):
    """Send until nothing has moved for a while; how many bytes went."""
    sent = 0
    sock.setblocking(False)
    while select.select([], [sock], [], 0.3)[1]:
        with contextlib.suppress(BlockingIOError):
            sent += sock.send(bytes(64 * KIB))
    sock.settimeout(DEADLINE)
    return sent


def read_exactly(sock, size):
    data = b""
    while len(data) < size:
        piece = sock.recv(size - len(data))
        assert piece, "ended after %d of %d bytes" % (len(data), size)
        data += piece
    return data


def read_to_end(sock, pace=0.0, piece=65536):
    """What comes until the peer ends, and whether a reset ended it."""
    data = bytearray()
    try:
        while True:
            more = sock.recv(piece)
            if not more:
                return bytes(data), False
            data += more
            time.sleep(pace)
    except ConnectionResetError:
        return bytes(data), True


def check_silent(sock, seconds=0.3):
    """Nothing may come in this time, not even an end."""
    assert not select.select([sock], [], [], seconds)[0], (
        "got %r too early" % sock.recv(200))


def check_carries(a, b):
    """Both directions of a tunnel work."""
    for near, far in ((a, b), (b, a)):
        near.sendall(b"still here?")
        equal(read_exactly(far, 11), b"still here?")


# ---- CONNECT ----------------------------------------------------------------

class Answer(NamedTuple):
    """What the proxy said; status 0 if it closed without a word."""
    sock: socket.socket
    status: int
    headers: dict
    body: bytes
    raw: bytes


def request(target, extra=""):
    return ("CONNECT %s HTTP/1.1\r\nHost: proxy.test\r\n%s\r\n"
            % (target, extra)).encode()


def read_answer(sock):
    """A success is exactly ESTABLISHED, and what follows is left in the
    socket; all else ends with the connection."""
    raw = b""
    while raw != ESTABLISHED and len(raw) < len(ESTABLISHED):
        piece = sock.recv(len(ESTABLISHED) - len(raw))
        if not piece:
            break
        raw += piece
    if raw == ESTABLISHED:
        return Answer(sock, 200, {}, b"", raw)
    rest, was_reset = read_to_end(sock)
    raw += rest
    assert not was_reset, "reset after %r" % raw
    return parse_answer(sock, raw)


def parse_answer(sock, raw):
    if not raw:
        return Answer(sock, 0, {}, b"", raw)
    head, _, body = raw.partition(b"\r\n\r\n")
    start, *lines = head.decode("ascii").split("\r\n")
    status = re.fullmatch(r"HTTP/1\.1 ([1-5]\d\d) [ -~]*", start).group(1)
    headers = {}
    for line in lines:
        name, value = line.split(": ", 1)
        assert name.lower() not in headers, "twice: " + line
        headers[name.lower()] = value
    return Answer(sock, int(status), headers, body, raw)


def ask(proxy, data, **options):
    """Send these bytes to the proxy, read its answer; after a refusal close,
    as the proxy waits for that."""
    sock = open_to(proxy.address, **options)
    sock.sendall(data)
    answer = read_answer(sock)
    if answer.status != 200:
        sock.close()
    return answer


def connect(proxy, target, early=b"", **options):
    """CONNECT with the first bytes of the tunnel right behind the head."""
    return ask(proxy, request(target) + early, **options)


def status_lines(raw):
    return re.findall(rb"(?m)^HTTP/\d\.\d \d+", raw)


def check_refusal(answer, status, error):
    """The refusal is one of these, and complete in every other respect."""
    equal(answer.status, status, "status of %r" % answer.raw)
    equal(answer.headers.get("connection"), "close", "Connection")
    equal(answer.headers.get("content-length"), str(len(answer.body)),
          "Content-Length")
    equal(answer.headers.get("content-type", "").split(";")[0], "text/plain")
    found = answer.headers.get("proxy-status", "") + ";"
    assert found.startswith("connectd; error=%s;" % error), found
    equal(len(status_lines(answer.raw)), 1, "status lines")


@contextlib.contextmanager
def tunnel(proxy, early=b"", **options):
    """Both ends of a new tunnel: (client, target)."""
    with listener() as server:
        answer = connect(proxy, authority(server), early, **options)
        equal(answer.status, 200, repr(answer.raw))
        with answer.sock as client, accept(server) as target:
            yield client, target


# ---- targets ----------------------------------------------------------------

class Origin:
    """A target that serves each connection in a thread of its own."""

    def __init__(self, serve, host="127.0.0.1", port=0):
        self.serve = serve
        self.server = listener(host, port)
        self.server.settimeout(None)
        self.threads = [threading.Thread(target=self.accept_all, daemon=True)]
        self.error = None

    @property
    def authority(self):
        return authority(self.server)

    def accept_all(self):
        with contextlib.suppress(OSError):      # the listener is shut down
            while True:
                sock = accept(self.server)
                thread = threading.Thread(
                    target=self.serve_one, args=(sock,), daemon=True)
                self.threads.append(thread)
                thread.start()

    def serve_one(self, sock):
        try:
            with sock:
                self.serve(sock)
        except Exception as error:      # shown by the scenario's own thread
            self.error = error

    def __enter__(self):
        self.threads[0].start()
        return self

    def __exit__(self, kind, _value, _traceback):
        self.server.shutdown(socket.SHUT_RDWR)      # close would not wake it
        for thread in self.threads:
            thread.join(DEADLINE)
        self.server.close()
        if kind is None and self.error:
            raise self.error


def echo(sock):
    while True:
        data = sock.recv(65536)
        if not data:
            return
        sock.sendall(data)


class HangingTarget:
    """A listening socket whose queue is full: connecting to it takes until
    accept() has made room and the other system has tried again (1 s)."""

    def __init__(self, host="127.0.0.1", port=0):
        self.server = listener(host, port, backlog=0)
        self.fillers = []
        while self.take_one():
            pass

    def take_one(self):
        """Connect to it once more; False if that does not succeed now."""
        sock = socket.socket(self.server.family, socket.SOCK_STREAM)
        sock.setblocking(False)
        sock.connect_ex(self.server.getsockname())
        if select.select([], [sock], [], 0.1)[1]:
            self.fillers.append(sock)
            return True
        sock.close()
        return False

    @property
    def authority(self):
        return authority(self.server)

    def accept(self):
        """Make room, then take the connection that has been waiting."""
        for filler in self.fillers:
            accept(self.server).close()
            filler.close()
        self.fillers = []
        return accept(self.server)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        for sock in [self.server, *self.fillers]:
            sock.close()


# ---- payload ----------------------------------------------------------------

# A prime length, so that no buffer size divides it: a piece that is lost,
# doubled or moved shows in the checksum.
BLOCK = random.Random(1).randbytes(1000003)


def payload(size):
    """The first bytes of the pattern."""
    return (BLOCK * (size // len(BLOCK) + 1))[:size]


def send_pattern(sock, size):
    """Send so much of the pattern and the end; the checksum of it."""
    checksum = 0
    for left in range(size, 0, -len(BLOCK)):
        piece = BLOCK[:left]
        sock.sendall(piece)
        checksum = zlib.crc32(piece, checksum)
    finish(sock)
    return checksum


def receive_pattern(sock):
    """Read to the end; how much came, and the checksum of it."""
    size = checksum = 0
    buffer = memoryview(bytearray(256 * KIB))
    while True:
        count = sock.recv_into(buffer)
        if not count:
            return size, checksum
        size += count
        checksum = zlib.crc32(buffer[:count], checksum)
