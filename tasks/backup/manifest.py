"""The manifest of a backup: what it holds, with the SHA-256 of each file. It is written last."""

import json
import os
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from pathlib import Path, PurePosixPath
from typing import Any

from pipeline.core.digests import file_sha256
from pipeline.core.errors import UserError, combine_errors
from pipeline.core.stage import write_atomically

MANIFEST = "backup.json"  # a folder without it is no finished backup
UNFINISHED = "unfinished"  # a file that lies in the folder until the manifest is written
LAYOUT = 1
PROJECT, REMOTE, BUNDLE = "project", "remote", "repository.bundle"  # what a backup holds, by its path in the folder
MAX_NAMED = 5  # damaged files in one message


@dataclass
class Manifest:
    """What a backup holds. Paths use ``/``: those of files are relative to the backup, the others to the project."""

    root: str  # where the project lay
    made_at: str  # ISO 8601, UTC
    layout: int = LAYOUT
    prefix: str = ""  # of the project in its git repository; empty if it is the repository
    head: str = ""  # refs/heads/..., or a commit; empty without a commit
    git_settings: list[tuple[str, str]] = field(default_factory=list)
    deleted: list[str] = field(default_factory=list)  # files that git has and the working tree had not
    remote: str = ""  # the default DVC remote, where it is a folder outside the project
    left: list[str] = field(default_factory=list)  # what is not in the backup, one line each
    folders: list[str] = field(default_factory=list)
    links: dict[str, str] = field(default_factory=dict)  # symbolic link: its target
    files: dict[str, tuple[str, int]] = field(default_factory=dict)  # path: SHA-256, bytes

    @property
    def size(self) -> int:
        """The bytes of all files."""
        return sum(size for _, size in self.files.values())


def start_manifest(root: Path) -> Manifest:
    """An empty manifest of a backup that is made now."""
    return Manifest(str(root), datetime.now(UTC).isoformat(timespec="seconds"))


def write_manifest(manifest: Manifest, folder: Path) -> None:
    """Write the manifest once everything else is on disk: from then on the backup is finished."""
    os.sync()
    content = json.dumps(asdict(manifest), indent=1)  # in ASCII: a file name may be no UTF-8
    write_atomically(folder / MANIFEST, lambda part: part.write_text(content, encoding="ascii"))
    (folder / UNFINISHED).unlink()


def read_manifest(folder: Path) -> Manifest:
    """The manifest of a finished backup. Raises UserError if the folder is none."""
    wanted = f"{folder}: expected a backup that `gleaner backup` made"
    if not (folder / MANIFEST).is_file():
        found = "one that was cut off" if (folder / UNFINISHED).exists() else f"no {MANIFEST}"
        raise UserError(f"{wanted}, found {found}; name the folder of a finished backup")
    try:
        content: Any = json.loads((folder / MANIFEST).read_text(encoding="utf-8"))
        manifest = parse_manifest(content)
    except (ValueError, TypeError, AttributeError, RecursionError):
        raise UserError(f"{wanted}, found a damaged {MANIFEST}; take another backup") from None
    if manifest.layout != LAYOUT:
        raise UserError(f"{wanted}, found layout {manifest.layout}, not {LAYOUT}; use the Gleaner that made it")
    if outside := [path for path in all_paths(manifest) if leads_out(path)]:
        raise UserError(f"{wanted}, found a path that leads out of it, {outside[0]}; take another backup")
    return manifest


def parse_manifest(content: Any) -> Manifest:
    """The manifest of parsed JSON. Raises ValueError or TypeError if it has another form."""
    manifest = Manifest(**content)
    named = [manifest.root, manifest.made_at, manifest.prefix, manifest.head, manifest.remote]
    named += [*manifest.deleted, *manifest.left, *manifest.folders, *manifest.links, *manifest.links.values()]
    named += [part for setting in manifest.git_settings for part in setting]
    manifest.git_settings = [(name, value) for name, value in manifest.git_settings]
    manifest.files = {path: (str(digest), int(size)) for path, (digest, size) in manifest.files.items()}
    if not all(isinstance(value, str) for value in named):
        raise ValueError("expected text")
    return manifest


def all_paths(manifest: Manifest) -> Iterator[str]:
    """Every path that a restore writes to."""
    yield from (manifest.prefix, *manifest.deleted, *manifest.folders, *manifest.links, *manifest.files)


def leads_out(path: str) -> bool:
    """Whether a path is absolute or has a part ``..``."""
    return PurePosixPath(path).is_absolute() or ".." in PurePosixPath(path).parts


def check_files(manifest: Manifest, folder: Path) -> None:
    """Raise UserError that names the files of a backup that are missing or changed."""
    faults = [
        f"{folder / path}: expected the file that was backed up, found {fault}"
        for path, (digest, size) in manifest.files.items()
        if (fault := find_fault(folder / path, digest, size))
    ]
    if faults:
        more = [f"and {len(faults) - MAX_NAMED} more files"] if len(faults) > MAX_NAMED else []
        end = "nothing was restored; take another backup, or bring these files back"
        raise combine_errors([*faults[:MAX_NAMED], *more, end])


def find_fault(path: Path, digest: str, size: int) -> str:
    """What is wrong with a file: "none", "another"; empty if it is as it was written."""
    if not path.is_file():
        return "none"
    return "" if path.stat().st_size == size and file_sha256(path) == digest else "another"
