"""The bundle of a registered version: downloaded from MLflow, and checked before anything is loaded."""

from pathlib import Path

from tasks.registry.manifest import MANIFEST_DIGEST_TAG, check_bundle, manifest_digest
from tasks.registry.registered_version import RegisteredVersion

__all__ = ["MANIFEST_DIGEST_TAG", "fetch_bundle", "manifest_digest"]


def fetch_bundle(version: RegisteredVersion, folder: Path) -> Path:
    """Copy the bundle of a version into ``folder``, check every byte of it, and return its path.

    The manifest has the digest of each file, and the version has the digest of the manifest. So a model that was
    replaced together with its manifest is noticed, too. Raises UserError that names the file that was changed, or if
    the store does not have the bundle.
    """
    bundle = version.download(folder)
    check_bundle(bundle, version.tags.get(MANIFEST_DIGEST_TAG), version.title)
    return bundle
