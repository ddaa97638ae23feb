"""Registered versions, and what each was made of as its run recorded it. Files are downloaded when asked for."""

import json
import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import mlflow
from mlflow import MlflowClient
from mlflow.entities.model_registry import ModelVersion
from mlflow.exceptions import MlflowException
from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError

from pipeline.core.errors import UserError
from pipeline.core.params import Params
from pipeline.policies.promotion.entry import VersionIdentity
from tasks.dvc.lock_file import Lock
from tasks.git.worktree import Snapshot
from tasks.registry.runs import ABOUT_ARTIFACT, GATE_ARTIFACT, PATCH_ARTIFACT
from tasks.registry.store import connect, project_store_uri, store_uri

MANIFEST_DIGEST_TAG = "gleaner.manifest"  # of a version: SHA-256 of its bundle's manifest
LINEAGE_TAGS = ("gleaner.git_commit", "gleaner.git_dirty", "gleaner.dvc_lock", "gleaner.data", "gleaner.params")


@dataclass(frozen=True)
class RegisteredVersion:
    """A registered version. A method raises UserError that names the file if the version's run did not record it."""

    client: MlflowClient
    model: str
    number: str
    aliases: tuple[str, ...]
    tags: dict[str, str]
    run: str  # the id of the MLflow run that made it
    registered: datetime

    @property
    def title(self) -> str:
        """The version's name in messages."""
        return f"{self.model} version {self.number}"

    @property
    def identity(self) -> VersionIdentity:
        """What tells it from another version of the same number."""
        return VersionIdentity(self.number, self.run, self.tags.get(MANIFEST_DIGEST_TAG), self.registered)

    @property
    def lineage(self) -> dict[str, str]:
        """The git commit and the digests that it was registered with, by tag."""
        return {name: self.tags[name] for name in LINEAGE_TAGS if name in self.tags}

    @property
    def commit(self) -> str:
        """The git commit that it was made from. Raises UserError if none was recorded."""
        commit = self.tags.get("gleaner.git_commit", "none: not recorded")
        if commit.startswith("none: "):
            raise UserError(
                f"{self.title}: expected a git commit, found {commit}; what is registered outside git cannot be rebuilt"
            )
        return commit

    @property
    def dirty(self) -> bool:
        """Whether the working tree differed from the commit."""
        return self.tags.get("gleaner.git_dirty") == "true"

    def patch(self) -> bytes:
        """How the code differed from the commit, for `git apply`; empty if it did not."""
        if not self.dirty:
            return b""
        about = self.about()
        return self.read_artifact(PATCH_ARTIFACT) if about["changed"] else b""

    def about(self) -> dict[str, Any]:
        """``changed`` and ``left_out``, the files that differed from the commit, and ``environment``."""
        about: dict[str, Any] = json.loads(self.read_artifact(ABOUT_ARTIFACT))
        return about

    def gate(self) -> dict[str, Any]:
        """``status`` and ``reasons`` of the gate's verdict."""
        verdict: dict[str, Any] = json.loads(self.read_artifact(GATE_ARTIFACT))
        return verdict

    def lock(self) -> Lock:
        """The dvc.lock that it was registered with."""
        lock: Lock = YAML(typ="safe", pure=True).load(self.read_artifact("dvc.lock"))
        return lock

    def lock_or_none(self) -> Lock | None:
        """The dvc.lock that it was registered with; None if it cannot be downloaded or read."""
        try:
            return self.lock()
        except (MlflowException, OSError, UserError, YAMLError):
            return None

    def params(self) -> dict[str, Any]:
        """The params.yaml that it was registered with; a ${VARIABLE} in it is not expanded."""
        params: dict[str, Any] = YAML(typ="safe", pure=True).load(self.read_artifact("params.yaml"))
        return params

    def snapshot(self) -> Snapshot:
        """The code and settings that it was made from. dvc.yaml comes from git, because its commands are run."""
        encoder = self.params()["encoder"]
        return Snapshot(
            title=self.title,
            number=self.number,
            commit=self.commit,
            patch=self.patch(),
            files={name: self.read_artifact(name) for name in ("params.yaml", "dvc.lock")},
            encoder=encoder["name"] if encoder["source"] == "path" else None,
        )

    def metrics(self) -> dict[str, float]:
        """Every metric of its stages as ``<stage>.<key>``, without training curves."""
        measured = self.client.get_run(self.run).data.metrics
        return {key: value for key, value in sorted(measured.items()) if "/" not in key.split(".")[0]}

    def has_artifact(self, path: str) -> bool:
        """Whether its run recorded a file of this path."""
        folder = os.path.dirname(path) or None
        return path in {artifact.path for artifact in self.client.list_artifacts(self.run, folder)}

    def read_artifact(self, path: str) -> bytes:
        """The content of a file that its run recorded. Raises UserError if there is none of this path."""
        if not self.has_artifact(path):
            raise UserError(
                f"{self.title}: expected {path} among the artifacts of its run {self.run}, found none; it was "
                "registered by a Gleaner that did not record it, or somebody removed it"
            )
        with TemporaryDirectory() as folder:
            return Path(self.client.download_artifacts(self.run, path, folder)).read_bytes()

    def download(self, folder: Path) -> Path:
        """Copy the bundle as the store has it into ``folder``, unchecked; `bundles.fetch_bundle` also checks it."""
        uri = f"models:/{self.model}/{self.number}/artifacts/bundle"
        tracking_uri = self.client.tracking_uri
        return Path(mlflow.artifacts.download_artifacts(uri, dst_path=str(folder), tracking_uri=tracking_uri))

    @contextmanager
    def bundle(self) -> Iterator[Path]:
        """A folder with the bundle for the block, unchecked."""
        with TemporaryDirectory() as folder:
            yield self.download(Path(folder))

    def set_tags(self, tags: dict[str, str]) -> None:
        """Set tags of the version, over those of the same name."""
        for key, value in tags.items():
            self.client.set_model_version_tag(self.model, self.number, key, value)


