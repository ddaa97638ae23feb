"""Runs a command that ends when the process that started it is gone, even one that had no time to say so (kill -9).

    python leash.py COMMAND...

Whoever starts it holds the other end of its stdin open: when that closes, the whole process group is ended. Needs the
standard library alone, so that it costs some hundredths of a second.
"""

import os
import signal
import subprocess
import sys
import threading
import time

GRACE = 5.0  # seconds from the request to end to the order


def main(command: list[str]) -> int:
    """Run the command in this process's group; its exit code, as a shell gives it."""
    # The command hears of it, too, and ends by itself. A handler isn't inherited; a signal that is ignored would be.
    signal.signal(signal.SIGTERM, lambda *_: None)
    child = subprocess.Popen(command, stdin=subprocess.DEVNULL)
    alone = threading.Event()
    follower = threading.Thread(target=follow, args=[alone], daemon=True)
    follower.start()
    code = child.wait()
    if alone.is_set():
        follower.join()  # others of the group may not have ended when they were asked to
    return code if code >= 0 else 128 - code


def follow(alone: threading.Event) -> None:
    """End this process's group once stdin is closed, which ``alone`` then tells."""
    while os.read(sys.stdin.fileno(), 1):
        pass
    alone.set()
    os.killpg(0, signal.SIGTERM)
    time.sleep(GRACE)
    os.killpg(0, signal.SIGKILL)


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
