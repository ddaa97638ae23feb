"""The files of a model bundle: sealed with digests in the manifest, and checked against it before any is loaded."""

import json
import stat
from pathlib import Path
from typing import Any

from pipeline.core.digests import file_sha256
from pipeline.core.errors import UserError
from pipeline.core.printable import printable
from pipeline.core.stage import write_json

MANIFEST = "MANIFEST.json"
# Suffixes of files in a bundle; none of these can run code when read.
ALLOWED_SUFFIXES = {".json", ".onnx", ".safetensors", ".txt", ".model", ".jinja"}
MAX_JSON_BYTES = 16_000_000  # of the manifest and of classifier.json, which hold names and digests
DIGEST_LENGTH = 64
DVC_CACHE = ("files", "md5")  # the folders in which a DVC cache keeps content, in a folder of two digits


def seal(folder: Path) -> None:
    """Write the manifest, last of all files: the SHA-256 of each file by its path inside the bundle."""
    write_json({name: file_sha256(folder / name) for name in bundle_files(folder)}, folder / MANIFEST)


def verify(folder: Path) -> None:
    """Check a bundle against its manifest. Raises UserError for the first file that differs from it."""
    manifest = read_manifest(folder)
    present = bundle_files(folder)
    for name in sorted(manifest.keys() - set(present)):
        raise UserError(f"{at(folder, name)}: expected this file of the bundle, found none; run `dvc repro export`")
    for name in present:
        if Path(name).suffix not in ALLOWED_SUFFIXES:
            kinds = ", ".join(sorted(ALLOWED_SUFFIXES))
            raise UserError(f"{at(folder, name)}: expected only {kinds} in a bundle; never load weights from a pickle")
        if name not in manifest:
            raise UserError(f"{at(folder, name)}: expected only the files in {MANIFEST}, found this one too; remove it")
        if file_sha256(folder / name) != manifest[name]:
            raise UserError(f"{at(folder, name)}: expected the digest in {MANIFEST}, found another; rerun export")


def read_manifest(folder: Path) -> dict[str, str]:
    """The SHA-256 of each file by its path inside the bundle. Raises UserError if there is no such manifest."""
    path = folder / MANIFEST
    if folder.exists() and not folder.is_dir():
        raise UserError(f"{folder}: expected the folder of a model bundle, found a file; name its folder")
    if not path.exists():
        raise UserError(f"{path}: expected a sealed model bundle, found none; run `dvc repro export`")
    require_plain_file(path)
    manifest = read_bundle_json(path)
    is_mapping = isinstance(manifest, dict) and manifest
    if not is_mapping or not all(
        isinstance(digest, str) and len(digest) == DIGEST_LENGTH for digest in manifest.values()
    ):
        raise UserError(f"{path}: expected the SHA-256 of each file by its path, found something else; rerun export")
    return manifest


def read_bundle_json(path: Path) -> Any:
    """The content of a JSON file of a bundle. Raises UserError if it is missing, too large or no JSON."""
    if not path.exists():
        raise UserError(f"{path}: expected this file of the bundle, found none; run `dvc repro export`")
    if (size := path.stat().st_size) > MAX_JSON_BYTES:
        raise UserError(f"{path}: expected at most {MAX_JSON_BYTES} bytes, found {size}; rerun export")
    try:
        return json.loads(path.read_bytes())
    except (ValueError, RecursionError):  # ValueError: no JSON, no UTF-8, or a number of thousands of digits
        raise UserError(f"{path}: expected JSON, found something else; rerun export") from None


def manifest_content(folder: Path) -> bytes | None:
    """The bytes of the manifest, which are others once the bundle is replaced; None if there is none to be read."""
    path = folder / MANIFEST
    try:
        return path.read_bytes() if path.is_file() and path.stat().st_size < MAX_JSON_BYTES else None
    except OSError:
        return None


def bundle_files(folder: Path) -> list[str]:
    """Paths of the bundle's files inside it, sorted, without the manifest itself.

    Raises UserError for anything that is neither a folder nor a plain file, because reading it could wait for ever or
    lead out of the bundle.
    """
    names = []
    for path in folder.rglob("*"):
        if not path.is_symlink() and path.is_dir():
            continue
        require_plain_file(path)
        names.append(path.relative_to(folder).as_posix())
    return sorted(name for name in names if name != MANIFEST)


def require_plain_file(path: Path) -> None:
    """Check that a path is a plain file, or a link to content in a DVC cache, as DVC can be set to make.

    Raises UserError if it is neither.
    """
    if path.is_symlink() and (not path.is_file() or path.resolve().parts[-4:-2] != DVC_CACHE):
        found = "a link"
    elif not stat.S_ISREG(path.stat().st_mode):
        found = "a pipe, device or socket"
    else:
        return
    raise UserError(f"{at(path)}: expected only plain files in a bundle, found {found}; remove it or rerun export")


def at(folder: Path, name: str = "") -> str:
    """A path for a message. Names of files come from whoever made the bundle."""
    return printable(str(folder / name))
