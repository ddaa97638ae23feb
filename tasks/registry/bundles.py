"""The bundle of a registered version: downloaded from MLflow, and checked before anything is loaded."""

from pathlib import Path

from pipeline.core.digests import file_sha256
from pipeline.core.errors import UserError
from pipeline.models import classifier
from tasks.registry.registered_version import MANIFEST_DIGEST_TAG, RegisteredVersion

__all__ = ["MANIFEST_DIGEST_TAG", "fetch_bundle", "manifest_digest"]


def fetch_bundle(version: RegisteredVersion, folder: Path) -> Path:
    """Copy the bundle of a version into ``folder``, check every byte of it, and return its path.

    The manifest has the digest of each file, and the version has the digest of the manifest. So a model that was
    replaced together with its manifest is noticed, too. Raises UserError that names the file that was changed, or if
    the store does not have the bundle.
    """
    bundle = version.download(folder)
    expected = version.tags.get(MANIFEST_DIGEST_TAG)
    if expected is not None and (bundle / classifier.MANIFEST).exists() and manifest_digest(bundle) != expected:
        raise UserError(
            f"{version.title}: expected the {classifier.MANIFEST} that it was registered with, {expected[:12]}, found "
            f"another, {manifest_digest(bundle)[:12]}; somebody replaced the bundle; nothing was loaded"
        )
    try:
        classifier.verify(bundle)
    except UserError as error:
        fault = str(error).split("; ")[0].replace(f"{bundle}/", "")
        raise UserError(f"{version.title}: {fault}; somebody changed the bundle; nothing was loaded") from None
    return bundle


def manifest_digest(bundle: Path) -> str:
    """SHA-256 of the bundle's manifest. It identifies the whole bundle, because the manifest has all other digests."""
    return file_sha256(bundle / classifier.MANIFEST)
