"""Restores a project from a backup: every digest is checked first, and the project appears as a whole, last of all."""

import os
import shutil
from configparser import ConfigParser
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

from pipeline.core.errors import UserError
from pipeline.core.params import read_yaml
from tasks.backup.manifest import BUNDLE, PROJECT, REMOTE, Manifest, check_files, read_manifest
from tasks.backup.project_files import DATABASE, SKIPPED_NAMES, STAGING
from tasks.backup.repository import restore_repository
from tasks.dvc.lock_file import LockEntry, outputs
from tasks.dvc.store import DvcStore, open_dvc_store
from tasks.registry.artifact_paths import move_artifact_paths

RESTORED_REMOTE = "dvc-storage"  # for the content of a remote that lay outside the project


@dataclass
class Restored:
    """What a restore did: the folder of the project, the backup's manifest, and notes for people."""

    project: Path
    manifest: Manifest
    notes: list[str] = field(default_factory=list)


def restore(folder: Path, target: Path, force: bool) -> Restored:
    """Restore the backup in ``folder`` into ``target``, a new or empty folder.

    With ``force``, what lies in ``target`` is moved into a folder beside it first. Raises UserError if the backup is
    damaged, if ``target`` is not empty, or if space is short; nothing has changed then.
    """
    manifest = read_manifest(folder)
    target = Path(os.path.abspath(target))
    check_target(folder, target, manifest, force)
    check_files(manifest, folder)
    staging = target / STAGING
    done = Restored(target / manifest.prefix, manifest)
    try:
        if staging.exists():  # of a restore that was killed
            shutil.rmtree(staging)
        staging.mkdir(parents=True, mode=0o700)
        fill(folder, staging, done)
        if force:
            put_aside(target, done)
        move_in_place(staging, target)
    except OSError as error:
        raise UserError(
            f"{target}: expected to write the project, found: {error.strerror} ({error.filename}); the backup is "
            "whole: mend this and run the same command again"
        ) from None
    return done


def check_target(folder: Path, target: Path, manifest: Manifest, force: bool) -> None:
    """Raise UserError unless ``target`` is new or empty, or may be put aside, and has the space."""
    if target.exists() and not target.is_dir():
        raise UserError(f"{target}: expected a new or empty folder, found a file; name another with --to")
    if folder.resolve().is_relative_to(target.resolve()):
        raise UserError(f"{target}: expected a folder that does not hold the backup itself; name another with --to")
    entries = [entry for entry in target.iterdir() if not stays(entry)] if target.exists() else []
    if entries and not force:
        newest = max(datetime.fromtimestamp(entry.lstat().st_mtime, UTC) for entry in entries)
        raise UserError(
            f"{target}: expected a new or empty folder, found {len(entries)} entries, the last changed at "
            f"{newest:%Y-%m-%d %H:%M:%S} UTC (the backup is of {manifest.made_at}); name another with --to, or let "
            "--force put them into a folder beside it"
        )
    existing = next(parent for parent in (target, *target.parents) if parent.exists())
    free = shutil.disk_usage(existing).free
    if free < manifest.size * 2:  # the outputs of the stages are checked out of the cache, too
        raise UserError(
            f"{target}: expected {manifest.size * 2 >> 20} MiB of free space, found {free >> 20} MiB; name another disk"
        )


def fill(folder: Path, top: Path, done: Restored) -> None:
    """Make the project below ``top``, which is renamed to its place afterwards."""
    manifest = done.manifest
    restore_repository(top, folder, manifest)
    project = top / manifest.prefix
    for name in manifest.folders:
        make_folder(project / name, top)
    for path in manifest.files:
        kind, _, name = path.partition("/")
        if path != BUNDLE:
            place = project / (name if kind == PROJECT else f"{RESTORED_REMOTE}/{name}")
            make_folder(place.parent, top)
            place.unlink(missing_ok=True)
            shutil.copy2(folder / path, place)
    for name, leads_to in manifest.links.items():
        make_folder((project / name).parent, top)
        (project / name).unlink(missing_ok=True)
        (project / name).symlink_to(leads_to)
    if (project / DATABASE).exists():
        move_artifact_paths(project / DATABASE, Path(manifest.root), done.project)
    if any(path.startswith(f"{REMOTE}/") for path in manifest.files):
        use_restored_remote(project, done)
    check_out(project, done)


