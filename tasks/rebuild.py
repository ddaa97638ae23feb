"""Rebuilds the stages of a registered version in a worktree, and compares outputs and bundle with the recorded ones."""

import json
import time
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

from prefect import task
from prefect.cache_policies import NO_CACHE
from prefect.states import Completed, Failed, State

from pipeline.core.errors import UserError
from pipeline.core.params import read_yaml
from tasks.dvc.lock_file import Lock, LockEntry, outputs, raw_data
from tasks.dvc.repository import open_repo
from tasks.dvc.repro_output import describe_failure
from tasks.dvc.store import DvcStore, open_dvc_store, output_files
from tasks.git.worktree import link_untracked
from tasks.prefect_states.user_error import as_failed_state
from tasks.processes.process import Processes
from tasks.registry.registered_version import RegisteredVersion
from tasks.registry.store import flatten, is_number
from tasks.stage import run_dvc_repro

BUNDLE_PATH = "data/export/bundle"
SERVED_BUNDLE = "served bundle"
MAX_NAMED_KEYS = 10  # of a metrics file; the message stays readable
REPRO_OPTIONS = ("--force", "--no-commit")  # run the stage even if DVC has its outputs, and put nothing into the cache

RebuildStatus = Literal["match", "differs", "as recorded", "failed"]
STATE_NAMES = {"match": "Match", "differs": "Differs", "as recorded": "Recorded", "failed": "Failed"}


@dataclass(frozen=True)
class StageRebuild:
    """The outcome of a stage. ``lines`` say where it differs, or why it was not run."""

    stage: str
    status: RebuildStatus
    seconds: float = 0.0
    lines: tuple[str, ...] = ()
    user_error: bool = False

    @property
    def good(self) -> bool:
        """Whether the next stage gets the same inputs as when the version was made."""
        return self.status in ("match", "as recorded")


@task(name=SERVED_BUNDLE, task_run_name=SERVED_BUNDLE, cache_policy=NO_CACHE, persist_result=False)
@as_failed_state
def check_served_bundle(version: RegisteredVersion, root: Path) -> State:
    """Compare the bundle that the registry serves with the one that the version's dvc.lock recorded, file by file.

    A manifest that was changed together with a file in it passes every check on load. It does not pass this one.
    """
    start = time.monotonic()
    out = outputs(version.lock()).get(BUNDLE_PATH)
    with open_dvc_store(root) as dvc_store, version.bundle() as folder:
        lines = tuple(differing_files(SERVED_BUNDLE, out, folder, dvc_store))
    return to_state(StageRebuild(SERVED_BUNDLE, "differs" if lines else "match", time.monotonic() - start, lines))


@task(cache_policy=NO_CACHE, persist_result=False)
@as_failed_state
def rebuild_stage(name: str, project: Path, root: Path, processes: Processes) -> State:
    """Run the stage anew in the worktree ``project`` and compare its outputs; ``root`` is the user's project.

    If its raw data has changed or is gone, the stage is not run: its recorded outputs are restored.
    """
    start = time.monotonic()
    lock = read_yaml(project / "dvc.lock")
    with open_dvc_store(root) as dvc_store:
        try:
            rebuilt = rebuild_or_restore(name, project, root, lock, dvc_store, processes)
        except UserError as error:
            rebuilt = StageRebuild(name, "failed", lines=(f"error: {error}",), user_error=True)
    return to_state(replace(rebuilt, seconds=time.monotonic() - start))


def to_state(rebuilt: StageRebuild) -> State:
    """The Prefect state for an outcome."""
    state = Completed if rebuilt.good else Failed
    return state(name=STATE_NAMES[rebuilt.status], message="; ".join([rebuilt.status, *rebuilt.lines]), data=rebuilt)


def rebuild_or_restore(
    name: str, project: Path, root: Path, lock: Lock, dvc_store: DvcStore, processes: Processes
) -> StageRebuild:
    """Run the stage and compare. If its raw data changed, restore the recorded outputs; if its code did, say so."""
    changed = changed_inputs(name, project)
    data_paths = raw_data(lock).keys()
    linked = [path for path in changed if path in data_paths and link_untracked(root, project, path)]
    changed = changed_inputs(name, project) if linked else changed
    changed_code = tuple(f"{path} is not what it was" for path in changed if path not in data_paths)
    if changed_code:
        return StageRebuild(name, "differs", lines=changed_code)
    if changed:
        for out in lock["stages"][name].get("outs", []):
            dvc_store.restore(out, project / out["path"])
        lines = tuple(f"{path} is not what it was, or not here" for path in changed)
        return StageRebuild(name, "as recorded", lines=lines)
    exit_code, output = run_dvc_repro(name, project, processes, *REPRO_OPTIONS)
    if exit_code:
        message, user_error = describe_failure(name, output)
        return StageRebuild(name, "failed", lines=tuple(message.splitlines()), user_error=user_error)
    return compare_outputs(name, project, lock, dvc_store)


def changed_inputs(name: str, project: Path) -> list[str]:
    """The paths that the stage reads, params.yaml included, and that differ from dvc.lock by DVC's status."""
    with open_repo(project) as repo:
        (status,) = repo.status(targets=[f"{project / 'dvc.yaml'}:{name}"]).values() or [[]]
    read = [path for part in status if isinstance(part, dict) for path in part.get("changed deps", {})]
    return [*read, *(["dvc.yaml"] if "changed command" in status else [])]


def compare_outputs(name: str, project: Path, before: Lock, dvc_store: DvcStore) -> StageRebuild:
    """Compare the MD5 of each output, which DVC has just written to the worktree's dvc.lock, with the recorded one."""
    rebuilt = outputs({"stages": {name: read_yaml(project / "dvc.lock")["stages"][name]}})
    recorded = outputs({"stages": {name: before["stages"][name]}})
    lines: list[str] = []
    for path in sorted(recorded.keys() | rebuilt.keys()):
        if recorded.get(path, {}).get("md5") != rebuilt.get(path, {}).get("md5"):
            lines += differing_files(path, recorded.get(path), project / path, dvc_store)
    return StageRebuild(name, "differs" if lines else "match", lines=tuple(lines))


def differing_files(path: str, before: LockEntry | None, output: Path, dvc_store: DvcStore) -> list[str]:
    """The files of an output on disk that differ from the recorded one; for a metrics file, the metrics."""
    if before is None:
        return [f"{path}: not recorded"]
    recorded, rebuilt = dvc_store.files(before), output_files(output)
    if recorded is None:
        return [f"{path}: differs; which of its files, nobody can tell: their list is not in the DVC cache or remote"]
    files = [name for name in sorted(recorded.keys() | rebuilt.keys()) if recorded.get(name) != rebuilt.get(name)]
    if files == [""] and output.name == "metrics.json" and output.exists():
        return [f"{path}: {changed_metrics(dvc_store.content(before['md5']), output.read_bytes())}"]
    return [f"{path}/{name}" if name else path for name in files]


def changed_metrics(before: bytes | None, now: bytes) -> str:
    """The keys of a metrics file that differ, with both values if those are numbers."""
    if before is None:
        return "differs"
    old, new = flatten(json.loads(before)), flatten(json.loads(now))
    keys = [key for key in [*old, *(new.keys() - old.keys())] if old.get(key) != new.get(key)]
    described = [
        f"{key} was {old[key]}, is {new[key]}" if is_number(old.get(key)) and is_number(new.get(key)) else key
        for key in keys[:MAX_NAMED_KEYS]
    ]
    return ", ".join(described + [f"and {len(keys) - MAX_NAMED_KEYS} more"] * (len(keys) > MAX_NAMED_KEYS))
