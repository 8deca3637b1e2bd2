"""Starting, stopping, signals, configuration, and the log."""

import contextlib
import fcntl
import os
import re
import signal
import subprocess
import time

from .harness import (
    ALLOW_LOOPBACK, DEADLINE, KIB, MIB, Daemon, LogPipe, LogSocket, Origin,
    accept, authority, between, check_carries, check_refusal, connect, equal,
    finish, listener, open_to, payload, port_of, read_answer, read_exactly,
    read_to_end, refusing_port, request, run, settings, together, tunnel,
    wait_until)


# ---- the command line -------------------------------------------------------

def version_and_help_are_told_on_standard_output():
    """Goal: -V and -h answer, and exit 0."""
    for option in ("-V", "--version"):
        result = run(option)
        equal((result.returncode, result.stderr), (0, ""))
        assert re.fullmatch(r"connectd \d+\.\d+\.\d+\n", result.stdout), (
            result.stdout)
    for option in ("-h", "--help"):
        result = run(option)
        equal((result.returncode, result.stderr), (0, ""))
        assert "-f" in result.stdout and "-n" in result.stdout, result.stdout


def what_it_does_not_understand_is_a_usage_error():
    """Goal: exit 2, the usage on standard error, nothing started."""
    for words in (["start"], ["-Z"], ["--verbose"], ["-f"], ["-o"]):
        result = run(*words)
        equal((result.returncode, result.stdout), (2, ""), str(words))
        assert "usage" in result.stderr.lower(), (words, result.stderr)


# Words of the design that this version cannot honour: a configuration that
# relies on them must not seem to work.
NOT_YET = (
    ("via", "allow to any port 443 via 127.0.0.1:3128"),
    ("user", "user nobody"),
    ("user", "allow user alice to any port 443"),
    ("logins", "logins /dev/null"),
    ("realm", "realm home"),
    ("source", "allow to any port 443 source 192.0.2.1"),
)


def features_that_are_not_there_yet_are_refused_by_name():
    """Goal: exit 2 and a message with the word in it, never silence."""
    for word, directive in NOT_YET:
        result = run("-n", "-f", "/dev/null", "-o", directive)
        equal(result.returncode, 2, directive)
        assert word in result.stderr, (directive, result.stderr)
    result = run("-f", "/dev/null", "-i")
    equal(result.returncode, 2, "-i")
    assert "-i" in result.stderr, result.stderr


RULES = ("deny to .evil.test", "allow from 192.0.2.0/24 to public port 443",
         "allow from loopback to 127.0.0.3,.good.test port any")
NAMES = ("127.0.0.2 two.test\n127.0.0.3 two.test\n8.8.8.8 x.evil.test\n"
         "8.8.8.8 a.good.test\n::1 a.good.test\n")

# (question, exit status, lines; R1 to R3 are the places of the rules)
QUESTIONS = (
    ("from 192.0.2.7 to 8.8.8.8:443", 0, ["8.8.8.8: allow, R2"]),
    ("to [::ffff:8.8.8.8]:443 from 192.0.2.7", 0, ["8.8.8.8: allow, R2"]),
    ("from 192.0.2.7 to 8.8.8.8:80", 1,
     ["8.8.8.8: deny: port 80 is not allowed by the rules"]),
    ("from 203.0.113.1 to 8.8.8.8:443", 1,
     ["8.8.8.8: deny: this client is not allowed by the rules"]),
    ("from 192.0.2.7 to 127.0.0.1:443", 1,
     ["127.0.0.1: deny: 127.0.0.1 is a loopback address: a rule must name it"]),
    ("from ::1 to x.evil.test:1", 1,
     ["deny, R1: the rules deny this target"]),
    ("from ::1 to two.test:1", 0,
     ["127.0.0.2: deny: what this name leads to is a loopback address: "
      "a rule must name it", "127.0.0.3: allow, R3"]),
    ("from 127.0.0.1 to a.good.test:22", 0,
     ["::1: deny: what this name leads to is a loopback address: "
      "a rule must name it", "8.8.8.8: allow, R3"]),
)


