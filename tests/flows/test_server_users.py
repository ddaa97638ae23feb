"""The owner of a Prefect server waits for the runs that use it."""

import threading
from pathlib import Path

import pytest

from flows.server_users import WAITING, is_used, using_server, wait_for_users


def test_the_owner_waits_until_no_run_uses_its_server_and_says_so(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    owner = threading.Thread(target=wait_for_users, args=(tmp_path,))
    with using_server(tmp_path):
        with using_server(tmp_path):
            assert is_used(tmp_path)
        owner.start()
        owner.join(1)
        assert owner.is_alive() and capsys.readouterr().err == f"{WAITING}\n"
    owner.join(5)
    assert not owner.is_alive() and not is_used(tmp_path)
    wait_for_users(tmp_path)
    assert capsys.readouterr().err == ""
