"""A registered version, and what it was made of as its run recorded it. Files are downloaded when asked for."""

import json
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import mlflow
from mlflow import MlflowClient
from mlflow.exceptions import MlflowException

from pipeline.core.errors import UserError
from pipeline.core.yaml_file import parse_yaml
from pipeline.policies.limit_changes import LimitChange, changes_from_json
from pipeline.policies.promotion.entry import VersionIdentity
from tasks.dvc.lock_file import Lock, is_lock
from tasks.git.worktree import Snapshot
from tasks.registry.manifest import MANIFEST_DIGEST_TAG
from tasks.registry.runs import ABOUT_ARTIFACT, CODE_ARTIFACT, GATE_ARTIFACT, PATCH_ARTIFACT
from tasks.registry.version_tags import DVC_LOCK, LIMIT_CHANGES

LINEAGE_TAGS = ("gleaner.git_commit", "gleaner.git_dirty", DVC_LOCK, "gleaner.data", "gleaner.params")
COMMIT = re.compile("[0-9a-f]{40,64}")


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
    def limit_changes(self) -> list[LimitChange]:
        """The limits of gate and promotion that were changed since the version before; none for older versions."""
        return changes_from_json(self.tags.get(LIMIT_CHANGES, "[]"))

    @property
    def commit(self) -> str:
        """The git commit that it was made from. Raises UserError if none was recorded, or something else."""
        commit = self.tags.get("gleaner.git_commit", "none: not recorded")
        if commit.startswith("none: "):
            raise UserError(
                f"{self.title}: expected a git commit, found {commit}; what is registered outside git cannot be rebuilt"
            )
        if not COMMIT.fullmatch(commit):
            raise UserError(
                f"{self.title}: expected a git commit of hexadecimal digits in the tag gleaner.git_commit, found "
                "something else; somebody changed it"
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
        """``changed`` and ``left_out``, the files that differed from the commit, and ``environment``.

        Raises UserError if what was recorded lacks them.
        """
        about = self.read_json(ABOUT_ARTIFACT, "changed", "left_out", "environment")
        environment = about["environment"]
        if not isinstance(environment, dict) or not isinstance(environment.get("libraries"), dict):
            raise UserError(f"{self.title}: expected libraries in {ABOUT_ARTIFACT}, found none; somebody changed it")
        return about

    def gate(self) -> dict[str, Any]:
        """``status`` and ``reasons`` of the gate's verdict. Raises UserError if what was recorded lacks them."""
        return self.read_json(GATE_ARTIFACT, "status", "reasons")

    def read_json(self, path: str, *keys: str) -> dict[str, Any]:
        """The mapping in a JSON file that its run recorded. Raises UserError if it lacks one of ``keys``."""
        try:
            content = json.loads(self.read_artifact(path))
        except (ValueError, RecursionError):
            content = None
        if not isinstance(content, dict) or not all(key in content for key in keys):
            raise UserError(f"{self.title}: expected {' and '.join(keys)} in {path}, found none; somebody changed it")
        return content

    def lock(self) -> Lock:
        """The dvc.lock that it was registered with. Raises UserError if what was recorded is none."""
        lock: Lock = self.read_yaml("dvc.lock")
        if not is_lock(lock):
            raise UserError(f"{self.title}: expected a dvc.lock with stages, found something else; somebody changed it")
        return lock

    def lock_or_none(self) -> Lock | None:
        """The dvc.lock that it was registered with; None if it cannot be downloaded or read."""
        try:
            return self.lock()
        except (MlflowException, OSError, UserError):
            return None

    def params(self) -> dict[str, Any]:
        """The params.yaml that it was registered with; a ${VARIABLE} in it is not expanded.

        Raises UserError if what was recorded has no sections.
        """
        params = self.read_yaml("params.yaml")
        if not isinstance(params, dict) or not all(isinstance(section, dict) for section in params.values()):
            raise UserError(f"{self.title}: expected params.yaml with sections, found none; somebody changed it")
        return params

    def read_yaml(self, path: str) -> Any:
        """The content of a YAML file that its run recorded. Raises UserError if it is none, or exceeds the limits."""
        return parse_yaml(self.read_artifact(path).decode(errors="replace"), f"{self.title}: {path}")

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
            code=self.read_artifact(CODE_ARTIFACT) if self.has_artifact(CODE_ARTIFACT) else None,
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
        """Copy the bundle as the store has it into ``folder``, unchecked; `bundles.fetch_bundle` also checks it.

        Raises UserError if the store does not have it.
        """
        uri = f"models:/{self.model}/{self.number}/artifacts/bundle"
        tracking_uri = self.client.tracking_uri
        try:
            return Path(mlflow.artifacts.download_artifacts(uri, dst_path=str(folder), tracking_uri=tracking_uri))
        except (MlflowException, OSError) as error:
            reason = str(error).splitlines()[0]
            raise UserError(f"{self.title}: expected its bundle among its artifacts, found: {reason}") from None

    @contextmanager
    def bundle(self) -> Iterator[Path]:
        """A folder with the bundle for the block, unchecked."""
        with TemporaryDirectory() as folder:
            yield self.download(Path(folder))

    def set_tags(self, tags: dict[str, str]) -> None:
        """Set tags of the version, over those of the same name."""
        for key, value in tags.items():
            self.client.set_model_version_tag(self.model, self.number, key, value)
