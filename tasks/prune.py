"""What nobody needs any more, in MLflow, DVC and data/scratch: found, shown with its size, and removed."""

import os
import shutil
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

from pipeline.core.params import Params, read_yaml
from tasks.dvc.objects import CACHE, REMOTE, object_places, used_by_lock, used_by_project
from tasks.dvc.store import DvcStore, open_dvc_store
from tasks.git.command import try_git
from tasks.operations_log import append_entry
from tasks.registry.registered_version import RegisteredVersion
from tasks.registry.shared_files import find_twins, share
from tasks.registry.unneeded import Unneeded, delete_unneeded, find_unneeded

LOCK_NAMES = {"lock", "held"}
TWINS = "equal files"  # of versions: each becomes a link to the first one


@dataclass
class Group:
    """Things of one kind that may go: their names, and the bytes that they take."""

    kind: str
    names: list[str] = field(default_factory=list)
    bytes: int = 0

    def add(self, name: str, size: int) -> None:
        """Add one thing."""
        self.names.append(name)
        self.bytes += size


@dataclass
class Plan:
    """What a prune removes, kind by kind, and what it leaves alone with the reason."""

    groups: list[Group]
    notes: list[str]
    unneeded: Unneeded
    params: Params
    before: datetime  # what was changed later stays


def make_plan(root: Path, params: Params, keep_days: int, now: datetime) -> Plan:
    """What nobody needs and is older than ``keep_days``. Changes nothing."""
    before = now - timedelta(days=keep_days)
    unneeded = find_unneeded(root, params, before)
    plan = Plan([], list(unneeded.notes), unneeded, params, before)
    of_versions = {version.run for version in unneeded.versions}
    others = [run for run in unneeded.runs if run not in of_versions]
    numbers = [version.number for version in unneeded.versions]
    plan.groups.append(Group("versions", numbers, unneeded.bytes_of_versions))
    plan.groups.append(Group("runs", others, unneeded.bytes_of_runs))
    if (root / ".dvc").is_dir():
        with open_dvc_store(root) as store, store.repo.lock:
            plan_objects(store, root, plan)
    plan.groups.append(plan_scratch(root, before))
    twins = find_twins(root, params.registry.model, without=numbers)
    plan.groups.append(
        Group(TWINS, [os.path.relpath(twin.path, root) for twin in twins], sum(twin.size for twin in twins))
    )
    return plan


def plan_objects(store: DvcStore, root: Path, plan: Plan) -> None:
    """Add the objects in DVC's cache and remote that are old and that nothing names."""
    places, notes = object_places(store, root)
    plan.notes += notes
    used = used_objects(store, root, plan.unneeded.needed, plan.notes)
    if used is None:
        return
    for place in places:
        group = Group(place.name)
        for md5, path in place.list():
            if md5 not in used and is_older(path, plan.before):
                group.add(md5, path.stat().st_size)
        plan.groups.append(group)


def used_objects(
    store: DvcStore, root: Path, needed: tuple[RegisteredVersion, ...], notes: list[str]
) -> set[str] | None:
    """The MD5s that the project or one of these versions names; None, with a note, if a version's cannot be read."""
    locks = {version.title: version.lock_or_none() for version in needed}
    if unreadable := [title for title, lock in locks.items() if lock is None]:
        notes.append(f"{unreadable[0]}: its dvc.lock cannot be read, so that no content of DVC is removed")
        return None
    used = used_by_project(store, existing_commits(root, needed))
    if (root / "dvc.lock").is_file():
        used |= used_by_lock(store, read_yaml(root / "dvc.lock"))
    for lock in locks.values():
        used |= used_by_lock(store, lock or {"stages": {}})
    return used


def existing_commits(root: Path, versions: tuple[RegisteredVersion, ...]) -> list[str]:
    """The commits of these versions that are in the repository, each once."""
    commits = {version.tags.get("gleaner.git_commit", "none: ") for version in versions}
    named = sorted(commit for commit in commits if not commit.startswith("none: "))
    return [commit for commit in named if try_git(root, "cat-file", "-e", f"{commit}^{{commit}}").returncode == 0]


def plan_scratch(root: Path, before: datetime) -> Group:
    """The entries of data/scratch/<stage>/ in which nothing has changed since ``before``."""
    group = Group("data/scratch")
    for entry in sorted((root / "data" / "scratch").glob("*/*")):
        files = [path for path in (entry, *entry.rglob("*")) if not path.is_dir()]
        if entry.name not in LOCK_NAMES and all(is_older(path, before) for path in (entry, *files)):
            group.add(entry.relative_to(root).as_posix(), sum(path.lstat().st_size for path in files))
    return group


def is_older(path: Path, before: datetime) -> bool:
    """Whether a file or folder was changed last before a time."""
    return datetime.fromtimestamp(path.lstat().st_mtime, UTC) < before


def apply_plan(root: Path, plan: Plan) -> None:
    """Remove what the plan names, after an entry in data/operations.jsonl.

    A run may have restored old content since the plan was made. So what is used is asked again, under DVC's lock.
    """
    with ExitStack() as stack:
        store = None
        if (root / ".dvc").is_dir():
            store = stack.enter_context(open_dvc_store(root))
            stack.enter_context(store.repo.lock)
            keep_used_objects(store, root, plan)
        removed = {group.kind: group.names for group in plan.groups if group.names}
        if not removed:
            return
        append_entry(root, "prune", {"removed": removed, "bytes": total(plan)})
        if plan.unneeded.versions or plan.unneeded.runs:
            delete_unneeded(root, plan.unneeded)
        for place in object_places(store, root)[0] if store else ():
            wanted = set(removed.get(place.name, []))
            place.remove([path for md5, path in place.list() if md5 in wanted])
    if removed.get(TWINS):
        share(find_twins(root, plan.params.registry.model))
    for name in removed.get("data/scratch", []):
        path = root / name
        shutil.rmtree(path) if path.is_dir() and not path.is_symlink() else path.unlink(missing_ok=True)


def keep_used_objects(store: DvcStore, root: Path, plan: Plan) -> None:
    """Take objects out of the plan that something names by now. The caller holds DVC's lock."""
    groups = {group.kind: group for group in plan.groups if group.kind in (CACHE, REMOTE) and group.names}
    if not groups:
        return
    used = used_objects(store, root, find_unneeded(root, plan.params, plan.before).needed, plan.notes)
    for place in object_places(store, root)[0]:
        if group := groups.get(place.name):
            names = set() if used is None else set(group.names) - used
            kept = Group(place.name)
            for md5, path in place.list():
                if md5 in names and is_older(path, plan.before):
                    kept.add(md5, path.stat().st_size)
            group.names, group.bytes = kept.names, kept.bytes


def plan_lines(plan: Plan) -> Iterator[str]:
    """One line for each kind: how many, how many megabytes, and the numbers of versions."""
    for group in plan.groups:
        listed = f": {', '.join(group.names)}" if group.kind == "versions" and group.names else ""
        yield f"{group.kind:<13}{len(group.names):>7}{group.bytes / 1e6:>12.1f} MB{listed}"
    yield f"{'all':<13}{total_names(plan):>7}{total(plan) / 1e6:>12.1f} MB"
    yield from plan.notes


def total_names(plan: Plan) -> int:
    """How many things the plan removes."""
    return sum(len(group.names) for group in plan.groups)


def total(plan: Plan) -> int:
    """The bytes that the plan frees."""
    return sum(group.bytes for group in plan.groups)
