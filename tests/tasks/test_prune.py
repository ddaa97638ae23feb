"""Prune removes what nobody needs, and nothing that a champion, an alias, the log, a branch or a night needs."""

import os
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from cli import prune as command
from pipeline.core.errors import UserError
from pipeline.core.params import read_yaml, to_yaml
from pipeline.labelling.operations_log import LOG, read_entries
from tasks import registry
from tasks.dvc.lock_file import outputs
from tasks.dvc.store import open_dvc_store
from tasks.prune import Plan, apply_plan, make_plan, plan_lines
from tasks.registry import lookup
from tasks.registry.champion_check import check_champion
from tasks.registry.nights import KIND, NIGHT
from tasks.registry.trainings import ARRIVALS, arrivals_to_tags
from tasks.registry.version_tags import COMPLETE, NO, YES
from tests.support.night_project import git, project_params, run_ingest, to_csv
from tests.support.operated_project import copy_to, operated_project, register

pytestmark = pytest.mark.slow

LATER = datetime.now(UTC) + timedelta(days=60)


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory, store: Path) -> Iterator[Path]:
    """The project that each test copies. Version 1 is champion, 3 is challenger, and nothing names version 2."""
    with operated_project(tmp_path_factory.mktemp("made"), store) as root:
        for number in ("2", "3"):
            (root / "raw" / "pool.csv").write_text(to_csv([(f"a row of version {number}",)], "text"))
            run_ingest(root)
            assert register(root) == number
        yield root


@pytest.fixture
def root(made: Path, tmp_path: Path) -> Path:
    """A project of the test's own."""
    return copy_to(made, tmp_path / "project")


def plan_for(root: Path, now: datetime = LATER) -> Plan:
    """What a prune would remove at a time."""
    return make_plan(root, project_params(root), 30, now)


def names(plan: Plan) -> dict[str, list[str]]:
    """The names of each kind."""
    return {group.kind: group.names for group in plan.groups}


def objects_of(root: Path, number: str) -> set[str]:
    """The MD5s of the outputs in a version's dvc.lock."""
    version = lookup.get_version(registry.connect(root), "gleaner-demo", number)
    return {out["md5"] for out in outputs(version.lock()).values()}


def stored(root: Path, place: str) -> set[str]:
    """The MD5s in the cache or the remote."""
    folder = {"cache": root / ".dvc" / "cache", "remote": root / "storage"}[place] / "files" / "md5"
    return {path.parent.name + path.name for path in folder.glob("*/*")}


def content(root: Path) -> dict[str, tuple[int, int]]:
    """Size and time of the last change of every file, without DVC's own state and locks."""
    files = [path for path in root.rglob("*") if path.is_file() and ".dvc/tmp" not in path.as_posix()]
    return {
        str(path): (path.stat().st_size, path.stat().st_mtime_ns)
        for path in files
        if path.name not in ("mlflow.db", "lock")
    }


def test_what_nobody_needs_is_removed_and_everything_else_still_works(root: Path) -> None:
    needed, unneeded = objects_of(root, "1") | objects_of(root, "3"), objects_of(root, "2")
    run = lookup.get_version(registry.connect(root), "gleaner-demo", "2").run
    plan = plan_for(root)
    only_2 = unneeded - needed
    assert names(plan)["versions"] == ["2"] and names(plan)["runs"] == []
    assert set(names(plan)["DVC cache"]) == set(names(plan)["DVC remote"]) == only_2 != set()
    assert plan.unneeded.bytes_of_versions > 1000
    apply_plan(root, plan)
    client = registry.connect(root)
    assert [version.number for version in lookup.all_versions(root, project_params(root))] == ["1", "3"]
    assert not list((root / "mlruns").glob(f"*/{run}"))
    for place in ("cache", "remote"):
        assert needed <= stored(root, place) and not only_2 & stored(root, place)
    assert check_champion(root).startswith("champion: gleaner-demo version 1, every byte")
    with open_dvc_store(root) as opened:
        for number in ("1", "3"):
            for out in outputs(lookup.get_version(client, "gleaner-demo", number).lock()).values():
                opened.restore(out, root / "restored" / number / Path(out["path"]).name)
    assert not any(names(plan_for(root)).values())
    (entry,) = read_entries(root, "prune")
    assert entry["removed"]["versions"] == ["2"] and set(entry["removed"]["DVC cache"]) == only_2


