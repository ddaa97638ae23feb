"""Registering versions: aliases, lineage, one version for each dvc.lock, and the push of the data."""

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from pipeline.core.errors import UserError
from pipeline.core.params import Params, to_yaml
from tasks import registry
from tasks.git.lineage import json_digest, lineage_tags
from tests.support.registering import LOCK, change_lock, git

BIN = Path(sys.executable).parent


def test_the_first_version_becomes_champion_and_the_next_is_only_challenger(
    project: Path, local: Params, opened: registry.Run
) -> None:
    first = registry.register_or_reuse(project, local, opened)
    assert (first.number, first.aliases, first.is_new) == ("1", ("challenger", "champion"), True)
    change_lock(project)
    second = registry.register_or_reuse(project, local, opened)
    assert (second.number, second.aliases, second.is_new) == ("2", ("challenger",), True)
    assert registry.aliases_of(opened.client, second.model, "1") == ("champion",)


def test_the_same_lock_file_is_registered_once(project: Path, local: Params, opened: registry.Run) -> None:
    registry.register_or_reuse(project, local, opened)
    reordered = {**LOCK, "stages": dict(reversed(LOCK["stages"].items()))}  # type: ignore[attr-defined]
    (project / "dvc.lock").write_text(to_yaml(reordered))
    again = registry.register_or_reuse(project, local, opened)
    assert (again.number, again.is_new) == ("1", False)
    assert len(opened.client.search_model_versions(f"name = '{again.model}'")) == 1


def test_a_version_has_its_lineage_as_tags(project: Path, local: Params, opened: registry.Run) -> None:
    version = registry.register_or_reuse(project, local, opened)
    tags = opened.client.get_model_version(version.model, version.number).tags
    assert tags["gleaner.git_commit"] == git(project, "rev-parse", "HEAD") and tags["gleaner.git_dirty"] == "false"
    assert tags["gleaner.dvc_lock"] == json_digest(LOCK)
    assert tags["gleaner.data"] == json_digest({"data/ingest/train.parquet": "1"})
    assert tags["gleaner.params"] == json_digest(local.model_dump(mode="json"))
    assert tags["gleaner.flow_run"] == "flow-1"


def test_a_changed_file_makes_the_lineage_dirty_and_the_lock_file_does_not(project: Path, local: Params) -> None:
    git(project, "add", "dvc.lock")
    git(project, "commit", "-q", "-m", "lock")
    change_lock(project)
    assert lineage_tags(project, local)["gleaner.git_dirty"] == "false"
    (project / "dvc.yaml").write_text("stages: {} \n")
    assert lineage_tags(project, local)["gleaner.git_dirty"] == "true"


def test_without_git_the_lineage_has_no_commit(project: Path, local: Params, tmp_path: Path) -> None:
    (project / ".git").rename(tmp_path / "elsewhere")
    tags = lineage_tags(project, local)
    assert tags["gleaner.git_commit"].startswith("none: ") and tags["gleaner.git_dirty"] == "unknown"


def test_the_data_is_pushed_and_a_push_that_fails_registers_nothing(
    project: Path, params: Callable[..., Params], opened: registry.Run
) -> None:
    (project / "dvc.lock").unlink()
    stage = {"cmd": "mkdir -p data/ingest && echo 1 > data/ingest/train.parquet", "outs": ["data/ingest/train.parquet"]}
    (project / "dvc.yaml").write_text(to_yaml({"stages": {"ingest": stage}}))
    for command in (["init", "-q"], ["repro", "-q"]):
        subprocess.run([BIN / "dvc", *command], cwd=project, check=True)
    with pytest.raises(UserError, match=r"registry\.push: .* no remote specified .* nothing is registered"):
        registry.register_or_reuse(project, params(), opened)
    assert not opened.client.search_registered_models()
    subprocess.run([BIN / "dvc", "remote", "add", "-q", "-d", "near", project / "remote"], cwd=project, check=True)
    assert registry.register_or_reuse(project, params(), opened).is_new
    assert any(path.is_file() for path in (project / "remote").rglob("*"))
