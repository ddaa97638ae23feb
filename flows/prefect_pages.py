"""Prefect's pages, which `gleaner ui` and `gleaner schedule` serve; the runs of other commands use their server."""

import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from flows.prefect_server import find_server, free_port, started_server, wait_until_ready
from flows.server_address import ServerAddress, announce, withdraw_announcement
from flows.server_users import wait_for_users


@contextmanager
def prefect_pages(wanted_port: int) -> Iterator[tuple[ServerAddress, subprocess.Popen[bytes] | None]]:
    """Run a block with Prefect's pages; yields their server, and its process if this command started it.

    A run finds the address in a file, so that it shows up in the pages that are open. The end of the block waits for
    the runs that use the server; an interruption ends that wait, too.
    """
    if found := find_server():
        yield found, None
        return
    home = Path(os.environ["PREFECT_HOME"])
    with started_server(free_port(wanted_port), pages=True) as (server, process):
        try:
            wait_until_ready(process, server)
            announce(home, server)
            yield server, process
        finally:
            withdraw_announcement(home)
            if process.poll() is None:
                wait_for_users(home)