def a_question_is_answered_as_the_rules_would():
    """Goal: -q: each address, its verdict, the rule; exit 0 or 1."""
    daemon = Daemon(*RULES, hosts=NAMES)
    for question, status, lines in QUESTIONS:
        result = run("-f", daemon.configuration, "-q", question)
        equal((result.returncode, result.stderr), (status, ""), question)
        for number, rule in enumerate(RULES, 1):
            lines = [line.replace("R%d" % number, daemon.line_of(rule))
                     for line in lines]
        equal(result.stdout.splitlines(), lines, question)


def a_question_that_is_none_is_a_usage_error():
    """Goal: exit 2; a name that is not found is 1, with the reason."""
    for question in ("", "from 192.0.2.7", "to 8.8.8.8:443", "from x to a:1",
                     "from 192.0.2.7 to a", "from 192.0.2.7 to a:1 x",
                     "from 192.0.2.7 to a:1 user alice", "192.0.2.7 a:1"):
        result = run("-f", "/dev/null", "-q", question)
        equal(result.returncode, 2, question)
        assert "-q" in result.stderr, (question, result.stderr)
        equal(result.stdout, "")
    daemon = Daemon("allow", hosts="")
    for name, why in (("a.invalid", "there is no such name"),
                      ("a.test", "the name servers do not answer")):
        result = run("-f", daemon.configuration, "-q",
                     "from 192.0.2.7 to %s:443" % name)
        equal(result.returncode, 1, name)
        assert why in result.stderr, (name, result.stderr)


def checking_a_configuration_prints_what_it_means():
    """Goal: -n names listeners, limits and memory, and starts nothing."""
    with listener() as taken:       # so that a listener could not be opened
        result = run("-n", "-f", "/dev/null", "-o", "tunnels 77", "-o",
                     "listen " + authority(taken))
        equal((result.returncode, result.stderr), (0, ""))
        for word in (authority(taken), "77", "tunnels", "memory"):
            assert word in result.stdout, (word, result.stdout)


def checking_a_configuration_warns_of_what_was_hardly_meant():
    """Goal: a rule that never decides, and an open proxy, unless it listens
    on loopback only."""
    for listen, warnings in (("192.0.2.1:3128", ["rule 1", "rule 3"]),
                             ("127.0.0.1:3128", ["rule 3"])):
        result = run("-n", "-f", "/dev/null", "-o", "listen " + listen,
                     "-o", "allow port any", "-o", "deny to .evil.test",
                     "-o", "deny to www.evil.test")
        found = [line for line in result.stdout.splitlines()
                 if line.startswith("warning: ")]
        equal((result.returncode, len(found)), (0, len(warnings)), found)
        for line, word in zip(found, warnings):
            assert line.startswith("warning: %s, -o:" % word), line


# (configuration, number of the bad line)
BAD = (
    ("listen 127.0.0.1:0\nfrobnicate yes\n", 2),
    ("listen 127.0.0.1\n", 1),
    ("listen 127.0.0.1:65536\n", 1),
    ("listen localhost:3128\n", 1),
    ("tunnels 0\n", 1),
    ("tunnels many\n", 1),
    ("tunnels 5 6\n", 1),
    ("# twice\ntunnels 5\n\ntunnels 5\n", 4),
    ("timeout idle 1h\ntimeout idle 2h\n", 2),
    ("buffer 2k\n", 1),
    ("buffer 33k\n", 1),
    ("buffer 2m\n", 1),
    ("timeout request 10\n", 1),
    ("timeout tea 10s\n", 1),
    ("name two words\n", 1),
    ("log-level loud\n", 1),
    ("allow to\n", 1),
    ("allow to any to public\n", 1),
    ("allow to 10.0.0.1/8\n", 1),
    ("allow from example.com\n", 1),
    ("deny port 0\n", 1),
    ("deny port 9-5\n", 1),
    ("allow everything\n", 1),
)


