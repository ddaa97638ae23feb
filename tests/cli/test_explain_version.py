"""`gleaner explain-version` in a project whose stages copy files: what a version was made of, and how to rebuild it."""

import json
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from cli import explain_version
from pipeline.core.errors import UserError
from tasks.registry.store import user_name
from tests.support.flow_project import BIN, tool_environment
from tests.support.registered_versions import register_three_versions, write_raw_rows

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory, prefect_server: str) -> Iterator[Path]:
    """The project with its three versions; its raw data has changed since."""
    with pytest.MonkeyPatch.context() as patch:
        root = register_three_versions(tmp_path_factory.mktemp("versions") / "project", prefect_server, patch)
        write_raw_rows(root, "money back", "never seen")
        yield root


def explain(root: Path, version: str, capsys: pytest.CaptureFixture[str], as_json: bool = True) -> str:
    """The output of `gleaner explain-version`."""
    assert explain_version.main(root, version, as_json) == 0
    return capsys.readouterr().out


def test_the_origin_of_a_version_and_its_changes_are_printed(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    facts = json.loads(explain(project, "2", capsys))
    assert facts["dirty"] == "true" and facts["compared_with"] == "1" and not facts["missing"]
    assert sorted(facts["about"]["changed"]) == ["params.yaml", "pipeline/loud.py", "pipeline/louder.py"]
    assert facts["gate"] == {"status": "pass", "reasons": ["pass: min_accuracy: accuracy 0.9"]}
    difference = facts["difference"]
    assert difference["params"] == {"synonyms.seed": [0, 7], "gate.min_accuracy": [0.7, 0.6]} and list(
        difference["code"]
    ) == ["pipeline/loud.py"]
    assert difference["sources"] == {"raw/rows.csv": [{"files": 1, "bytes": 16}, {"files": 1, "bytes": 28}]}
    printed = explain(project, "2", capsys, as_json=False)
    assert all(text in printed for text in ("synonyms.seed", "28 bytes", "with changes", "pass: min_accuracy"))
    (change,) = facts["limit_changes"]
    assert (change["key"], change["was"], change["now"], change["after"]) == ("gate.min_accuracy", "0.7", "0.6", "pass")
    assert f"limit changed: gate.min_accuracy 0.7 → 0.6, by {user_name()} at " in printed
    assert "money" not in printed
    assert json.loads(explain(project, "1", capsys))["difference"] is None


def test_the_printed_commands_rebuild_a_version_in_a_fresh_folder(
    project: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    commands = json.loads(explain(project, "2", capsys))["rebuild"]
    assert any(line.startswith("git apply") for line in commands)
    assert any(line.startswith("dvc pull") and line.endswith(" ingest") for line in commands)
    env = tool_environment(project)
    done = subprocess.run(
        ["bash", "-e", "-c", "\n".join(commands)],
        cwd=tmp_path,
        env=env | {"PATH": f"{BIN}:{env['PATH']}"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0 and done.stdout.endswith("bit for bit\n"), done.stdout + done.stderr
    assert (tmp_path / "gleaner-demo-2" / "data" / "shout" / "rows.csv").read_text().endswith("PARCEL LATE\n!")


def test_outside_git_a_version_is_explained_without_the_commands(
    project: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    shutil.copytree(project, tmp_path / "copy", ignore=shutil.ignore_patterns(".git"))
    with pytest.raises(UserError, match="expected a project that DVC can read, found: .*not a git repository"):
        explain_version.main(tmp_path / "copy", "1", True)
    settings = tmp_path / "copy" / ".dvc" / "config"
    settings.write_text(settings.read_text().replace("[core]", "[core]\n    no_scm = true"))
    facts = json.loads(explain(tmp_path / "copy", "1", capsys))
    assert facts["rebuild"] is None and facts["commit"]
    message = "expected a git repository to check gleaner-demo version 1 out from"
    assert any(message in line for line in facts["missing"])
