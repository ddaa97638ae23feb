"""Versions and runs that neither the promotion log nor an alias nor a night needs: found, measured and deleted.

A version is needed if it has an alias, if an entry of the promotion log names it, or if it is the newest one. A run is
needed if it made such a version, if it records a night, or if a night asks it which arrivals were learned. All versions
of other models are needed: `registry.model` may have been renamed.
"""

import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlparse

from mlflow import MlflowClient
from mlflow.tracking._tracking_service.utils import _get_store

from pipeline.core.params import Params
from pipeline.labelling.arrivals import ReadArrivals
from tasks.registry import lookup, promotion_log
from tasks.registry.nights import KIND
from tasks.registry.project_store import DATABASE
from tasks.registry.registered_version import RegisteredVersion
from tasks.registry.runs import search_runs
from tasks.registry.shared_files import freed_bytes
from tasks.registry.store import connect, is_in_project
from tasks.registry.trainings import arrivals_of_run, is_complete


@dataclass(frozen=True)
class Unneeded:
    """What MLflow's store may lose, what it must keep, and why something was left out of the search."""

    versions: tuple[RegisteredVersion, ...] = ()
    runs: tuple[str, ...] = ()  # run ids, those of the versions included
    models: tuple[str, ...] = ()  # ids of the logged models of these runs
    needed: tuple[RegisteredVersion, ...] = ()
    bytes_of_versions: int = 0
    bytes_of_runs: int = 0  # without those of the versions
    notes: tuple[str, ...] = ()


def find_unneeded(root: Path, params: Params, before: datetime) -> Unneeded:
    """What was registered or started before a time, and is not needed."""
    versions = lookup.all_versions(root, params)
    if not is_in_project(root):
        note = "MLflow: a server keeps runs and versions; whoever runs it deletes there (`mlflow gc`)"
        experiment = {run.info.run_id for run in search_runs(connect(root), root, params)}
        others = [version for version in lookup.versions_of_others(root, params) if version.run in experiment]
        return Unneeded(needed=(*versions, *others), notes=(note,))
    if not (root / DATABASE).exists():
        return Unneeded()
    client, others = connect(root), lookup.versions_of_others(root, params)
    ledger = promotion_log.read(client, params.registry.model)
    named = {entry.version for entry in ledger.entries} | {entry.expected for entry in ledger.entries}
    if ledger.faults:
        note = f"{ledger.faults[0]}: versions and runs stay, because nobody can tell which ones the log needs"
        return Unneeded(needed=(*versions, *others), notes=(note,))
    unneeded = [
        version
        for version in versions[:-1]
        if not version.aliases and version.number not in named and version.registered < before
    ]
    needed = [*(version for version in versions if version not in unneeded), *others]
    runs = list(unneeded_runs(client, root, params, {version.run for version in needed}, before))
    of_versions = {version.run for version in unneeded}
    models = logged_models(client, root, params, runs)
    addresses = [(run, client.get_run(run).info.artifact_uri) for run in runs]
    addresses += [(str(model.source_run_id), model.artifact_location) for model in models]
    folders = [(run, folder) for run, address in addresses if (folder := local_folder(address)) is not None]
    total = freed_bytes(folder for _, folder in folders)
    total_of_versions = freed_bytes(folder for run, folder in folders if run in of_versions)
    identities = tuple(model.model_id for model in models)
    rest = total - total_of_versions
    return Unneeded(tuple(unneeded), tuple(runs), identities, tuple(needed), total_of_versions, rest)


def unneeded_runs(
    client: MlflowClient, root: Path, params: Params, needed: set[str], before: datetime
) -> Iterator[str]:
    """The ids of the runs that are not needed; the newest training stays, because the next run may take it up."""
    trainings = [run for run in search_runs(client, root, params) if KIND not in run.data.tags]
    for run in trainings[1:]:
        read_by_nights = is_complete(run) and arrivals_of_run(run.data.tags) != ReadArrivals()
        is_old = datetime.fromtimestamp(run.info.start_time / 1000, UTC) < before
        if is_old and not read_by_nights and run.info.run_id not in needed:
            yield run.info.run_id


def logged_models(client: MlflowClient, root: Path, params: Params, runs: list[str]) -> list[Any]:
    """The logged models of these runs."""
    experiment = client.get_experiment_by_name(params.registry.experiment)
    models: list[Any] = []
    token = None
    while experiment is not None:
        page = client.search_logged_models([experiment.experiment_id], page_token=token)
        models += [model for model in page if model.source_run_id in runs]
        token = page.token
        if not token:
            break
    return models


def local_folder(uri: str) -> Path | None:
    """The folder of artifacts on this machine; None if the address names another store."""
    parts = urlparse(uri)
    if parts.scheme not in ("", "file"):
        return None
    return Path(unquote(parts.path) if parts.scheme else uri)


def delete_unneeded(root: Path, unneeded: Unneeded) -> None:
    """Delete versions, then models and runs with their artifacts, for good.

    A version goes first. If this is killed, the next search finds its run, which made no version any more.
    """
    client = connect(root)
    for version in unneeded.versions:
        client.delete_model_version(version.model, version.number)
    store = _get_store()
    for model in unneeded.models:
        remove_artifacts(client.get_logged_model(model).artifact_location)
        client.delete_logged_model(model)
        store._hard_delete_logged_model(model)  # as `mlflow gc` does, which deletes what others have deleted, too
    for run in unneeded.runs:
        remove_artifacts(client.get_run(run).info.artifact_uri)
        client.delete_run(run)
        store._hard_delete_run(run)


def remove_artifacts(uri: str) -> None:
    """Remove the artifacts at an address, and the run's folder if nothing else is in it."""
    folder = local_folder(uri)
    if folder is None:
        return
    shutil.rmtree(folder, ignore_errors=True)
    if folder.parent.is_dir() and not any(folder.parent.iterdir()):
        folder.parent.rmdir()
