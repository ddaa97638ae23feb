"""Large files that the bundles of several versions have alike take their space once: hard links in MLflow's folder.

A version that differs in its head alone has the encoder's weights of the one before. Nothing writes into the files of a
version, and whoever loads one checks every digest. A store on a network gets a copy for each version, and so does a
file system without links.
"""

import os
from collections import Counter
from collections.abc import Collection, Iterable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from pipeline.core.digests import file_sha256
from pipeline.core.errors import UserError
from pipeline.models.bundle_files import MANIFEST, read_manifest
from tasks.registry import project_store
from tasks.registry.version_bundle import local_folder, stored_versions

LEAST_BYTES = 2**16  # smaller files are not worth a link


@dataclass(frozen=True)
class Twin:
    """A file of a version's bundle whose content an older version's bundle has, too."""

    path: Path
    original: Path
    digest: str

    @property
    def size(self) -> int:
        """The bytes that a link would free."""
        return self.path.stat().st_size


def find_twins(root: Path, model: str, without: Collection[str] = ()) -> list[Twin]:
    """The large files that versions have twice by their manifests, but for versions of the numbers in ``without``.

    Empty if MLflow's store is not in the project.
    """
    if not project_store.is_in_project(root):
        return []
    originals: dict[str, Path] = {}
    twins = []
    for number, version in stored_versions(root, model).items():
        bundle = local_folder(version.location)
        if number in without or bundle is None or not (bundle / MANIFEST).is_file():
            continue
        for path, digest in large_files(bundle):
            original = originals.setdefault(digest, path)
            if not path.samefile(original):
                twins.append(Twin(path, original, digest))
    return twins


def large_files(bundle: Path) -> list[tuple[Path, str]]:
    """The large files of a bundle, each with its digest by the manifest; empty if that cannot be read."""
    with suppress(UserError):
        files = [(bundle / name, digest) for name, digest in sorted(read_manifest(bundle).items())]
        return [(path, digest) for path, digest in files if is_large(path)]
    return []


def is_large(path: Path) -> bool:
    """Whether a path is a plain file that is worth a link."""
    return path.is_file() and not path.is_symlink() and path.stat().st_size >= LEAST_BYTES


def share(twins: Iterable[Twin]) -> int:
    """Replace each twin by a link to its original, if both have the digest of their manifests; returns the bytes freed.

    A file that cannot be linked stays as it is.
    """
    freed = 0
    for twin in twins:
        if file_sha256(twin.original) != twin.digest or file_sha256(twin.path) != twin.digest:
            continue  # whoever loads the bundle is told
        size = twin.size
        link = bundle_parent(twin.path) / f".{twin.path.name}.{os.getpid()}.part"  # a stray file breaks no bundle there
        with suppress(OSError):  # no links, or too many
            link.unlink(missing_ok=True)
            os.link(twin.original, link)
            os.replace(link, twin.path)
            freed += size
    return freed


def bundle_parent(path: Path) -> Path:
    """The folder above the bundle that a file is in."""
    folder = path.parent
    while not (folder / MANIFEST).is_file():
        folder = folder.parent
    return folder.parent


def freed_bytes(folders: Iterable[Path]) -> int:
    """The bytes that the removal of these folders frees: a file counts if no other folder has a link to it."""
    links: Counter[tuple[int, int]] = Counter()
    sizes: dict[tuple[int, int], tuple[int, int]] = {}
    for folder in folders:
        for path in folder.rglob("*"):
            if path.is_file() and not path.is_symlink():
                stat = path.stat()
                links[stat.st_dev, stat.st_ino] += 1
                sizes[stat.st_dev, stat.st_ino] = stat.st_size, stat.st_nlink
    return sum(size for file, (size, count) in sizes.items() if links[file] >= count)