def test_a_dry_run_changes_nothing(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    before = content(root)
    assert command.main(root, dry_run=True, keep_days=30) == 0
    assert content(root) == before and not (root / LOG).exists()
    printed = capsys.readouterr().out
    assert printed.startswith("Would remove, if older than 30 days") and "versions           0" in printed
    line = next(plan_lines(plan_for(root)))
    assert line.split()[:2] == ["versions", "1"] and line.endswith("MB: 2")


def test_nothing_young_is_removed(root: Path) -> None:
    assert not any(names(plan_for(root, datetime.now(UTC))).values())


def test_runs_that_a_night_reads_are_kept_and_dead_ones_are_not(root: Path) -> None:
    client = registry.connect(root)
    experiment = registry.experiment_id(client, root, "gleaner")
    runs, read = {}, arrivals_to_tags({"2026.parquet": "digest"})
    for name, tags, status in (
        ("failed", {}, "FAILED"),
        ("killed in the middle", {ARRIVALS: "2026.parquet"}, "RUNNING"),
        ("refused", {ARRIVALS: "2026.parquet"}, "FINISHED"),
        ("refused and complete", {COMPLETE: YES} | read, "FINISHED"),
        ("incomplete", {COMPLETE: NO} | read, "FINISHED"),
        ("night", {KIND: NIGHT}, "FINISHED"),
        ("newest", {}, "FAILED"),
    ):
        runs[name] = client.create_run(experiment, tags=tags).info.run_id
        client.log_text(runs[name], "text", "note.txt")
        if status != "RUNNING":
            client.set_terminated(runs[name], status)
        time.sleep(0.002)  # runs are ordered by their start in milliseconds
    plan = plan_for(root)
    assert sorted(names(plan)["runs"]) == sorted(
        runs[name] for name in ("failed", "killed in the middle", "incomplete")
    )
    apply_plan(root, plan)
    assert not list((root / "mlruns").glob(f"*/{runs['failed']}"))
    assert client.get_run(runs["refused"]).data.tags[ARRIVALS] == "2026.parquet"


def test_a_model_that_was_renamed_keeps_its_versions_with_their_runs_and_data(root: Path) -> None:
    old = lookup.get_version(registry.connect(root), "gleaner-demo", "1")
    content = read_yaml(root / "params.yaml")
    content["registry"]["model"] = "renamed"
    (root / "params.yaml").write_text(to_yaml(content))
    client = registry.connect(root)
    client.create_run(registry.experiment_id(client, root, "gleaner"))  # the newest, which stays in any case
    plan = plan_for(root)
    assert names(plan)["runs"] == [] and not objects_of(root, "1") & set(names(plan)["DVC cache"])
    apply_plan(root, plan)
    assert old.lock() and client.get_run(old.run).info.lifecycle_stage == "active"


def test_content_that_a_run_takes_up_between_plan_and_removal_is_kept(root: Path) -> None:
    version = lookup.get_version(registry.connect(root), "gleaner-demo", "2")
    lock = version.read_artifact("dvc.lock")
    plan = plan_for(root)
    taken_up = objects_of(root, "2")
    assert taken_up & set(names(plan)["DVC cache"])
    (root / "dvc.lock").write_bytes(lock)  # as a run leaves it that restores old outputs from the cache
    apply_plan(root, plan)
    assert taken_up <= stored(root, "cache") and names(plan)["DVC cache"] == []
    (entry,) = read_entries(root, "prune")
    assert "DVC cache" not in entry["removed"]


def test_content_that_a_branch_names_is_kept(root: Path) -> None:
    lock = lookup.get_version(registry.connect(root), "gleaner-demo", "2").read_artifact("dvc.lock")
    stage = "stages: {ingest: {cmd: x, outs: [data/ingest/unlabelled.parquet]}}\n"
    git(root, "checkout", "-q", "-b", "old")
    (root / "dvc.yaml").write_text(stage)
    current = (root / "dvc.lock").read_bytes()
    (root / "dvc.lock").write_bytes(lock)
    git(root, "add", "dvc.yaml", "dvc.lock")
    git(root, "commit", "-q", "-m", "an experiment")
    git(root, "checkout", "-q", "-")
    (root / "dvc.lock").write_bytes(current)
    kept = {out["md5"] for path, out in _outs(lock).items() if path.endswith("unlabelled.parquet")}
    assert not kept & set(names(plan_for(root))["DVC cache"])


def _outs(lock: bytes) -> dict[str, dict[str, str]]:
    """The outputs in the bytes of a dvc.lock."""
    import yaml

    return outputs(yaml.safe_load(lock))


def test_a_log_with_a_missing_entry_keeps_every_version(root: Path) -> None:
    client = registry.connect(root)
    client.create_model_version("gleaner-demo-promotions", "models:/gleaner-demo/1")
    client.delete_model_version("gleaner-demo-promotions", "1")
    plan = plan_for(root)
    assert names(plan)["versions"] == [] and names(plan)["runs"] == []
    assert any(note.startswith("entry 1 of the promotion log is missing") for note in plan.notes)


def test_a_version_whose_lock_is_gone_keeps_all_content_of_dvc(root: Path) -> None:
    version = lookup.get_version(registry.connect(root), "gleaner-demo", "3")
    for lock in (root / "mlruns").glob(f"*/{version.run}/artifacts/dvc.lock"):
        lock.unlink()
    plan = plan_for(root)
    assert "DVC cache" not in names(plan)
    assert any(note.startswith("gleaner-demo version 3: its dvc.lock cannot be read") for note in plan.notes)


def test_old_scratch_goes_and_locks_and_new_scratch_stay(root: Path) -> None:
    scratch = root / "data" / "scratch"
    old = time.time() - 40 * 86400
    for name in ("finetune/old/checkpoint-1/model", "finetune/mixed/old", "ingest/crash.txt", "retrain/lock"):
        (scratch / name).parent.mkdir(parents=True, exist_ok=True)
        (scratch / name).write_text("x")
        os.utime(scratch / name, (old, old))
    (scratch / "finetune" / "mixed" / "new").touch()
    for folder in ("finetune/old", "finetune/old/checkpoint-1"):
        os.utime(scratch / folder, (old, old))
    plan = plan_for(root, datetime.now(UTC))
    assert names(plan)["data/scratch"] == ["data/scratch/finetune/old", "data/scratch/ingest/crash.txt"]
    apply_plan(root, plan)
    assert not (scratch / "finetune" / "old").exists() and (scratch / "finetune" / "mixed" / "old").exists()
    assert (scratch / "retrain" / "lock").exists()


def test_prune_waits_for_no_night(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    from flows.night_lock import night_lock

    with night_lock(root):
        assert command.main(root, dry_run=True, keep_days=30) == 2
    assert "expected no other night at work here" in capsys.readouterr().err


def test_dvc_that_cannot_read_a_branch_removes_nothing(root: Path) -> None:
    git(root, "checkout", "-q", "-b", "broken")
    (root / "dvc.yaml").write_text("stages: [\n")
    git(root, "add", "dvc.yaml")
    git(root, "commit", "-q", "-m", "broken")
    git(root, "checkout", "-q", "-")
    with pytest.raises(
        UserError, match="DVC: expected to find out which content is needed, found: .*nothing was remov"
    ):
        plan_for(root)
