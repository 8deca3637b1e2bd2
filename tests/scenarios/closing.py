"""How the end of one side reaches the other: a FIN as a FIN, a reset as a
reset, and in front of either every byte that was sent before it."""

import select

from .harness import (
    ALLOW_LOOPBACK, KIB, MIB, Daemon, HangingTarget, accept, authority,
    check_silent, connect, equal, finish, listener, open_to, payload,
    read_answer, read_to_end, request, reset, together, tunnel,
    wait_until, wait_until_taken)


def check_half_close(proxy, near, far, end):
    """`near` ends; `far`, which sees it, still has 5 MB to say."""
    answer = payload(5 * MIB)
    near.sendall(b"question")
    finish(near)
    equal(read_to_end(far), (b"question", False))

    def reply():
        far.sendall(answer)
        finish(far)

    _, got = together(reply, lambda: read_to_end(near))
    assert got == (answer, False), "got %d bytes" % len(got[0])
    line, = proxy.tunnels(1)
    equal(line["end"], end)


def a_client_that_half_closes_still_gets_its_large_answer():
    """Goal: the client's FIN ends one direction and not the tunnel."""
    with Daemon(ALLOW_LOOPBACK) as proxy, tunnel(proxy) as (client, target):
        check_half_close(proxy, client, target, "client-fin")


def a_target_that_half_closes_still_gets_the_rest_of_the_client():
    """Goal: the target's FIN ends one direction and not the tunnel."""
    with Daemon(ALLOW_LOOPBACK) as proxy, tunnel(proxy) as (client, target):
        check_half_close(proxy, target, client, "target-fin")


def check_early_end(client, target, early):
    """A client that has sent its FIN behind the head gets its answer."""
    equal(read_to_end(target), (early, False))
    target.sendall(b"answer")
    finish(target)
    equal(read_to_end(client), (b"answer", False))


def a_fin_directly_behind_the_head_is_not_an_abort():
    """Goal: a client may send its whole request, and its end, in advance."""
    with Daemon(ALLOW_LOOPBACK) as proxy, listener() as server:
        for early in (b"", b"early", payload(300 * KIB)):
            with open_to(proxy.address) as client:
                client.sendall(request(authority(server)) + early)
                finish(client)
                equal(read_answer(client).status, 200)
                with accept(server) as target:
                    check_early_end(client, target, early)


def a_fin_while_the_target_is_still_being_reached_is_not_an_abort():
    """Goal: the client's end is kept until there is somebody to tell."""
    with Daemon(ALLOW_LOOPBACK) as proxy, HangingTarget() as server, \
            open_to(proxy.address) as client:
        client.sendall(request(server.authority) + b"early")
        finish(client)
        check_silent(client, 0.2)
        with server.accept() as target:
            equal(read_answer(client).status, 200)
            check_early_end(client, target, b"early")


def check_reset(near, far, size, pace):
    """`near` sends so much, then resets; `far` reads at its own pace."""
    near.sendall(payload(size))
    wait_until_taken(near)      # a reset destroys what is still on our side
    reset(near)
    got, was_reset = read_to_end(far, pace, 8 * KIB)
    assert got == payload(size), "%d of %d bytes" % (len(got), size)
    assert was_reset, "the cut after %d bytes looks like an end" % size


# How much goes before the reset, and the pause of the reader between 8 KiB.
BEFORE_RESET = ((0, 0.0), (1, 0.0), (200 * KIB, 0.0), (200 * KIB, 0.005))


def a_reset_by_the_target_reaches_the_client_behind_all_that_came_before():
    """Goal: a cut is not mistaken for an end, and cuts nothing else off."""
    with Daemon(ALLOW_LOOPBACK) as proxy:
        for size, pace in BEFORE_RESET:
            with tunnel(proxy) as (client, target):
                check_reset(target, client, size, pace)
        ends = [line["end"] for line in proxy.tunnels(len(BEFORE_RESET))]
        equal(set(ends), {"target-reset"})


def a_reset_by_the_client_reaches_the_target_behind_all_that_came_before():
    """Goal: a cut is not mistaken for an end, and cuts nothing else off."""
    with Daemon(ALLOW_LOOPBACK) as proxy:
        for size, pace in BEFORE_RESET:
            with tunnel(proxy) as (client, target):
                check_reset(client, target, size, pace)
        ends = [line["end"] for line in proxy.tunnels(len(BEFORE_RESET))]
        equal(set(ends), {"client-reset"})


