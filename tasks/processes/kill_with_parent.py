"""Run a command that ends when the process that started it is gone, even if that was killed with kill -9.

    python kill_with_parent.py COMMAND...

The parent holds the other end of stdin open. When it closes, this script ends its whole process group. It imports the
standard library only, so that starting it takes hundredths of a second.
"""

import os
import signal
import subprocess
import sys
import threading
import time

GRACE = 5.0  # seconds between SIGTERM and SIGKILL


def main(command: list[str]) -> int:
    """Run the command in this process's group, and return its exit code as a shell gives it."""
    # The command gets SIGTERM, too, and ends by itself. A child inherits an ignored signal, but not a handler.
    signal.signal(signal.SIGTERM, lambda *_: None)
    child = subprocess.Popen(command, stdin=subprocess.DEVNULL)
    parent_gone = threading.Event()
    watcher = threading.Thread(target=end_group_with_parent, args=[parent_gone], daemon=True)
    watcher.start()
    code = child.wait()
    if parent_gone.is_set():
        watcher.join()  # other members of the group may ignore SIGTERM
    return code if code >= 0 else 128 - code


def end_group_with_parent(parent_gone: threading.Event) -> None:
    """Wait until stdin closes, set ``parent_gone``, and end this process's group."""
    while os.read(sys.stdin.fileno(), 1):
        pass
    parent_gone.set()
    os.killpg(0, signal.SIGTERM)
    time.sleep(GRACE)
    os.killpg(0, signal.SIGKILL)


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
