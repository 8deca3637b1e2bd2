#!/usr/bin/env python3
# SPDX-License-Identifier: ISC
"""Plant one bug at a time in a copy of the sources; the simulator must find
each within SEEDS seeds.  A simulator that misses one is mended, not the list.

usage: plants.py BUILD_DIR COMMAND [WORDS]      from the top of the tree
BUILD_DIR holds the objects of a good simulator.  COMMAND builds another one:
COMMAND SOURCE_DIR OUTPUT_DIR MODULE  (only MODULE differs from the objects that
are in OUTPUT_DIR already).  With WORDS only the plants whose name has them.
"""

import glob
import os
import shutil
import subprocess
import sys

SEEDS = 200

# (what it is, module, what stands there, what is planted)
PLANTS = [
    ("a descriptor without a wish stays in the set", "sys",
     "if (events == 0 || w->n == w->max)", "if (w->n == w->max)"),
    ("POLLIN stays on while the ring is full", "relay",
     "bool in = whole && is_open(r, &r->up);",
     "bool in = whole && r->up.state == FLOW_OPEN;"),
    ("POLLOUT stays on while there is nothing to send", "relay",
     "wish(in, holds(&r->up))", "wish(in, true)"),
    ("the FIN is not passed on", "relay",
     "\tsys_shutdown(sink);\n", ""),
    ("the FIN is passed on in front of the last bytes", "relay",
     "if (f->state != FLOW_EOF || holds(f))", "if (f->state != FLOW_EOF)"),
    ("the end of one side ends both", "relay",
     "\tif (r->phase == RELAY_HALF)\n\t\tr->phase = RELAY_DONE;",
     "\tif (r->phase != RELAY_CUT)\n\t\tr->phase = RELAY_DONE;"),
    ("a reset is taken for an end", "relay",
     "\telse if (n == 0)\n\t\tf->state = FLOW_EOF;",
     "\telse if (n != -EAGAIN)\n\t\tf->state = FLOW_EOF, n = 0;"),
    ("a short write counts as a whole one", "relay",
     "relay_take(f, (size_t)n);", "relay_take(f, ring_used(&f->ring));"),
    ("EINTR is an error of the connection", "sys",
     "if (errno == EINTR || errno == EAGAIN || errno == EWOULDBLOCK)\n"
     "\t\treturn -EAGAIN;\n\t/*",
     "if (errno == EAGAIN || errno == EWOULDBLOCK)\n\t\treturn -EAGAIN;\n"
     "\t/*"),
    ("HUP is taken for the end", "relay",
     "\tif (r->phase == RELAY_CUT)\n\t\treturn step_cut(r, now);\n",
     "\tif (r->phase == RELAY_CUT)\n\t\treturn step_cut(r, now);\n"
     "\tif (sys_got(w, r->client.wait) & POLLHUP)\n"
     "\t\treturn cut(r, &r->client, now);\n"),
    ("a half-closed side is not listened to", "relay",
     "bool whole = r->phase == RELAY_WHOLE || r->phase == RELAY_HALF;",
     "bool whole = r->phase == RELAY_WHOLE;"),
    ("a full sink is not asked again", "relay",
     "\tif (was_empty || sink_ready)\n", "\tif (was_empty)\n"),
    ("a source is read until it is empty", "relay",
     "\t\tin = relay_receive(f, source->fd);\n",
     "\t\twhile ((in = relay_receive(f, source->fd)) > 0 &&\n"
     "\t\t    relay_has_room(f) && relay_send(f, sink->fd) > 0)\n"
     "\t\t\t;\n"),
    ("a dead peer is never noticed", "sys",
     "\tset_on(fd, SOL_SOCKET, SO_KEEPALIVE);\n", ""),
    ("spurious readiness is an end of file", "relay",
     "\telse if (n == 0)\n\t\tf->state = FLOW_EOF;",
     "\telse if (n == 0 || n == -EAGAIN)\n\t\tf->state = FLOW_EOF;"),
    ("readiness renews the idle deadline", "tunnel",
     "if (relay_step(&t->relay, w, is_strict(), now) > 0)",
     "if (relay_step(&t->relay, w, is_strict(), now) >= 0)"),
    ("deadlines are looked at only when poll says nothing", "tunnel",
     "\tfor (q = Q_REQUEST; q < QUEUES; q++)\n\t\texpire_queue(q, now);\n}",
     "\tfor (i = 0; i < w->n; i++)\n\t\tif (w->pfd[i].revents != 0)\n"
     "\t\t\treturn;\n"
     "\tfor (q = Q_REQUEST; q < QUEUES; q++)\n\t\texpire_queue(q, now);\n}"),
    ("bytes of the head renew its deadline", "tunnel",
     "\tif (n == -EAGAIN)\n\t\treturn;\n\tif (n < 0 || (n == 0",
     "\tif (n == -EAGAIN)\n\t\treturn;\n\trenew(t, now);\n"
     "\tif (n < 0 || (n == 0"),
    ("a refusal is closed in front of unread input", "tunnel",
     "\tif (r->down.state == FLOW_SHUT && r->up.state == FLOW_EOF)",
     "\tif (r->down.state == FLOW_SHUT)"),
    ("the losers of a race stay open", "dial",
     "\t\tfd = detach(d, a);\n\t\tdial_cancel(d);",
     "\t\tfd = detach(d, a);"),
    ("a failed attempt stays open", "dial",
     "\tsys_close(&fd);\n\tnote_failure", "\tnote_failure"),
    ("accepting goes on at once without descriptors", "connectd",
     "proxy.accept_after = now + ACCEPT_PAUSE_MS;",
     "proxy.accept_after = now;"),
    ("accepting does not stop", "connectd",
     "i < ACCEPTS_MAX && tunnel_room", "i < 1000000 && tunnel_room"),
    ("accepting begins again much later", "connectd",
     "proxy.accept_after = now + ACCEPT_PAUSE_MS;",
     "proxy.accept_after = now + 100 * ACCEPT_PAUSE_MS;"),
    ("one of two listeners is not asked", "connectd",
     "\tfor (i = 0; i < proxy.listeners; i++)\n\t\tif (sys_got(",
     "\tfor (i = 0; i < 1; i++)\n\t\tif (sys_got("),
    ("SIGPIPE may be raised", "sys",
     "sendmsg(fd, &m, MSG_NOSIGNAL)", "sendmsg(fd, &m, 0)"),
    ("an accepted socket blocks", "sys",
     "if (client->family == 0 || set_flags(fd) < 0) {",
     "if (client->family == 0) {"),
    ("a descriptor is closed twice", "sys",
     "\t\t(void)close(*fd);\n\t*fd = -1;", "\t\t(void)close(*fd);"),
    ("the second part of a ring is one byte off", "ring",
     "\tpart[1].p = r->base;", "\tpart[1].p = r->base + 1;"),
    ("writable means connected", "sys",
     "return errno == ENOTCONN ? 0 : -errno;",
     "return errno == ENOTCONN ? 1 : -errno;"),
    ("early data is dropped", "tunnel",
     "\trelay_take(up, (size_t)n);\n\tenter",
     "\trelay_take(up, ring_used(r));\n\tenter"),
    ("denied addresses are dialled with the allowed", "reach",
     "if (v.action != ALLOW) {\n", "if (v.action != ALLOW && i == 0) {\n"),
    ("addresses that come late are not judged", "reach",
     "if (v.action != ALLOW) {\n",
     "if (v.action != ALLOW && r->dial.next == 0) {\n"),
    ("the own listener is a target", "reach",
     "\t\tif (own[i].port != a->port)\n\t\t\tcontinue;",
     "\t\tif (own[i].port == a->port)\n\t\t\tcontinue;"),
    ("the race is over while a family is on its way", "reach",
     "\t\trc = -EAGAIN;", "\t\trc += 0;"),
    ("deadlines do not wake poll", "tunnel",
     "\t\t\tsys_due(w, t->since + patience(q));\n", "\t\t\t(void)w;\n"),
    ("poll sleeps a second too long", "sys",
     "\treturn (int)(deadline - now);\n",
     "\treturn (int)(deadline - now) + 1000;\n"),
    ("a signal does not wake poll", "sys",
     "\t(void)!write(sys.signal_write, \"\", 1);\n", ""),
    ("the pipe of the signals blocks", "sys",
     "if ((rc = set_flags(fd[0])) < 0 || (rc = set_flags(fd[1])) < 0)",
     "if ((rc = 0) < 0)"),
    ("the end of a side is read again and again", "relay",
     "\treturn f->state == FLOW_OPEN && ring_space(&f->ring) > 0;",
     "\treturn f->state != FLOW_SHUT && ring_space(&f->ring) > 0;"),
    ("a connect that fails at once leaves its socket", "sys",
     "\terror = errno;\n\tsys_close(&fd);\n\treturn -error;",
     "\terror = errno;\n\treturn -error;"),
    ("a file that was read stays open", "sys",
     "\terror = errno;\n\tsys_close(&fd);\n\tif (got < 0)",
     "\terror = errno;\n\tif (got < 0)"),
    ("a second TERM is not heard", "connectd",
     "\t\tproxy.drain_until = now;\n\t\treturn;", "\t\treturn;"),
    ("TERM does not close the listeners", "connectd",
     "\tfor (i = 0; i < proxy.listeners; i++)\n"
     "\t\tsys_close(&proxy.listener[i].fd);\n\tproxy.listeners = 0;\n",
     "\t(void)i;\n"),
    ("a request has a quarter of its time", "tunnel",
     "\t\treturn timeout[TIMEOUT_REQUEST];",
     "\t\treturn timeout[TIMEOUT_REQUEST] / 4;"),
    ("connecting has a tenth of its time", "tunnel",
     "\t\treturn timeout[TIMEOUT_CONNECT];",
     "\t\treturn timeout[TIMEOUT_CONNECT] / 10;"),
    ("only the first address is tried", "dial",
     "while (n > 0 && d->count < ADDRESSES_MAX) {",
     "while (n > 0 && d->count < 1) {"),
    ("refused is told as timed out", "reach",
     "[DIAL_REFUSED] = { 502, \"connection_refused\",",
     "[DIAL_REFUSED] = { 504, \"connection_timeout\","),
    ("timed out is told as unroutable", "reach",
     "[DIAL_TIMEOUT] = { 504, \"connection_timeout\",",
     "[DIAL_TIMEOUT] = { 502, \"destination_ip_unroutable\","),
    ("every connect is a lack of descriptors", "sys",
     "\tint error, fd = new_socket(to, type);\n",
     "\tint error, fd = type == SOCK_STREAM ? -EMFILE :\n"
     "\t    new_socket(to, type);\n"),
    ("the client's end cuts the reply", "tunnel",
     "\tif (r->down.state == FLOW_SHUT && r->up.state == FLOW_EOF)",
     "\tif (r->up.state == FLOW_EOF)"),
    ("every IPv6 address is a client of its own", "tunnel",
     "return a->family == 4 ? 4 : 8;", "return a->family == 4 ? 4 : 16;"),
    ("five more tunnels than one client may have", "tunnel",
     "bool over = limit > 0 && n >= limit;",
     "bool over = limit > 0 && n >= limit + 5;"),
    ("an answer with a wrong id is believed", "dns",
     "\tif (id != q->id)\n", "\tif (id != q->id && id == 0)\n"),
    ("the question of an answer is not compared", "dns",
     "    is_name(&name, q->name, q->name_len);\n}\n\n/* RFC 2308",
     "    (is_name(&name, q->name, q->name_len) || true);\n}\n\n/* RFC 2308"),
    ("the type of an answer is not compared", "dns",
     "return get16(r) == q->type &&", "return get16(r) > 0 &&"),
    ("a query is taken for an answer", "dns",
     "(s->flags & (FLAG_QR | OPCODE)) != FLAG_QR", "(s->flags & OPCODE) != 0"),
    ("addresses of other names are believed", "dns",
     "\t\tif (!is_end(a, &owner))\n", "\t\tif (owner.n == 0)\n"),
    ("additional records are believed", "dns",
     "i < s->answers && !r->bad; i++) {\n\t\tread_record(r, &rec);\n"
     "\t\tif (rec.type != (unsigned)type",
     "i < s->answers + s->others[1] && !r->bad; i++) {\n"
     "\t\tread_record(r, &rec);\n\t\tif (rec.type != (unsigned)type"),
    ("a truncated answer is believed", "dns",
     "\tif (s.flags & FLAG_TC)\n", "\tif (s.flags == 0)\n"),
    ("the socket of an answered question stays open", "query",
     "\tquery_cancel(q);\n\treturn 0;\n}",
     "\tq->way = QUERY_IDLE;\n\tq->fd = -1;\n\treturn 0;\n}"),
    ("an attempt to ask has no deadline", "query",
     "if (rc == -EAGAIN && now >= q->due)",
     "if (rc == -EAGAIN && now >= q->due + 9000000)"),
    ("a failed connect is closed by its error", "query",
     "\tif (fd < 0)\n\t\treturn fd;\n\tq->fd = fd;",
     "\tq->fd = fd;\n\tif (fd < 0)\n\t\treturn fd;"),
    ("all questions have the same id", "query",
     "if (sys_random(&q->question.id, sizeof q->question.id) < 0)",
     "q->question.id = 7;\n\tif (now < 0)"),
    ("an answer over TCP is read as it comes", "query",
     "\tif (q->have < q->need)\n", "\tif (q->have < 3)\n"),
    ("one failing family spoils the other", "resolver",
     "\t\td->rcode = d->query.rcode;\n",
     "\t\td->rcode = d->query.rcode;\n"
     "\t\ts->lookup->answer.list[V4].n = 0;\n"),
    ("localhost is asked for", "resolver",
     "\tif (special != DNS_LOCALHOST)\n", "\tif (special != DNS_NEVER)\n"),
    ("answers are kept longer than they say", "resolver",
     "k->until = now + ttl_ms(s);", "k->until = now + 300000;"),
    ("a chain that goes on elsewhere is not followed", "resolver",
     "\t\task(s, f, a->end, a->end_len, now);",
     "\t\tend_leg(d, NAME_NODATA, 1);"),
    ("the IPv4 inside NAT64 is not judged", "addr",
     "\tif (face[0].classes & CLASS_LOOPBACK)\n\t\treturn n;",
     "\tif (face[0].classes & CLASS_LOOPBACK || true)\n\t\treturn n;"),
    ("a rule for a domain does not match below it", "policy",
     "(m->kind != MATCH_NAME &&\n", "(m->kind == MATCH_NAME &&\n"),
    ("the log counts the 200 as tunnel bytes", "tunnel",
     "return t->relay.down.sent - HTTP_ESTABLISHED_LEN;",
     "return t->relay.down.sent;"),
    ("the log tells the first address, not the one that won", "dial",
     "\t\t*to = d->list[a->to];\n", "\t\t*to = d->list[0];\n"),
    ("the log tells how long the last state took", "tunnel",
     "(long long)(now - t->begun),", "(long long)(now - t->since),"),
    ("the statistics forget what went down", "tunnel",
     "\ttable.totals.down += down_bytes(t);\n", ""),
    ("a tunnel that ends in its head leaves no line", "tunnel",
     "\tlog_access(t, now);\n", "\tif (t->state != T_REQUEST)\n"
     "\t\tlog_access(t, now);\n"),
    ("the clock is the wall's", "sys",
     "clock_gettime(CLOCK_MONOTONIC", "clock_gettime(CLOCK_REALTIME"),
    ("poll waits for ever", "sys",
     "return POLL_MS_MAX;", "return -1;"),
    ("a working tunnel is evicted", "tunnel",
     "struct tunnel *t = table.queue[Q_HALF].head;",
     "struct tunnel *t = table.queue[Q_RELAY].head;"),
    ("one client may have all tunnels", "tunnel",
     "bool over = limit > 0 && n >= limit;",
     "bool over = limit > 0 && n >= limit * 20;"),
    ("TERM does not wait", "connectd",
     "return now >= proxy.drain_until ||",
     "return proxy.drain_until != WAIT_FOREVER ||"),
    ("half-closed tunnels have no deadline", "tunnel",
     "\tcase Q_HALF:\n\tcase Q_CUT:\n\t\treturn",
     "\tcase Q_HALF:\n\t\tbreak;\n\tcase Q_CUT:\n\t\treturn"),
    ("connecting has no deadline", "tunnel",
     "\t\treturn timeout[TIMEOUT_CONNECT];", "\t\treturn WAIT_FOREVER / 2;"),
    ("connecting has two seconds too many", "tunnel",
     "\t\treturn timeout[TIMEOUT_CONNECT];",
     "\t\treturn timeout[TIMEOUT_CONNECT] + 2000;"),
    ("idle tunnels have twice their time", "tunnel",
     "\t\treturn timeout[TIMEOUT_IDLE];",
     "\t\treturn 2 * timeout[TIMEOUT_IDLE];"),
    ("a cut does not wait for delivery", "relay",
     "if (unsent <= 0) {", "if (unsent <= 0 || true) {"),
    ("what the dead had not sent is waited for", "sys",
     "if (getpeername(fd, &there.sa, &len) == -1)\n\t\treturn -errno;\n"
     "\treturn ioctl",
     "(void)there;\n\t(void)len;\n\treturn ioctl"),
    ("lost log lines are forgotten", "sys",
     "sys.log_lost++;", "sys.log_lost += 0;"),
    ("connections are accepted without a slot", "connectd",
     "proxy.accept_after && tunnel_room(w, now);", "proxy.accept_after;"),
    ("the target's first bytes go with the 200", "relay",
     "(f == &r->up || words_are_gone(r));",
     "(f == &r->up || true);"),
    ("a refused client may talk for ever", "tunnel",
     "now - t->reply_begun > REFUSE_TOTAL_MS - REFUSE_IDLE_MS)",
     "now - t->reply_begun > 1000 * REFUSE_TOTAL_MS)"),
    ("the reply is sent twice", "tunnel",
     "\tt->reply_begun = now;\n",
     "\tt->reply_begun = now;\n"
     "\t(void)relay_send(&t->relay.down, t->relay.client.fd);\n"
     "\tif (t->relay.down.ring.len == 0)\n"
     "\t\trelay_say(&t->relay.down, out, http_format_reply(&reply, out));\n"),
    ("the rest of a dead side's bytes is dropped", "relay",
     "(in = relay_receive(f, r->ended->fd)) <= 0)\n\t\tf->state",
     "(in = relay_receive(f, r->ended->fd)) <= 4096)\n\t\tf->state"),
]


