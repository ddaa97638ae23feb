"""What dvc.lock records of a stage's inputs. DVC reads them when the stage ends, so a file that changes while the stage
runs is recorded as if the stage had read it. Such a record is found out and removed."""

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pipeline.core.params import read_yaml
from tasks.dvc.lock_file import is_code, outputs
from tasks.dvc.outputs import recorded_outputs, recorded_stage, remove_damaged_objects
from tasks.dvc.repository import open_repo
from tasks.dvc.store import DvcStore

if TYPE_CHECKING:
    from dvc.repo import Repo

Inputs = dict[str, Any]  # command, MD5 by path, and value by params file and key


def current_inputs(name: str, root: Path) -> Inputs:
    """The inputs of a stage as they are now, in the form in which dvc.lock records them."""
    from dvc.stage.serialize import to_single_stage_lockfile

    with open_repo(root) as repo, repo.lock:
        stage = repo.stage.load_one(path=str(root / "dvc.yaml"), name=name)
        stage.save_deps(allow_missing=True)
        return flatten_inputs(to_single_stage_lockfile(stage))


def recorded_inputs(name: str, root: Path) -> Inputs:
    """The inputs of a stage that dvc.lock records; empty if it does not record the stage."""
    with open_repo(root) as repo:
        return flatten_inputs(recorded_stage(repo, name))


def flatten_inputs(stage: dict[str, Any]) -> Inputs:
    """Command, MD5 by path, and value by ``file:key`` of params, of one stage in dvc.lock; empty without a stage."""
    inputs: Inputs = {"dvc.yaml:cmd": stage["cmd"]} if stage else {}
    inputs |= {dep["path"]: dep.get("md5") for dep in stage.get("deps", [])}
    for file, values in (stage.get("params") or {}).items():
        inputs |= {f"{file}:{key}": value for key, value in values.items()}
    return inputs


def changed_inputs(before: Inputs, after: Inputs) -> list[str]:
    """The inputs that differ, each as a path or as ``file:key``."""
    return [key for key in sorted(before.keys() | after.keys()) if before.get(key) != after.get(key)]


def forget_stage(name: str, root: Path, since: float) -> None:
    """Remove the record of a stage from dvc.lock, and from the cache of runs, so that nothing restores its outputs.

    ``since`` is when the stage began, in Unix time: older entries of the cache of runs are true and stay.
    """
    from dvc.dvcfile import Lockfile

    inputs = recorded_inputs(name, root)
    with open_repo(root) as repo, repo.lock:
        for path, _ in list(matching_runs(repo, inputs)):
            if path.stat().st_mtime >= since:
                path.unlink()
                if not any(path.parent.iterdir()):
                    path.parent.rmdir()  # DVC takes an empty folder for an entry without a name, and fails
        stage = repo.stage.load_one(path=str(root / "dvc.yaml"), name=name)
        Lockfile(repo, str(root / "dvc.lock")).remove_stage(stage)


def matching_runs(repo: "Repo", inputs: Inputs) -> Iterator[tuple[Path, dict[str, Any]]]:
    """The entries of the cache of runs with these inputs: file and content. DVC restores their outputs."""
    digests = [value for key, value in inputs.items() if ":" not in key and value]
    for path in Path(repo.stage_cache.cache_dir).glob("*/*/*"):
        text = path.read_text(encoding="utf-8", errors="replace")
        if all(digest in text for digest in digests):  # to read all of them as YAML would take seconds
            entry = read_yaml(path)
            if flatten_inputs(entry) == inputs:
                yield path, entry


def remove_damaged_runs(name: str, root: Path, inputs: Inputs) -> list[str]:
    """Remove damaged objects from the DVC cache that DVC would restore for a stage with these inputs.

    Returns the paths of the outputs that they belong to. DVC then runs the stage instead.
    """
    with open_repo(root) as repo:
        runs = [entry.get("outs", []) for _, entry in matching_runs(repo, inputs)]
        outs = [out for run in (recorded_outputs(repo, name), *runs) for out in run if "md5" in out]
        return sorted({out["path"] for out in outs if remove_damaged_objects(DvcStore(repo), out)})


def outdated_stages(root: Path, names: list[str]) -> list[str]:
    """A line for each of these stages that is not up to date for DVC, for another reason than raw data that came."""
    made = outputs(read_yaml(root / "dvc.lock"))
    lines = []
    with open_repo(root) as repo:
        for name in names:
            found = repo.status(targets=[f"{root / 'dvc.yaml'}:{name}"])
            for part in next(iter(found.values()), []):
                lines += status_lines(name, part, made)
    return lines


def status_lines(name: str, part: Any, made: dict[str, Any]) -> list[str]:
    """The lines for one part of DVC's status of a stage; ``made`` are the outputs of all stages by path."""
    if not isinstance(part, dict):
        return [f"{name}: {part}"] if part != "always changed" else []
    deps = {path: change for path, change in part.get("changed deps", {}).items() if is_recorded_input(path, made)}
    changed = {**deps, **part.get("changed outs", {})}
    return [f"{name}: {path} {change}" for path, change in changed.items()]


def is_recorded_input(path: str, made: dict[str, Any]) -> bool:
    """Whether an input is code, a setting or an output of a stage. Raw data may come while a training runs."""
    return path in made or is_code(path)
