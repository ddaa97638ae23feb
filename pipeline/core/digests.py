"""SHA-256 of files: one way to compute what bundles, checkpoints and caches are checked by."""

import hashlib
from collections.abc import Iterable
from pathlib import Path


def file_sha256(path: Path) -> str:
    """SHA-256 of a file's content, 64 hexadecimal digits."""
    return concatenation_sha256([path])


def concatenation_sha256(paths: Iterable[Path]) -> str:
    """SHA-256 of the contents of several files in a row, as if they were one file; 64 hexadecimal digits."""
    total = hashlib.sha256()
    for path in paths:
        with path.open("rb") as file:
            while block := file.read(1 << 20):
                total.update(block)
    return total.hexdigest()
