"""The bundle of a registered version, fetched from where MLflow keeps it and checked before anything is loaded."""

from pathlib import Path

from mlflow.exceptions import MlflowException

from pipeline.core.errors import UserError
from pipeline.models import classifier
from tasks.registry.lookup import RegisteredVersion

SEAL = "gleaner.manifest"  # tag of a version: SHA-256 of its bundle's manifest


def fetch(chosen: RegisteredVersion, folder: Path) -> Path:
    """Copy the bundle of a version into ``folder`` and check every byte of it; UserError tells what was changed.

    The manifest has the digest of each file, and the version the digest of the manifest: a model that was replaced
    together with its manifest is noticed, too.
    """
    try:
        bundle = chosen.download(folder)
    except (MlflowException, OSError) as error:
        reason = str(error).splitlines()[0]
        raise UserError(f"{chosen.title}: expected its bundle among its artifacts, found: {reason}") from None
    seal = chosen.tags.get(SEAL)
    if seal is not None and (bundle / classifier.MANIFEST).exists() and seal_of(bundle) != seal:
        raise UserError(
            f"{chosen.title}: expected the {classifier.MANIFEST} that it was registered with, {seal[:12]}, found "
            f"another, {seal_of(bundle)[:12]}; somebody replaced the bundle; nothing was loaded"
        )
    try:
        classifier.verify(bundle)
    except UserError as error:
        fault = str(error).split("; ")[0].replace(f"{bundle}/", "")
        raise UserError(f"{chosen.title}: {fault}; somebody changed the bundle; nothing was loaded") from None
    return bundle


def seal_of(bundle: Path) -> str:
    """SHA-256 of the bundle's manifest, and through it of the whole bundle."""
    return classifier.sha256(bundle / classifier.MANIFEST)