def a_bad_configuration_is_located_and_never_used():
    """Goal: exit 2 with FILE:LINE and what is wrong."""
    path = os.path.join(settings.directory, "bad.conf")
    for text, number in BAD:
        with open(path, "w", newline="") as file:
            file.write(text)
        for check in ([], ["-n"]):
            result = run("-f", path, *check)
            equal((result.returncode, result.stdout), (2, ""), repr(text))
            assert re.search(r"(?m)(^|: )%s:%d: \S" % (re.escape(path), number),
                             result.stderr), (text, result.stderr)


def a_missing_configuration_file_is_an_error():
    """Goal: a file that was named must be there."""
    path = os.path.join(settings.directory, "not-there.conf")
    result = run("-f", path)
    equal(result.returncode, 2)
    assert path in result.stderr, result.stderr


def options_override_the_file_and_their_rules_come_first():
    """Goal: -o wins over a single-valued directive and stands in front."""
    options = ("-o", "deny to 127.0.0.2", "-o", "name from-option")
    with Daemon("name from-file", ALLOW_LOOPBACK, options=options) as proxy:
        answer = connect(proxy, "127.0.0.2:443")
        equal(answer.status, 403, repr(answer.raw))
        assert answer.headers["proxy-status"].startswith("from-option;"), (
            answer.raw)


def an_address_in_use_is_said_and_is_the_end():
    """Goal: exit 1 and the address, if it cannot listen."""
    with listener() as taken:
        result = run("-f", "/dev/null", "-o", "listen " + authority(taken))
        equal(result.returncode, 1, result.stderr)
        assert authority(taken) in result.stderr, result.stderr


# ---- signals ----------------------------------------------------------------

def usr1_tells_what_happened_so_far():
    """Goal: one line of statistics that adds up."""
    with Daemon(ALLOW_LOOPBACK) as proxy, refusing_port() as closed:
        with tunnel(proxy, b"abc") as (client, target):
            equal(read_exactly(target, 3), b"abc")
            target.sendall(b"defgh")
            equal(read_exactly(client, 5), b"defgh")
            equal(proxy.statistics()["tunnels"], 1)
        connect(proxy, authority(closed))
        proxy.tunnels(2)
        found = proxy.statistics()
        wanted = {"accepted": 2, "tunnels": 0, "established": 1, "refused": 1,
                  "evicted": 0, "limited": 0, "up": 3, "down": 5,
                  "lost-lines": 0}
        equal({key: found[key] for key in wanted}, wanted)
        assert found["most"] in (1, 2) and 0 <= found["uptime-s"] < 60, found


def hup_leaves_the_tunnels_alone():
    """Goal: a hangup is no reason to drop anybody."""
    with Daemon(ALLOW_LOOPBACK) as proxy, tunnel(proxy) as pair:
        proxy.signal(signal.SIGHUP)
        proxy.statistics()      # the signals before it have been handled
        check_carries(*pair)
        with tunnel(proxy) as another:
            check_carries(*another)


def begin_drain(proxy):
    """TERM; nobody listens any more.  A connection is made only when its
    outcome is known, because one that comes between is a client."""
    before = proxy.descriptors()
    proxy.signal(signal.SIGTERM)
    wait_until(lambda: proxy.descriptors() == before - 1,
               "the listener to close")
    try:
        open_to(proxy.address).close()
    except ConnectionRefusedError:
        return
    raise AssertionError("a newcomer is not refused")


def check_exit(proxy, low, high):
    start = time.monotonic()
    equal(proxy.process.wait(DEADLINE), 0, "exit status")
    between(low, time.monotonic() - start, high, "seconds to the exit")


def term_lets_a_running_transfer_finish():
    """Goal: new clients are turned away, the old ones served to their end,
    and then it exits with 0."""
    answer = payload(8 * MIB)
    with Daemon(ALLOW_LOOPBACK, "timeout drain 10s") as proxy:
        with tunnel(proxy) as (client, target):
            target.sendall(answer[:KIB])
            equal(read_exactly(client, KIB), answer[:KIB])
            begin_drain(proxy)

            def rest():
                target.sendall(answer[KIB:])
                finish(target)

            _, (got, was_reset) = together(rest, lambda: read_to_end(client))
            assert got == answer[KIB:] and not was_reset, len(got)
            equal(proxy.process.poll(), None, "exit before the end")
        check_exit(proxy, 0, 2)
        line, = proxy.tunnels(1)
        equal((line["end"], line["down"]), ("target-fin", str(len(answer))))


