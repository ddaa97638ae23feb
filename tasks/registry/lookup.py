"""Registered versions, and what each was made of as its run recorded it; files are downloaded when asked for."""

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
from tasks.dvc.lock_file import Lock
from tasks.git.worktree import Snapshot
from tasks.registry.runs import ABOUT, GATE, PATCH
from tasks.registry.store import connect, own_store, store

MADE_OF = ("gleaner.git_commit", "gleaner.git_dirty", "gleaner.dvc_lock", "gleaner.data", "gleaner.params")


@dataclass(frozen=True)
class RegisteredVersion:
    """A registered version. Its methods raise UserError that names the piece when its run did not record it."""

    client: MlflowClient
    model: str
    number: str
    aliases: tuple[str, ...]
    tags: dict[str, str]
    run: str  # the id of the MLflow run that made it
    registered: datetime

    @property
    def title(self) -> str:
        """How messages call it."""
        return f"{self.model} version {self.number}"

    @property
    def made_of(self) -> dict[str, str]:
        """Digests and commit that it was registered with."""
        return {name: self.tags[name] for name in MADE_OF if name in self.tags}

    @property
    def commit(self) -> str:
        """The git commit that it was made from."""
        commit = self.tags.get("gleaner.git_commit", "none: not recorded")
        if commit.startswith("none: "):
            raise UserError(
                f"{self.title}: expected a git commit, found {commit}; what is registered outside git cannot be rebuilt"
            )
        return commit

    @property
    def dirty(self) -> bool:
        """Whether the tree differed from the commit."""
        return self.tags.get("gleaner.git_dirty") == "true"

    def patch(self) -> bytes:
        """How the code differed from the commit, for `git apply`; empty where it did not."""
        if not self.dirty:
            return b""
        about = self.about()
        return self.file(PATCH) if about["changed"] else b""

    def about(self) -> dict[str, Any]:
        """``changed`` and ``left_out``, the files that differed from the commit, and ``environment``."""
        found: dict[str, Any] = json.loads(self.file(ABOUT))
        return found

    def gate(self) -> dict[str, Any]:
        """``status`` and ``reasons`` of the gate's verdict."""
        found: dict[str, Any] = json.loads(self.file(GATE))
        return found

    def lock(self) -> Lock:
        """dvc.lock as it was."""
        found: Lock = YAML(typ="safe", pure=True).load(self.file("dvc.lock"))
        return found

    def lock_or_none(self) -> Lock | None:
        """The same; None where it cannot be had or read any more."""
        try:
            return self.lock()
        except (MlflowException, OSError, UserError, YAMLError):
            return None

    def params(self) -> dict[str, Any]:
        """params.yaml as it was; a ${VARIABLE} in it stays one."""
        found: dict[str, Any] = YAML(typ="safe", pure=True).load(self.file("params.yaml"))
        return found

    def snapshot(self) -> Snapshot:
        """The code and settings that it was made from; dvc.yaml comes from git, since its commands are run."""
        encoder = self.params()["encoder"]
        return Snapshot(
            title=self.title,
            number=self.number,
            commit=self.commit,
            patch=self.patch(),
            files={name: self.file(name) for name in ("params.yaml", "dvc.lock")},
            encoder=encoder["name"] if encoder["source"] == "path" else None,
        )

    def metrics(self) -> dict[str, float]:
        """Every number that its stages measured, as ``<stage>.<key>``; no training curves."""
        measured = self.client.get_run(self.run).data.metrics
        return {key: value for key, value in sorted(measured.items()) if "/" not in key.split(".")[0]}

    def has(self, path: str) -> bool:
        """Whether its run recorded a file of this name."""
        folder = os.path.dirname(path) or None
        return path in {found.path for found in self.client.list_artifacts(self.run, folder)}

    def file(self, path: str) -> bytes:
        """Content of a file that its run recorded."""
        if not self.has(path):
            raise UserError(
                f"{self.title}: expected {path} among the artifacts of its run {self.run}, found none; it was "
                "registered by a Gleaner that did not record it, or somebody removed it"
            )
        with TemporaryDirectory() as folder:
            return Path(self.client.download_artifacts(self.run, path, folder)).read_bytes()

    def download(self, folder: Path) -> Path:
        """Copy the bundle that is served into ``folder``, as the store has it; `bundles.fetch` checks it, too."""
        uri = f"models:/{self.model}/{self.number}/artifacts/bundle"
        store = self.client.tracking_uri
        return Path(mlflow.artifacts.download_artifacts(uri, dst_path=str(folder), tracking_uri=store))

    @contextmanager
    def bundle(self) -> Iterator[Path]:
        """The folder of the bundle for the block; not checked."""
        with TemporaryDirectory() as folder:
            yield self.download(Path(folder))

    def mark(self, tags: dict[str, str]) -> None:
        """Tags of the version, over those of the same name."""
        for key, value in tags.items():
            self.client.set_model_version_tag(self.model, self.number, key, value)