def find_version(root: Path, params: Params, wanted: str | None) -> RegisteredVersion:
    """The version of this number or alias; without one, the champion. Raises UserError if there is no such version."""
    versions = all_versions(root, params)
    if not versions:
        raise UserError(f"{params.registry.model}: expected a registered version, found none; run `gleaner run`")
    wanted = wanted or "champion"
    matching = [version for version in versions if wanted in (version.number, *version.aliases)]
    if not matching:
        known = ", ".join(
            " ".join([version.number, *(f"({alias})" for alias in version.aliases)]) for version in versions
        )
        if wanted == "champion":
            raise UserError(
                f"{params.registry.model}: expected a champion, found none among its versions {known}; "
                "`gleaner history` says why, or name a version"
            )
        raise UserError(
            f"{params.registry.model}: expected one of its versions {known}, found {wanted}; correct it, or see "
            "`gleaner history` for one that was deleted"
        )
    return matching[0]


def get_version(client: MlflowClient, model: str, number: str) -> RegisteredVersion:
    """The version of this number. Raises UserError that lists the existing numbers if there is no such version."""
    version = find_number(client, model, number)
    if version is None:
        numbers = sorted(int(version.version) for version in client.search_model_versions(f"name = '{model}'"))
        known = f"one of {', '.join(map(str, numbers))}" if numbers else "a registered version, and there is none"
        raise UserError(f"{model}: expected {known}, found {number}; see `gleaner history`")
    return version


def find_number(client: MlflowClient, model: str, number: str) -> RegisteredVersion | None:
    """The version of this number; None if there is no such version."""
    try:
        version = client.get_model_version(model, number)
    except MlflowException as error:
        if error.error_code not in ("RESOURCE_DOES_NOT_EXIST", "INVALID_PARAMETER_VALUE"):
            raise
        return None
    return to_registered_version(client, version, version.aliases)


def version_at_alias(client: MlflowClient, model: str, alias: str) -> str | None:
    """The number of the version that has an alias; None if no version has it, or there is no such model."""
    try:
        number = client.get_registered_model(model).aliases.get(alias)
    except MlflowException as error:
        if error.error_code != "RESOURCE_DOES_NOT_EXIST":
            raise
        return None
    return None if number is None else str(number)


def all_versions(root: Path, params: Params) -> list[RegisteredVersion]:
    """All registered versions, oldest first. Does not create a store."""
    if store_uri(root) == project_store_uri(root) and not (root / "mlflow.db").exists():
        return []
    client, model = connect(root), params.registry.model
    if not any(registered.name == model for registered in client.search_registered_models(f"name = '{model}'")):
        return []
    number_by_alias = client.get_registered_model(model).aliases
    versions = []
    for version in client.search_model_versions(f"name = '{model}'"):
        aliases = [alias for alias, number in number_by_alias.items() if str(number) == str(version.version)]
        versions.append(to_registered_version(client, version, aliases))
    return sorted(versions, key=lambda version: int(version.number))


def to_registered_version(client: MlflowClient, version: ModelVersion, aliases: Iterable[str]) -> RegisteredVersion:
    """Convert MLflow's description of a version; ``aliases`` are given apart, because MLflow's search lacks them."""
    registered = datetime.fromtimestamp(version.creation_timestamp / 1000, UTC)
    number, run = str(version.version), str(version.run_id)
    return RegisteredVersion(client, version.name, number, tuple(sorted(aliases)), dict(version.tags), run, registered)


def find_baseline(root: Path, params: Params, version: RegisteredVersion) -> RegisteredVersion | None:
    """The version to compare another with: the champion, or for the champion, the version before; else None."""
    versions = all_versions(root, params)
    champion = next((candidate for candidate in versions if "champion" in candidate.aliases), None)
    if champion is not None and champion.number != version.number:
        return champion
    return next((earlier for earlier in reversed(versions) if int(earlier.number) < int(version.number)), None)