def a_second_term_ends_everything_at_once():
    """Goal: it can be stopped without waiting for anybody."""
    for second in (signal.SIGTERM, signal.SIGINT):
        with Daemon(ALLOW_LOOPBACK, "timeout drain 30s") as proxy, \
                tunnel(proxy) as (client, target):
            begin_drain(proxy)
            check_carries(client, target)
            proxy.signal(second)
            check_exit(proxy, 0, 1)
            equal(read_to_end(client), (b"", True))
            equal(read_to_end(target), (b"", True))
            line, = proxy.tunnels(1)
            equal(line["end"], "stopped")


def the_drain_has_an_end():
    """Goal: after `timeout drain` what still runs is cut, and it exits 0."""
    with Daemon(ALLOW_LOOPBACK, "timeout drain 500ms") as proxy, \
            tunnel(proxy) as (client, _):
        proxy.signal(signal.SIGTERM)
        check_exit(proxy, 0.4, 1.5)
        equal(read_to_end(client), (b"", True))
        line, = proxy.tunnels(1)
        equal(line["end"], "stopped")


def term_without_tunnels_is_the_end_at_once():
    """Goal: there is nothing to drain."""
    with Daemon(ALLOW_LOOPBACK, "timeout drain 30s") as proxy:
        proxy.signal(signal.SIGTERM)
        check_exit(proxy, 0, 1)


# ---- the log ----------------------------------------------------------------

ACCESS_LINE = re.compile(
    r"tunnel client=127\.0\.0\.1:(?P<client>\d+) user=- target=(?P<target>\S+) "
    r"via=- address=(?P<address>\S+) status=(?P<status>\d+) end=(?P<end>\S+) "
    r"up=(?P<up>\d+) down=(?P<down>\d+) ms=(?P<ms>\d+) "
    r"setup-ms=(?P<setup>\d+|-) dns-ms=(?P<dns>\d+|-)(?P<rule> rule=\S+)?")


def access_line(proxy):
    line, = wait_until(lambda: proxy.lines("tunnel "), "the access line")
    match = ACCESS_LINE.fullmatch(line)
    assert match, line
    return match.groupdict()


def the_access_line_of_a_tunnel_is_exact():
    """Goal: one line, every field, bytes counted without our reply."""
    with Daemon(ALLOW_LOOPBACK, hosts="127.0.0.1 host.test\n") as proxy, \
            listener() as server:
        name = "host.test:%d" % port_of(server)
        with connect(proxy, "HOST.test:%d" % port_of(server),
                     payload(12345)).sock as client, accept(server) as target:
            finish(client)
            equal(len(read_to_end(target)[0]), 12345)
            target.sendall(payload(54321))
            finish(target)
            equal(len(read_to_end(client)[0]), 54321)
            found = access_line(proxy)
            wanted = {
                "client": str(port_of(client)), "target": name,
                "address": authority(server), "status": "200",
                "end": "client-fin", "up": "12345", "down": "54321",
                "dns": "0", "rule": None}
            equal({key: found[key] for key in wanted}, wanted)
            assert int(found["setup"]) <= int(found["ms"]) < 10000, found


def the_access_line_of_a_refusal_is_exact():
    """Goal: what is not known is a hyphen; the rule that decided is named."""
    deny = "deny to 127.0.0.2 port 443"
    with Daemon(deny, ALLOW_LOOPBACK) as proxy:
        with open_to(proxy.address) as client:
            port = port_of(client)
            client.sendall(request("127.0.0.2:443"))
            read_answer(client)
        found = access_line(proxy)
        wanted = {
            "client": str(port), "target": "127.0.0.2:443", "status": "403",
            "end": "destination_ip_prohibited", "up": "0", "down": "0",
            "setup": "-", "dns": "-", "rule": " rule=" + proxy.line_of(deny)}
        equal({key: found[key] for key in wanted}, wanted)


