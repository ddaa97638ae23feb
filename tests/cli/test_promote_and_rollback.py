"""`gleaner promote`, `approve`, `rollback` and `history` as a user runs them: SQLite, real Prefect, exit codes."""

from pathlib import Path

import pytest

from tests.support.flow_project import announce_server
from tests.support.promoting import (
    champion_version,
    make_project,
    register_scored,
    run_gleaner,
    set_limits,
    stored_states,
)

pytestmark = pytest.mark.slow


@pytest.fixture
def root(tmp_path: Path, prefect_server: str, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A project with three versions: 1 is champion, 2 is better, 3 is hardly better than 2."""
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    root = make_project(tmp_path / "project")
    set_limits(root)
    for right in (300, 340, 342):
        register_scored(root, right)
    announce_server(root, prefect_server)
    return root


def test_promote_rollback_and_history(root: Path) -> None:
    done = run_gleaner(root, "promote", "--version", "2")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "pass: accuracy is 85% against 75%" in done.stdout and "[promotion.margin]" in done.stdout
    assert "Promoted: gleaner-demo version 2 is champion, after version 1" in done.stdout
    unsure = run_gleaner(root, "promote")
    assert unsure.returncode == 1 and "Verdict: insufficient" in unsure.stdout
    back = run_gleaner(root, "rollback", "--to", "1", "--reason", "too slow")
    assert (back.returncode, champion_version(root)) == (0, "1")
    history = run_gleaner(root, "history", "--at", "2099-01-01T00:00+02:00")
    assert history.returncode == 0
    assert history.stdout.startswith("version 1, champion since ") and history.stdout.endswith("rollback, too slow)\n")
    wrong = run_gleaner(root, "promote", "--version", "9")
    assert wrong.returncode == 2 and "Traceback" not in wrong.stderr + wrong.stdout
    assert "error: gleaner-demo: expected one of 1, 2, 3, found 9; see `gleaner history`\n" in wrong.stderr
    assert stored_states(root) == [
        ("promote", "Promoted"),
        ("promote", "Insufficient"),
        ("rollback", "RolledBack"),
        ("promote", "Failed"),
    ]


def test_a_version_waits_until_it_is_approved(root: Path) -> None:
    set_limits(root, approval="required")
    waiting = run_gleaner(root, "promote", "--version", "2")
    assert waiting.returncode == 1, waiting.stdout + waiting.stderr
    assert "Waiting: version 2 waits for approval until " in waiting.stdout and "Page: " in waiting.stdout
    missing = run_gleaner(root, "approve", "2", "--by", "Ada")
    assert missing.returncode == 2 and "Missing option '--reason'" in missing.stderr
    done = run_gleaner(root, "approve", "2", "--by", "Ada", "--reason", "looks good")
    assert (done.returncode, champion_version(root)) == (0, "2"), done.stdout + done.stderr
    assert done.stdout.endswith("Approved: gleaner-demo version 2 is champion, after version 1\n")
    assert [state for name, state in stored_states(root) if name == "approve"] == ["Approved"]