def make_folder(path: Path, top: Path) -> None:
    """Make a folder below ``top``. Raises UserError where a link of the repository would lead out of it."""
    path.mkdir(parents=True, exist_ok=True)
    if not path.resolve().is_relative_to(top.resolve()):
        raise UserError(f"{path.relative_to(top)}: expected a folder of the project, found a link that leads out of it")


def use_restored_remote(project: Path, done: Restored) -> None:
    """Let DVC on this machine use the remote's content that lies in the project now."""
    config = ConfigParser()
    for name in ("config", "config.local"):
        config.read(project / ".dvc" / name, encoding="utf-8")
    section = f"'remote \"{config['core']['remote']}\"'"
    local = ConfigParser()
    local.read(project / ".dvc" / "config.local", encoding="utf-8")
    if section not in local:
        local.add_section(section)
    local[section]["url"] = f"../{RESTORED_REMOTE}"
    with (project / ".dvc" / "config.local").open("w", encoding="utf-8") as file:
        local.write(file)
    done.notes.append(
        f"the DVC remote was {done.manifest.remote}; its content is in {RESTORED_REMOTE}/ now, and .dvc/config.local "
        "names that; remove the line there to use the old place again"
    )


def check_out(project: Path, done: Restored) -> None:
    """Let DVC put recorded data in place that is not there, and note what it does not have.

    What the backup copied stays as it is: it may hold rows that nobody has recorded yet.
    """
    from dvc.exceptions import DvcException

    if not (project / ".dvc").is_dir():
        return
    try:
        with open_dvc_store(project) as store:
            lacking = check_out_missing(store)
            for path, out in missing_outputs(project):  # of a stage that dvc.yaml does not have any more
                if path not in lacking:
                    store.restore(out, project / path)
        if lacking:
            names = ", ".join(lacking[:5])
            done.notes.append(f"the cache lacks {names}: `dvc pull`, or `gleaner run` makes them again")
    except (DvcException, UserError) as error:
        reason = str(error).splitlines()[0]
        done.notes.append(f"DVC could not check out the data: {reason}; `dvc checkout` tries again")
    shutil.rmtree(project / ".dvc" / "tmp", ignore_errors=True)  # it knows the path before the move


def check_out_missing(store: DvcStore) -> list[str]:
    """Check out each recorded output that is not in its place; returns the paths that the cache does not have."""
    from dvc.exceptions import CheckoutError

    lacking = []
    with store.repo.lock:
        for out in store.repo.index.outs:
            if not (out.use_cache and out.is_in_repo and out.hash_info) or os.path.lexists(out.fs_path):
                continue
            try:
                out.checkout(force=True)
            except (CheckoutError, FileNotFoundError):  # DVC raises the latter for a single file
                out.remove()  # a part of a folder would look like the whole of it
            if not os.path.lexists(out.fs_path):
                lacking.append(Path(os.path.relpath(out.fs_path, store.repo.root_dir)).as_posix())
    return sorted(lacking)


def missing_outputs(project: Path) -> list[tuple[str, LockEntry]]:
    """The outputs in dvc.lock that are not in their place."""
    if not (project / "dvc.lock").is_file():
        return []
    recorded = outputs(read_yaml(project / "dvc.lock"))
    return [(path, out) for path, out in recorded.items() if "md5" in out and not (project / path).exists()]


def put_aside(target: Path, done: Restored) -> None:
    """Move what lies in ``target`` into a folder beside it. Virtual environments and caches of tools stay."""
    entries = [entry for entry in target.iterdir() if not stays(entry)] if target.exists() else []
    if not entries:
        return
    aside = target.with_name(f"{target.name}-before-restore-{datetime.now(UTC):%Y-%m-%dT%H-%M-%S}")
    aside.mkdir(mode=0o700)
    for entry in entries:
        entry.rename(aside / entry.name)
    done.notes.append(f"what lay there before is in {aside}")


def stays(entry: Path) -> bool:
    """Whether an entry of the target belongs to this machine, such as the environment that runs this command."""
    is_of_tool = entry.name in {*SKIPPED_NAMES, ".prefect"} and entry.name != ".git"
    return is_of_tool or (entry / "pyvenv.cfg").is_file()


def move_in_place(staging: Path, target: Path) -> None:
    """Move the finished project into ``target``, params.yaml last: without it, the folder is no project."""
    for entry in sorted(staging.iterdir(), key=lambda entry: entry.name == "params.yaml"):
        if entry.is_dir() and (target / entry.name).is_dir():  # a cache of a tool that stayed
            shutil.rmtree(target / entry.name)
        entry.rename(target / entry.name)
    staging.rmdir()
