"""The check of a registered bundle: the version keeps the digest of its manifest, so that no change goes unnoticed."""

from pathlib import Path

from pipeline.core.digests import file_sha256
from pipeline.core.errors import UserError
from pipeline.models.bundle_files import MANIFEST, verify

MANIFEST_DIGEST_TAG = "gleaner.manifest"  # of a version: SHA-256 of its bundle's manifest


def manifest_digest(bundle: Path) -> str:
    """SHA-256 of the bundle's manifest. It identifies the whole bundle, because the manifest has all other digests."""
    return file_sha256(bundle / MANIFEST)


def check_bundle(bundle: Path, expected: str | None, title: str) -> None:
    """Check every byte of a registered bundle: its manifest by the digest, and its files by the manifest.

    ``expected`` is the digest that was recorded, None if none was; ``title`` is the version's name in messages. Raises
    UserError that names the file that was changed.
    """
    if expected is not None and (bundle / MANIFEST).exists() and (found := manifest_digest(bundle)) != expected:
        raise UserError(
            f"{title}: expected the {MANIFEST} that it was registered with, {expected[:12]}, found "
            f"another, {found[:12]}; somebody replaced the bundle; nothing was loaded"
        )
    try:
        verify(bundle)
    except UserError as error:
        fault = str(error).split("; ")[0].replace(f"{bundle}/", "")
        raise UserError(f"{title}: {fault}; somebody changed the bundle; nothing was loaded") from None
