"""Chooses the bundle that `gleaner predict` and `gleaner explain` ask: the champion's, unless the user says another."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

from flows.prefect_server import configure_environment
from pipeline.commands.served_bundle import ServedBundle
from pipeline.core.errors import UserError
from pipeline.core.yaml_file import read_yaml
from pipeline.models.bundle_files import MANIFEST
from tasks.prefect_states.known_causes import known_cause

if TYPE_CHECKING:
    from tasks.registry.version_bundle import VersionBundle

WORKSPACE = Path("data", "export", "bundle")  # of the last training, refused ones included


def choose_bundle(root: Path, wanted: str | None, folder: Path | None) -> ServedBundle:
    """The bundle in ``folder``; without one, that of the version of this number or alias, by default the champion.

    Where nothing is registered, it is that of the last training. Raises UserError if both are given, if the registry
    does not answer or has no such version, or if nothing was trained.
    """
    if folder is not None and wanted is not None:
        raise UserError("--version, --bundle: expected one of them, found both; leave one out")
    if folder is not None:
        return ServedBundle(folder)
    model = model_name(root)
    if model is not None:
        found = ask_registry(root, model, wanted or "champion")
        if found is not None:
            return ServedBundle(found.folder, found.number, f"answers of {found.title}")
    where = "there is no params.yaml here" if model is None else f"no version of {model} is registered"
    if wanted is not None:
        raise UserError(f"--version: expected a registered version, found none: {where}; run `gleaner run`")
    if not (root / WORKSPACE / MANIFEST).exists():
        raise UserError(
            f"{WORKSPACE}: expected a trained classifier, as {where}, found none; run `gleaner run`, or name a folder "
            "with --bundle"
        )
    return ServedBundle(root / WORKSPACE, note=f"answers of {WORKSPACE}, the last training's, as {where}")


def model_name(root: Path) -> str | None:
    """The registered model that params.yaml names; None if there is no such file. Raises UserError if it names none."""
    path = root / "params.yaml"
    if not path.exists():
        return None
    content: Any = read_yaml(path)
    try:
        return str(content["registry"]["model"])
    except (KeyError, TypeError):
        raise UserError(f"{path}: expected registry.model, found none; name the registered model there") from None


def ask_registry(root: Path, model: str, wanted: str) -> "VersionBundle | None":
    """What `find_bundle` returns. Raises UserError for each error of a known cause: no other bundle answers instead."""
    configure_environment(root)
    from tasks.registry.version_bundle import find_bundle

    try:
        return find_bundle(root, model, wanted)
    except Exception as error:
        cause = str(error) if isinstance(error, UserError) else known_cause(error)
        if cause is None:
            raise
        raise UserError(f"{cause}; --bundle FOLDER answers without the registry") from None
