"""Finds registered versions by number, by alias, or by their relation to another one."""

from collections.abc import Iterable
from datetime import UTC, datetime
from pathlib import Path

from mlflow import MlflowClient
from mlflow.entities.model_registry import ModelVersion
from mlflow.exceptions import MlflowException

from pipeline.core.errors import UserError
from pipeline.core.params import Params
from tasks.registry import project_store
from tasks.registry.registered_version import RegisteredVersion
from tasks.registry.store import connect, is_in_project
from tasks.registry.version_choice import CHAMPION, choose_version


def find_version(root: Path, params: Params, wanted: str | None) -> RegisteredVersion:
    """The version of this number or alias; without one, the champion. Raises UserError if there is no such version."""
    versions = all_versions(root, params)
    if not versions:
        raise UserError(f"{params.registry.model}: expected a registered version, found none; run `gleaner run`")
    number = choose_version(
        params.registry.model, {version.number: version.aliases for version in versions}, wanted or CHAMPION
    )
    return next(version for version in versions if version.number == number)


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
    """All registered versions, oldest first. Does not create a store. Raises UserError if the project's was lost."""
    if is_in_project(root) and not (root / project_store.DATABASE).exists():
        project_store.require_not_lost(root)
        return []
    return list_versions(connect(root), params.registry.model)


def list_versions(client: MlflowClient, model: str) -> list[RegisteredVersion]:
    """All versions of a registered model, oldest first; none if there is no such model."""
    if not any(registered.name == model for registered in client.search_registered_models(f"name = '{model}'")):
        return []
    number_by_alias = client.get_registered_model(model).aliases
    versions = []
    for version in client.search_model_versions(f"name = '{model}'"):
        aliases = [alias for alias, number in number_by_alias.items() if str(number) == str(version.version)]
        versions.append(to_registered_version(client, version, aliases))
    return sorted(versions, key=lambda version: int(version.number))


def versions_of_others(root: Path, params: Params) -> list[RegisteredVersion]:
    """The versions in the store that runs made for other models than the project's."""
    client, token, found = connect(root), None, []
    while True:
        page = client.search_model_versions(order_by=["name ASC", "version_number ASC"], page_token=token)
        found += [version for version in page if version.run_id and version.name != params.registry.model]
        token = page.token
        if not token:
            return [to_registered_version(client, version, ()) for version in found]


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
