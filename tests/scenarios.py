#!/usr/bin/env python3
"""Play the scenarios against the real connectd, over loopback.

    python3 tests/scenarios.py [-k SUBSTRING] [--connectd PATH] [--slow]

Environment: CONNECTD is the binary; SANITIZED=1 says that it was built with
sanitizers, so that figures of memory mean nothing.
"""

import argparse
import os
import resource
import signal
import sys
import tempfile
import time
import traceback

sys.dont_write_bytecode = True

# "scenarios" is the directory here, not this file: a package comes first.
from scenarios import (
    answers, closing, dns, limits, names, names_safe, relay, running, times)
from scenarios.harness import Daemon, Skip, settings

MODULES = (running, answers, relay, closing, times, names, dns, names_safe,
           limits)

LOG_TAIL = 15           # lines shown of a daemon's log
SCENARIO_MAX = 60       # seconds until a scenario is given up
SLOW_SCENARIO_MAX = 600


def options():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("-k", metavar="SUBSTRING", default="",
                        help="only scenarios whose name contains this")
    parser.add_argument("--connectd", metavar="PATH",
                        default=os.environ.get("CONNECTD", "./connectd"))
    parser.add_argument("--slow", action="store_true",
                        help="move a whole gibibyte each way")
    return parser.parse_args()


def scenarios(substring):
    for module in MODULES:
        for name, function in list(vars(module).items()):
            if (substring in name and callable(function)
                    and (function.__doc__ or "").startswith("Goal:")):
                yield name, function


def raise_descriptor_limit():
    """A thousand clients live in this process."""
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    wanted = 4096 if hard == resource.RLIM_INFINITY else min(4096, hard)
    resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))


def give_up(_signal, _frame):
    raise TimeoutError("the scenario does not end")


def report(name):
    print("FAILED " + name)
    print(traceback.format_exc())
    for number, daemon in enumerate(Daemon.started, 1):
        lines = daemon.log.text().splitlines()
        print("   log of daemon %d, %d lines:" % (number, len(lines)))
        for line in lines[-LOG_TAIL:]:
            print("   | " + line)
    sys.stdout.flush()


def play(name, scenario):
    """True if it passed, False if it failed, None if it was skipped."""
    Daemon.started.clear()
    signal.alarm(SLOW_SCENARIO_MAX if settings.slow else SCENARIO_MAX)
    start = time.monotonic()
    try:
        scenario()
        print("ok %s (%.2f)" % (name, time.monotonic() - start), flush=True)
        return True
    except Skip as why:
        print("skipped %s: %s" % (name, why), flush=True)
        return None
    except Exception:
        report(name)
        return False
    finally:
        signal.alarm(0)


def main():
    given = options()
    settings.connectd = os.path.abspath(given.connectd)
    settings.slow = given.slow
    raise_descriptor_limit()
    signal.signal(signal.SIGALRM, give_up)
    with tempfile.TemporaryDirectory(prefix="connectd-") as directory:
        settings.directory = directory
        results = [play(name, scenario)
                   for name, scenario in scenarios(given.k)]
    print("%d passed, %d failed" % (results.count(True), results.count(False)))
    return 1 if False in results or not results else 0


if __name__ == "__main__":
    sys.exit(main())