def find(root: Path, params: Params, wanted: str | None) -> RegisteredVersion:
    """The version of this number or alias; without one, the champion. UserError when there is none such."""
    versions = all_versions(root, params)
    if not versions:
        raise UserError(f"{params.registry.model}: expected a registered version, found none; run `gleaner run`")
    wanted = wanted or "champion"
    chosen = [one for one in versions if wanted in (one.number, *one.aliases)]
    if not chosen:
        there = ", ".join(" ".join([one.number, *(f"({alias})" for alias in one.aliases)]) for one in versions)
        raise UserError(f"{params.registry.model}: expected one of its versions {there}, found {wanted}; correct it")
    return chosen[0]


def numbered(client: MlflowClient, model: str, number: str) -> RegisteredVersion:
    """The version of this number; UserError names those that there are when there is none such."""
    try:
        found = client.get_model_version(model, number)
    except MlflowException as error:
        if error.error_code not in ("RESOURCE_DOES_NOT_EXIST", "INVALID_PARAMETER_VALUE"):
            raise
        numbers = sorted(int(one.version) for one in client.search_model_versions(f"name = '{model}'"))
        there = f"one of {', '.join(map(str, numbers))}" if numbers else "a registered version, and there is none"
        raise UserError(f"{model}: expected {there}, found {number}; see `gleaner history`") from None
    return to_registered_version(client, found, found.aliases)


def alias(client: MlflowClient, model: str, name: str) -> str | None:
    """The number of the version that an alias stands at; None where there is none."""
    found = client.get_registered_model(model).aliases.get(name)
    return None if found is None else str(found)


def all_versions(root: Path, params: Params) -> list[RegisteredVersion]:
    """All registered versions, oldest first. Makes no store where there is none."""
    if store(root) == own_store(root) and not (root / "mlflow.db").exists():
        return []
    client, model = connect(root), params.registry.model
    if not any(one.name == model for one in client.search_registered_models(f"name = '{model}'")):
        return []
    aliases = client.get_registered_model(model).aliases
    found = []
    for version in client.search_model_versions(f"name = '{model}'"):
        own = [alias for alias, number in aliases.items() if str(number) == str(version.version)]
        found.append(to_registered_version(client, version, own))
    return sorted(found, key=lambda one: int(one.number))


def to_registered_version(client: MlflowClient, version: ModelVersion, aliases: Iterable[str]) -> RegisteredVersion:
    """A version as MLflow describes it; a search leaves its aliases out."""
    when = datetime.fromtimestamp(version.creation_timestamp / 1000, UTC)
    number, run = str(version.version), str(version.run_id)
    return RegisteredVersion(client, version.name, number, tuple(sorted(aliases)), dict(version.tags), run, when)


def baseline(root: Path, params: Params, version: RegisteredVersion) -> RegisteredVersion | None:
    """What a version is compared with: the champion, or, for the champion, the version before; None for the first."""
    versions = all_versions(root, params)
    champion = next((one for one in versions if "champion" in one.aliases), None)
    if champion is not None and champion.number != version.number:
        return champion
    return next((one for one in reversed(versions) if int(one.number) < int(version.number)), None)
