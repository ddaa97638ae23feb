"""The manifest of a registered bundle: the version keeps its digest, so that a bundle that was replaced is noticed."""

from pathlib import Path

from pipeline.core.digests import file_sha256
from pipeline.core.errors import UserError
from pipeline.models.bundle_files import MANIFEST

MANIFEST_DIGEST_TAG = "gleaner.manifest"  # of a version: SHA-256 of its bundle's manifest


def manifest_digest(bundle: Path) -> str:
    """SHA-256 of the bundle's manifest. It identifies the whole bundle, because the manifest has all other digests."""
    return file_sha256(bundle / MANIFEST)


def require_manifest(bundle: Path, expected: str | None, title: str) -> None:
    """Raise UserError if the bundle has another manifest than the ``expected`` one; None if that was not recorded.

    ``title`` is the version's name in the message.
    """
    if expected is not None and (bundle / MANIFEST).exists() and (found := manifest_digest(bundle)) != expected:
        raise UserError(
            f"{title}: expected the {MANIFEST} that it was registered with, {expected[:12]}, found "
            f"another, {found[:12]}; somebody replaced the bundle; nothing was loaded"
        )
