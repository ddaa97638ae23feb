"""Loads a classifier for Python code: a registered version, or a folder with a bundle."""

import os
import re
import weakref
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

from flows.prefect_server import quiet_libraries
from gleaner.model import Model
from pipeline.core.errors import UserError
from pipeline.core.installed import template_folder

if TYPE_CHECKING:
    from tasks.registry.version_bundle import VersionBundle

ADDRESS = re.compile(r"models:/(?P<name>[^/@]+)(?:@(?P<alias>[^/@]+)|/(?P<number>\d+))")


def load(model: str | Path, *, project: str | Path = ".") -> Model:
    """The classifier ``model``: models:/NAME@ALIAS or models:/NAME/NUMBER as in MLflow, or the folder of a bundle.

    A version is looked up in the registry of the folder ``project``, or in the one that MLFLOW_TRACKING_URI names.
    Every file is checked before it is loaded. Raises UserError if there is no such version or bundle, or if it was
    changed.
    """
    root = Path(project).absolute()
    params = next(path for path in (root / "params.yaml", template_folder() / "params.yaml") if path.is_file())
    if not str(model).startswith("models:"):
        return load_bundle(Path(model), params)
    address = ADDRESS.fullmatch(str(model))
    if address is None:
        raise UserError(f"model: expected models:/NAME@ALIAS, models:/NAME/NUMBER or a folder, found {model}")
    name, wanted = address["name"], address["alias"] or address["number"]
    if (root / "dvc.yaml").is_file():
        bundle = find_version(root, name, wanted)
        return load_bundle(bundle.folder, params, bundle.number)
    if "MLFLOW_TRACKING_URI" not in os.environ:
        raise UserError(
            f"project: expected the folder of a project, found {root}; name one, or set MLFLOW_TRACKING_URI"
        )
    copies = TemporaryDirectory(
        prefix="gleaner-"
    )  # of what MLflow downloads; a folder that is no project stays as it is
    bundle = find_version(Path(copies.name), name, wanted)
    loaded = load_bundle(bundle.folder, params, bundle.number)
    weakref.finalize(loaded, copies.cleanup)
    return loaded


def load_bundle(folder: Path, params: Path, version: str | None = None) -> Model:
    """The classifier of a bundle. Raises UserError if it is none, or was changed."""
    from pipeline.models import classifier

    return Model(folder, classifier.load(folder), params, version)


def find_version(root: Path, name: str, wanted: str) -> "VersionBundle":
    """The bundle of a registered version; ``wanted`` is its number or alias.

    Raises UserError if there is none, or if the registry does not answer.
    """
    quiet_libraries()
    from tasks.prefect_states.known_causes import known_cause
    from tasks.registry.version_bundle import find_bundle

    try:
        bundle = find_bundle(root, name, wanted)
    except Exception as error:
        if isinstance(error, UserError) or (cause := known_cause(error)) is None:
            raise
        raise UserError(cause) from None
    if bundle is None:
        raise UserError(f"{name}: expected a registered version, found none; `gleaner run` registers one")
    return bundle
