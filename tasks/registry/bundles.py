"""The bundle of a registered version, fetched from where MLflow keeps it and checked before anything is loaded."""

import json
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import mlflow
from mlflow import MlflowClient
from mlflow.exceptions import MlflowException

from pipeline import classifier
from pipeline.errors import UserError
from pipeline.params import read_yaml

MADE_OF = ("gleaner.git_commit", "gleaner.git_dirty", "gleaner.dvc_lock", "gleaner.data", "gleaner.params")
SEAL = "gleaner.manifest"  # tag of a version: SHA-256 of its bundle's manifest


@dataclass(frozen=True)
class Registered:
    """A version as the registry knows it."""

    model: str
    number: str
    run: str
    tags: dict[str, str]

    @property
    def title(self) -> str:
        """How messages call it."""
        return f"{self.model} version {self.number}"

    @property
    def made_of(self) -> dict[str, str]:
        """Digests and commit that it was registered with."""
        return {name: self.tags[name] for name in MADE_OF if name in self.tags}


def version(client: MlflowClient, model: str, number: str) -> Registered:
    """A registered version; UserError names those that there are when there is none such."""
    try:
        found = client.get_model_version(model, number)
        return Registered(model, str(found.version), str(found.run_id), dict(found.tags))
    except MlflowException as error:
        if error.error_code not in ("RESOURCE_DOES_NOT_EXIST", "INVALID_PARAMETER_VALUE"):
            raise
        known = sorted(int(one.version) for one in client.search_model_versions(f"name = '{model}'"))
        there = f"one of {', '.join(map(str, known))}" if known else "a registered version, and there is none"
        raise UserError(f"{model}: expected {there}, found {number}; see `gleaner history`") from None


def alias(client: MlflowClient, model: str, name: str) -> str | None:
    """The version that an alias stands at; None where there is none."""
    found = client.get_registered_model(model).aliases.get(name)
    return None if found is None else str(found)


def fetch(client: MlflowClient, chosen: Registered, folder: Path) -> Path:
    """Copy the bundle of a version into ``folder`` and check every byte of it; UserError tells what was changed.

    The manifest has the digest of each file, and the version the digest of the manifest: a model that was replaced
    together with its manifest is noticed, too.
    """
    try:
        bundle = Path(
            mlflow.artifacts.download_artifacts(
                f"models:/{chosen.model}/{chosen.number}/artifacts/bundle",
                dst_path=str(folder),
                tracking_uri=client.tracking_uri,
            )
        )
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


def recorded_lock(client: MlflowClient, chosen: Registered) -> dict[str, Any] | None:
    """The dvc.lock that a version was registered with; None when its run did not keep it."""
    with TemporaryDirectory() as folder:
        try:
            return dict(read_yaml(Path(client.download_artifacts(chosen.run, "dvc.lock", folder))))
        except (MlflowException, OSError, UserError):
            return None


def store_verdict(client: MlflowClient, run: str, content: dict[str, Any], *paths: str) -> None:
    """Keep a verdict among the artifacts of the run that made the challenger."""
    for path in paths:
        client.log_text(run, json.dumps(content, indent=2, ensure_ascii=False) + "\n", path)


def stored_verdict(client: MlflowClient, run: str, path: str) -> Any:
    """The content of a verdict that was kept."""
    with TemporaryDirectory() as folder:
        return json.loads(Path(client.download_artifacts(run, path, folder)).read_text())
