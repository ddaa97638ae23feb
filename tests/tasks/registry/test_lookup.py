"""Registered versions as they are found again: what each was made of, and which version it is compared with."""

import shutil
from dataclasses import replace
from pathlib import Path

import mlflow
import pytest

from pipeline.core.errors import UserError
from pipeline.core.params import Params, read_yaml, to_yaml
from pipeline.policies.gate import GateVerdict
from tasks import registry
from tasks.git.lineage import json_digest
from tasks.registry import lookup
from tests.support.registering import LOCK, change_lock, git


def test_a_version_records_what_its_commit_lacks(project: Path, local: Params, opened: registry.Run) -> None:
    (project / "dvc.yaml").write_text("stages: {} \n")
    opened.log_results(project)
    opened.log_verdict(GateVerdict("pass", ("pass: one", "off: two")))
    registered = registry.register_or_reuse(project, local, opened)
    version = registry.find_version(project, local, registered.number)
    assert (
        version.dirty and version.commit == git(project, "rev-parse", "HEAD") and b"+stages: {} \n" in version.patch()
    )
    assert version.about()["environment"]["libraries"]["mlflow"] == mlflow.__version__
    assert version.gate() == {"status": "pass", "reasons": ["pass: one", "off: two"]}
    assert version.lock() == LOCK and version.params() == read_yaml(project / "params.yaml")
    assert version.metrics()["evaluate.accuracy"] == 0.5
    assert version.lineage["gleaner.dvc_lock"] == json_digest(LOCK) and version.lock_or_none() == LOCK
    same = lookup.get_version(opened.client, registered.model, registered.number)
    assert replace(same, client=version.client) == version and same.aliases == ("challenger", "champion")


def test_a_variable_in_the_params_is_recorded_unexpanded(
    project: Path, local: Params, opened: registry.Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PASSWORD", "hunter2")
    url = "postgresql://me:${PASSWORD}@localhost/texts"
    content = read_yaml(project / "params.yaml")
    content["ingest"] |= {"source": "sql", "url": url}
    (project / "params.yaml").write_text(to_yaml(content))
    opened.log_results(project)
    registered = registry.register_or_reuse(project, local, opened)
    version = registry.find_version(project, local, registered.number)
    assert version.params()["ingest"]["url"] == url and url.encode() in version.patch()
    files = [path for path in project.rglob("*") if path.is_file() and ".git" not in path.parts]
    assert not [path for path in files if b"hunter2" in path.read_bytes()]


def test_a_missing_artifact_is_named(project: Path, local: Params, opened: registry.Run) -> None:
    """As of a version that an earlier Gleaner registered."""
    registered = registry.register_or_reuse(project, local, opened)
    client = opened.client
    client.set_model_version_tag(registered.model, registered.number, "gleaner.git_dirty", "true")
    shutil.rmtree(next((project / "mlruns").rglob("lineage")))
    version = registry.find_version(project, local, None)
    with pytest.raises(UserError, match=r"gleaner-demo version 1: expected lineage/about\.json among .* found none"):
        version.patch()
    with pytest.raises(UserError, match=r"gleaner-demo version 1: expected dvc\.lock among the artifacts"):
        version.lock()
    assert version.lock_or_none() is None


def test_the_baseline_is_the_champion_and_for_the_champion_the_version_before(
    project: Path, local: Params, opened: registry.Run
) -> None:
    for _ in range(3):
        registry.register_or_reuse(project, local, opened)
        change_lock(project)
    versions = {version.number: version for version in registry.all_versions(project, local)}
    baselines = {number: registry.find_baseline(project, local, version) for number, version in versions.items()}
    assert {number: baseline and baseline.number for number, baseline in baselines.items()} == {
        "1": None,
        "2": "1",
        "3": "1",
    }
    opened.client.set_registered_model_alias(local.registry.model, "champion", "3")
    champion = registry.find_version(project, local, "champion")
    before = registry.find_baseline(project, local, champion)
    assert champion.number == "3" and before is not None and before.number == "2"
