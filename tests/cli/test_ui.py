"""`gleaner ui` serves the pages of Prefect and MLflow to whoever has their passwords, until Ctrl-C."""

import re
import signal
import subprocess
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import httpx
import pytest

from cli.ui import mlflow_auth_file
from flows.server_address import announced_server, is_answering
from tests.support.flow_project import BIN, is_listening, tool_environment


def command_lines() -> Iterator[str]:
    """The command lines of all processes of this machine, which every user can read."""
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        with suppress(OSError):  # the process has ended
            yield path.read_text(errors="replace")


@pytest.mark.slow
def test_the_ui_serves_both_pages_until_ctrl_c(tmp_path: Path) -> None:
    for name in ("params.yaml", "dvc.yaml"):
        (tmp_path / name).touch()
    with subprocess.Popen(
        [f"{BIN}/gleaner", "ui"], cwd=tmp_path, env=tool_environment(tmp_path), stdout=subprocess.PIPE
    ) as ui:
        try:
            printed = "".join(ui.stdout.readline().decode() for _ in range(3)) if ui.stdout else ""
            urls = re.findall(r"http://127\.0\.0\.1:\d+", printed)
            assert len(urls) == 2 and is_listening(urls[1])
            server = announced_server(tmp_path / ".prefect")
            assert server and server.url == f"{urls[0]}/api" and is_answering(server.url, server.credentials)
            user, _, password = mlflow_auth_file(tmp_path / ".prefect").read_text().partition(":")
            search = f"{urls[1]}/api/2.0/mlflow/experiments/search?max_results=1"
            assert httpx.get(search, auth=(user, password)).status_code == 200
            assert httpx.get(search).status_code == httpx.get(urls[1]).status_code == 401
            for other in ({"Host": "evil.example:5000"}, {"Origin": "http://evil.example"}):
                assert httpx.get(search, auth=(user, password), headers=other).status_code == 403
            readable = "".join(command_lines())
            assert password not in readable and str(server.credentials) not in readable
        finally:
            ui.send_signal(signal.SIGINT)
    assert ui.returncode == 0 and not any(map(is_listening, urls))
    assert announced_server(tmp_path / ".prefect") is None