def plant(module, old, new, target):
    """Copy the module with the bug in it; the text must be there once."""
    with open(module + ".c", encoding="ascii") as source:
        text = source.read()
    if text.count(old) != 1:
        sys.exit("plants.py: %s.c has %d times: %s" %
                 (module, text.count(old), old))
    with open(target, "w", encoding="ascii") as out:
        out.write(text.replace(old, new))


def run_seeds(sim):
    """What fails first among the seeds; None if none does."""
    run = subprocess.run([sim, "-x", "-s", "1", "-n", str(SEEDS)], check=False,
                         stdout=subprocess.PIPE, universal_newlines=True)
    failed = [line for line in run.stdout.splitlines()
              if line.startswith("FAILED")]
    return failed[0][7:] if failed else None


def find(build, command, name, module, old, new):
    """Plant it in a simulator of its own, beside the good one."""
    source = os.path.join(build, "source")
    planted = os.path.join(build, "planted")
    for directory in source, planted:
        shutil.rmtree(directory, ignore_errors=True)
        os.makedirs(directory)
    shutil.copy("connectd.h", source)
    plant(module, old, new, os.path.join(source, module + ".c"))
    for good in glob.glob(os.path.join(build, "*.o")):
        shutil.copy(good, planted)
    subprocess.run(["sh", command, source, planted, module], check=True,
                   stderr=subprocess.DEVNULL)
    failed = run_seeds(os.path.join(planted, "sim"))
    print("found  %s: %s" % (name, failed) if failed else "MISSED %s" % name,
          flush=True)
    return failed is not None


def main():
    build, command = sys.argv[1:3]
    only = sys.argv[3] if len(sys.argv) > 3 else ""
    plants = [p for p in PLANTS if only in p[0]]
    failed = run_seeds(os.path.join(build, "sim"))
    if failed:
        sys.exit("plants.py: without any plant: %s" % failed)
    found = sum(find(build, command, *p) for p in plants)
    print("%d of %d plants found within %d seeds each" %
          (found, len(plants), SEEDS))
    print("%d passed, %d failed" % (found, len(plants) - found))
    return found != len(plants)


if __name__ == "__main__":
    sys.exit(main())
