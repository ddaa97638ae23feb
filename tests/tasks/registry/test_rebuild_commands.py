"""The commands of `explain-version`: whatever the store holds, a shell that runs them runs nothing else."""

import shlex
import subprocess
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from pipeline.core.errors import UserError
from tasks.dvc.lock_file import is_lock
from tasks.dvc.store import open_dvc_store
from tasks.registry.rebuild_commands import download_commands, encoder_commands, stage_commands
from tasks.registry.registered_version import RegisteredVersion
from tests.support.flow_project import BIN
from tests.support.registering import git

HOSTILE = ["x; touch owned", "$(touch owned)", "`touch owned`", "-rf", "a\ntouch owned", "a b", "\x1b[2J", "", "../x"]


class Version(RegisteredVersion):
    """A version whose params name this encoder."""

    def params(self) -> dict[str, Any]:
        return {"encoder": {"source": "path", "name": self.tags["encoder"]}}


def version(**changes: Any) -> Version:
    """A version whose store was changed by somebody."""
    values: dict[str, Any] = {"client": None, "model": "m", "number": "1", "aliases": (), "tags": {}, "run": "r"}
    return Version(**(values | {"registered": datetime.now(UTC)} | changes))


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A git and DVC project without data."""
    folder = tmp_path_factory.mktemp("project")
    git(folder, "init", "-q")
    subprocess.run([f"{BIN}/dvc", "init", "-q"], cwd=folder, check=True)
    git(folder, "commit", "-q", "-m", "first")
    return folder


def lock(*names: str) -> dict[str, Any]:
    """A dvc.lock in which each stage reads raw data that is not in git."""
    return {"stages": {name: {"deps": [{"path": "raw", "md5": "1", "size": 1}]} for name in names}}


@pytest.mark.parametrize("name", HOSTILE)
def test_a_stage_with_an_odd_name_is_refused(root: Path, name: str) -> None:
    made = version(tags={"gleaner.git_commit": git(root, "rev-parse", "HEAD")})
    with open_dvc_store(root) as dvc_store, pytest.raises(UserError, match="m version 1: expected names of stages"):
        stage_commands(root, made, lock("ingest", name), dvc_store)


def test_usual_names_are_printed_as_they_are(root: Path) -> None:
    made = version(tags={"gleaner.git_commit": git(root, "rev-parse", "HEAD")})
    with open_dvc_store(root) as dvc_store:
        commands = stage_commands(root, made, lock("back_translate", "train@2", "a-b.c"), dvc_store)
    assert commands[1] == "dvc pull --remote recorded back_translate train@2 a-b.c"


@pytest.mark.parametrize("text", HOSTILE)
def test_the_id_of_a_run_and_the_folder_of_an_encoder_are_single_words(tmp_path: Path, text: str) -> None:
    (command,) = [line for line in download_commands(tmp_path, version(run=text)) if "download" in line]
    assert shlex.split(command) == ["mlflow", "artifacts", "download", "--run-id", text, "--dst-path", "recorded"]
    (tmp_path / "fresh").mkdir()
    (tmp_path / "project").mkdir()
    (linked,) = encoder_commands(tmp_path / "project", version(tags={"encoder": f"{text}e"}))
    subprocess.run(["bash", "-c", linked], cwd=tmp_path / "fresh", check=True, capture_output=True)
    assert not list(tmp_path.rglob("owned"))


@pytest.mark.parametrize("commit", [*HOSTILE, "HEAD", "a" * 39, "A" * 40])
def test_a_commit_that_is_none_is_refused(tmp_path: Path, commit: str) -> None:
    with pytest.raises(UserError, match="expected a git commit of hexadecimal digits"):
        _ = version(tags={"gleaner.git_commit": commit}).commit


NO_LOCKS: list[object] = [
    None,
    [],
    {},
    {"stages": []},
    {"stages": {"a": 1}},
    {"stages": {"a": {"outs": [1]}}},
    {"stages": {1: {}}},
]


@pytest.mark.parametrize("content", NO_LOCKS)
def test_a_file_that_is_no_lock_is_told_apart(content: Any) -> None:
    assert not is_lock(content) and is_lock(lock("a"))


DEEP = b"[" * 9999


@pytest.mark.parametrize(
    ("read", "recorded"),
    [
        *((Version.about, content) for content in (b"[]", b"no JSON", DEEP, b"{}", b'{"environment": 3}')),
        *((Version.gate, content) for content in (b"[]", b"no JSON", DEEP, b'{"status": "pass"}')),
        *((Version.lock, content) for content in (b"[]", b"stages: 3", DEEP, b"a: *b", b"\xff\xfe\x00")),
    ],
)
def test_a_record_that_somebody_changed_is_one_line(
    read: Any, recorded: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Version, "read_artifact", lambda self, path: recorded)
    with pytest.raises(UserError, match="^m version 1: .*expected ") as raised:
        read(version())
    assert "\n" not in str(raised.value)