def a_reset_by_one_side_that_had_ended_reaches_the_other():
    """Goal: a half-closed tunnel is cut like a whole one."""
    with Daemon(ALLOW_LOOPBACK) as proxy:
        with tunnel(proxy) as (client, target):
            finish(client)
            equal(read_to_end(target), (b"", False))
            check_reset(target, client, 100, 0.0)
        with tunnel(proxy) as (client, target):
            finish(target)
            equal(read_to_end(client), (b"", False))
            check_reset(client, target, 100, 0.0)
        proxy.tunnels(2)


def is_cut(sock):
    """Has a reset arrived?  After an end a read would not tell."""
    poll = select.poll()
    poll.register(sock, 0)      # errors and hang-ups only
    return bool(poll.poll(0))


def a_reset_behind_an_end_tells_the_other_that_its_own_bytes_are_lost():
    """Goal: an upload to a side that ended and then broke off is cut, so
    that it does not seem to have arrived."""
    with Daemon(ALLOW_LOOPBACK) as proxy:
        for order in (1, -1):
            with tunnel(proxy) as pair:
                near, far = pair[::order]
                finish(near)
                equal(read_to_end(far), (b"", False))
                reset(near)
                far.sendall(b"the rest of an upload")
                wait_until(lambda: is_cut(far), "the reset", 2)
        equal([line["end"] for line in proxy.tunnels(2)],
              ["client-reset", "target-reset"])


def a_tunnel_whose_sides_both_break_off_ends_at_once():
    """Goal: what could not be delivered to a side that is gone too is not
    waited for."""
    with Daemon(ALLOW_LOOPBACK) as proxy, \
            tunnel(proxy, buffers=4 * KIB) as (client, target):
        target.sendall(payload(100 * KIB))  # more than the client's system has
        wait_until_taken(target)
        reset(target)
        proxy.statistics()                  # so it has seen the reset
        reset(client)
        wait_until(lambda: proxy.lines("tunnel "), "the end", 3)


def three_hundred_tunnels_reset_at_once_leave_no_descriptor_behind():
    """Goal: resets in any number are seen, and cleaned up, at once."""
    with Daemon(ALLOW_LOOPBACK, "tunnels 400", "tunnels-per-client 0") \
            as proxy, listener() as server:
        before = proxy.descriptors()
        pairs = []
        for _ in range(300):
            client = connect(proxy, authority(server)).sock
            pairs.append((client, accept(server)))
        equal(proxy.descriptors() - before, 600, "descriptors of the tunnels")
        for number, (client, target) in enumerate(pairs):
            reset(client if number % 2 else target)
        wait_until(lambda: proxy.descriptors() == before,
                   "all descriptors back", 2)
        ends = [line["end"] for line in proxy.tunnels(300)]
        equal((ends.count("client-reset"), ends.count("target-reset")),
              (150, 150))
        equal(proxy.statistics()["tunnels"], 0)


def a_client_that_resets_while_its_target_is_being_reached_is_let_go():
    """Goal: nobody holds a slot for a client that is gone."""
    with Daemon(ALLOW_LOOPBACK) as proxy, HangingTarget() as server:
        before = proxy.descriptors()
        client = open_to(proxy.address)
        client.sendall(request(server.authority))
        wait_until(lambda: proxy.descriptors() == before + 2, "the attempt")
        reset(client)
        line, = proxy.tunnels(1)
        equal((line["end"], line["status"]), ("client-gone", "0"))
        equal(line["setup-ms"], "-")
        wait_until(lambda: proxy.descriptors() == before, "descriptors back")


def a_client_that_leaves_within_its_head_is_let_go():
    """Goal: an end or a reset before the empty line ends the connection."""
    with Daemon(ALLOW_LOOPBACK) as proxy:
        for leave in (finish, reset):
            for sent in (b"", b"CONNECT 127.0.0.1:443 HTTP/1.1\r\nHo"):
                client = open_to(proxy.address)
                client.sendall(sent)
                leave(client)
                if leave is finish:
                    raw, was_reset = read_to_end(client)
                    assert not was_reset, raw
                    assert raw == b"" or b" 400 " in raw[:13], raw
                    client.close()
        proxy.tunnels(4)
        equal(proxy.statistics()["tunnels"], 0)


def both_sides_may_end_at_once():
    """Goal: crossing FINs end the tunnel in order, with all bytes."""
    with Daemon(ALLOW_LOOPBACK) as proxy:
        for _ in range(50):
            with tunnel(proxy) as (client, target):
                client.sendall(b"up")
                target.sendall(b"down")
                finish(client)
                finish(target)
                equal(read_to_end(client), (b"down", False))
                equal(read_to_end(target), (b"up", False))
        for line in proxy.tunnels(50):
            assert line["end"] in ("client-fin", "target-fin"), line
            equal((line["up"], line["down"]), ("2", "4"))
