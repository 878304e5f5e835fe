"""Stands between a server and who started it, so that no server outlives its starter.

A script of its own (standard library only). It starts the server, writes its process id to
standard output, and waits for either end: the server's, whose exit code it passes on, or
its starter's. The starter holds the other end of standard input, which the system closes
however the starter dies; then the server is ended and its temporary directory removed.
With `--leave` it starts the server and goes, and the server stays.
"""

from __future__ import annotations

import argparse
import os
import shutil
import signal
import subprocess
import sys
import threading

GRACE_S = 5.0


def main() -> None:
    """Start the server named on the command line and guard it."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--uid", type=int)
    parser.add_argument("--gid", type=int)
    parser.add_argument("--stop-signal", type=int, default=signal.SIGTERM)
    parser.add_argument("--remove", help="directory to remove when the starter has died")
    parser.add_argument("--leave", action="store_true")
    parser.add_argument("command", nargs="+")
    options = parser.parse_args()

    server = subprocess.Popen(
        options.command,
        stdin=subprocess.DEVNULL,
        stdout=sys.stderr,
        start_new_session=True,
        user=options.uid,
        group=options.gid,
        extra_groups=None if options.uid is None else [],
    )
    print(server.pid, flush=True)
    if options.leave:
        os._exit(0)  # without waiting for the server, which is now the system's child

    ending = threading.Event()

    def end_with_the_starter() -> None:
        sys.stdin.buffer.read()
        ending.set()
        server.send_signal(options.stop_signal)
        try:
            server.wait(GRACE_S)
        except subprocess.TimeoutExpired:
            server.kill()
            server.wait()
        if options.remove:
            shutil.rmtree(options.remove, ignore_errors=True)

    watch = threading.Thread(target=end_with_the_starter, daemon=True)
    watch.start()
    code = server.wait()
    if ending.is_set():
        watch.join()
    os._exit(code if code >= 0 else 128 - code)  # not sys.exit: the watching thread may still be reading


if __name__ == "__main__":
    main()
