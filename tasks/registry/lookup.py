"""What a registered version was made of, as its run recorded it; files are downloaded when they are asked for."""

import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import mlflow
from mlflow import MlflowClient
from ruamel.yaml import YAML

from pipeline.errors import UserError
from pipeline.params import Params
from tasks.lock import Lock
from tasks.registry.runs import ABOUT, GATE, PATCH
from tasks.registry.store import connect, own_store, store


@dataclass(frozen=True)
class Recorded:
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

    def params(self) -> dict[str, Any]:
        """params.yaml as it was; a ${VARIABLE} in it stays one."""
        found: dict[str, Any] = YAML(typ="safe", pure=True).load(self.file("params.yaml"))
        return found

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

    @contextmanager
    def bundle(self) -> Iterator[Path]:
        """The folder of the bundle that is served, as the store has it; not checked."""
        with TemporaryDirectory() as folder:
            uri = f"models:/{self.model}/{self.number}/artifacts/bundle"
            yield Path(mlflow.artifacts.download_artifacts(artifact_uri=uri, dst_path=folder))

    def mark(self, tags: dict[str, str]) -> None:
        """Tags of the version, over those of the same name."""
        for key, value in tags.items():
            self.client.set_model_version_tag(self.model, self.number, key, value)


def find(root: Path, params: Params, wanted: str | None) -> Recorded:
    """The version of this number or alias; without one, the champion. UserError when there is none such."""
    versions = known(root, params)
    if not versions:
        raise UserError(f"{params.registry.model}: expected a registered version, found none; run `gleaner run`")
    wanted = wanted or "champion"
    chosen = [one for one in versions if wanted in (one.number, *one.aliases)]
    if not chosen:
        there = ", ".join(" ".join([one.number, *(f"({alias})" for alias in one.aliases)]) for one in versions)
        raise UserError(f"{params.registry.model}: expected one of its versions {there}, found {wanted}; correct it")
    return chosen[0]


def known(root: Path, params: Params) -> list[Recorded]:
    """All registered versions, oldest first. Makes no store where there is none."""
    if store(root) == own_store(root) and not (root / "mlflow.db").exists():
        return []
    client, model = connect(root), params.registry.model
    if not any(one.name == model for one in client.search_registered_models(f"name = '{model}'")):
        return []
    aliases = client.get_registered_model(model).aliases
    found = []
    for version in client.search_model_versions(f"name = '{model}'"):
        own = tuple(sorted(alias for alias, number in aliases.items() if str(number) == str(version.version)))
        when = datetime.fromtimestamp(version.creation_timestamp / 1000, UTC)
        found.append(Recorded(client, model, str(version.version), own, dict(version.tags), str(version.run_id), when))
    return sorted(found, key=lambda one: int(one.number))


def baseline(root: Path, params: Params, version: Recorded) -> Recorded | None:
    """What a version is compared with: the champion, or, for the champion, the version before; None for the first."""
    versions = known(root, params)
    champion = next((one for one in versions if "champion" in one.aliases), None)
    if champion is not None and champion.number != version.number:
        return champion
    return next((one for one in reversed(versions) if int(one.number) < int(version.number)), None)