def a_name_of_any_bytes_and_any_length_keeps_the_log_whole():
    """Goal: one line of printable ASCII for each, 512 bytes at most."""
    longest = ".".join(["a" * 63] * 3 + ["a" * 61])
    requests = [longest + ":65535", longest + "a:1"]
    requests += ["h%s.test:443" % chr(byte) for byte in range(1, 256)]
    with Daemon(ALLOW_LOOPBACK) as proxy:
        for target in requests:
            with open_to(proxy.address) as client:
                client.sendall(b"CONNECT %s HTTP/1.1\r\nHost: h\r\n\r\n"
                               % target.encode("latin-1"))
                read_to_end(client)
        lines = proxy.tunnels(len(requests))    # their form: Daemon.check_end
        # However much of the name there is room for, the rest is whole.
        target = lines[0]["target"]
        assert target.startswith(longest[:128]), target
        assert target.endswith(":65535") and "setup-ms" in lines[0], lines[0]


REQUESTS = 3000


def lines_lost(proxy):
    """How many the daemon says that it could not write."""
    told = [re.fullmatch(r"log: (\d+) lines lost", line)
            for line in proxy.lines("log: ")]
    return sum(int(match.group(1)) for match in told)


def a_log_that_nobody_reads_stops_nothing():
    """Goal: 3,000 tunnels pass a full pipe or socket; what could not be
    written is counted, and told once it is read."""
    for log in (LogPipe, LogSocket):
        check_unread_log(log)


def check_unread_log(log):
    with Daemon(ALLOW_LOOPBACK, log=log) as proxy, \
            Origin(lambda sock: sock.sendall(b"x")) as origin:
        for _ in range(REQUESTS):
            with connect(proxy, origin.authority).sock as client:
                equal(client.recv(1), b"x")
        read = len(proxy.lines("tunnel "))
        assert 0 < read < REQUESTS, "%d lines: it was never full" % read
        connect(proxy, origin.authority).sock.close()

        wait_until(lambda: len(proxy.lines("tunnel ")) + lines_lost(proxy)
                   == REQUESTS + 1, "lines read and lost are all")
        equal(proxy.statistics()["lost-lines"], lines_lost(proxy))
        assert all(re.match(r"tunnel .* dns-ms=-$", line)
                   for line in proxy.lines("tunnel ")), "a line was cut"


def standard_error_itself_is_left_blocking():
    """Goal: others who share the description must not be surprised."""
    with Daemon(ALLOW_LOOPBACK, log=LogPipe) as proxy:
        connect(proxy, "192.0.2.1:443")
        proxy.tunnels(1)
        flags = fcntl.fcntl(proxy.log.writer, fcntl.F_GETFL)
        assert not flags & os.O_NONBLOCK, "it is non-blocking"


def closed_standard_descriptors_never_become_a_log():
    """Goal: no log line goes into a socket that got number 2."""
    with listener() as free:
        address = free.getsockname()

    def close_all():
        for descriptor in (0, 1, 2):
            os.close(descriptor)

    def connected():
        with contextlib.suppress(ConnectionRefusedError):
            return open_to(address)

    process = subprocess.Popen(
        [settings.connectd, "-f", "/dev/null", "-o", "listen %s:%d" % address],
        preexec_fn=close_all)
    try:
        with wait_until(connected, "the listener") as client:
            client.sendall(request("127.0.0.1:443"))
            process.send_signal(signal.SIGUSR1)
            check_refusal(read_answer(client), 403,
                          "destination_ip_prohibited")
    finally:
        process.terminate()
        equal(process.wait(DEADLINE), 0, "exit status")


def a_closed_log_pipe_is_no_reason_to_end():
    """Goal: neither SIGPIPE nor EPIPE stops the service."""
    with Daemon(ALLOW_LOOPBACK, log=LogPipe) as proxy:
        proxy.log.close()
        for _ in range(3):
            with tunnel(proxy) as pair:
                check_carries(*pair)
