"""The promotion log in MLflow's registry: which version was champion when, and why that changed.

The log uses MLflow's API only, so it works with SQLite, PostgreSQL and tracking servers. Its entries are the versions
of a second registered model, `<model>-promotions`. The store numbers them uniquely and in order: two writers that would
use the same number collide on the primary key, and the later one tries again. No entry is ever overwritten.
The alias `champion` follows the log; champion_alias.py moves it. The log outlives the model that it is about.
"""

import json
import uuid
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime

from mlflow import MlflowClient
from mlflow.entities.model_registry import ModelVersion
from mlflow.exceptions import MlflowException

from pipeline.core.errors import UserError
from pipeline.policies.promotion.entry import (
    Action,
    Entry,
    VerdictRecord,
    VersionIdentity,
    entry_to_json,
)
from pipeline.policies.promotion.ledger import Ledger
from tasks.git.lineage import json_digest
from tasks.registry import lookup
from tasks.registry.store import retry_while_busy, user_name
from tasks.registry.stored_entry import CONTENT, DIGEST, log_name, parse_log

MAX_REASON_LENGTH = 1000  # characters; PostgreSQL takes descriptions of at most 5000


def read(client: MlflowClient, model: str) -> Ledger:
    """The whole log. Entries that are missing or were changed are listed as faults."""
    return parse_log(
        (int(version.version), version.creation_timestamp, version.tags)
        for version in list_versions(client, log_name(model))
    )


def list_versions(client: MlflowClient, name: str) -> Iterator[ModelVersion]:
    """All versions of a registered model in their order; none if there is no such model."""
    token = None
    while True:
        page = client.search_model_versions(f"name = '{name}'", order_by=["version_number ASC"], page_token=token)
        yield from page
        token = page.token
        if not token:
            return


def append(client: MlflowClient, model: str, draft: Entry) -> tuple[Entry, Ledger]:
    """Write one entry, and return it with the log up to then. The store gives its number and time.

    Each attempt has a unique id. So an entry that was stored although the call seemed to fail counts once.
    """
    attempt = uuid.uuid4().hex
    content = entry_to_json(replace(draft, attempt=attempt))
    for given_by_store in ("number", "at", "intact"):
        del content[given_by_store]
    tags = {
        CONTENT: json.dumps(content, ensure_ascii=False),
        DIGEST: json_digest(content),
        "action": draft.action,
        "version": draft.version,
        "reason": draft.reason,
    }
    log = log_name(model)
    create_log(client, log)

    def write() -> None:
        ledger = read(client, model)
        if all(entry.attempt != attempt for entry in ledger.entries):
            source = source_of(model, draft, ledger)
            client.create_model_version(log, source, tags=tags, description=f"{draft.action}: {draft.reason}")

    try:
        retry_while_busy(write)
    except MlflowException:
        if lookup.find_number(client, model, draft.version) is not None:
            raise
        raise UserError(
            f"{model}: expected version {draft.version}, found that it was deleted meanwhile; nothing was entered in "
            "the promotion log; see `gleaner history`"
        ) from None
    ledger = read(client, model)
    return next(entry for entry in ledger.entries if entry.attempt == attempt), ledger


def source_of(model: str, draft: Entry, ledger: Ledger) -> str:
    """The source of an entry, which MLflow wants to exist: the version that it is about, or the entry it answers."""
    answered = {"removed": ledger.champion_entry, "reject": draft.request}.get(draft.action)
    return f"models:/{log_name(model)}/{answered}" if answered else f"models:/{model}/{draft.version}"


def create_log(client: MlflowClient, log: str) -> None:
    """Create the registered model of the log, unless it is there."""
    try:
        client.get_registered_model(log)
    except MlflowException:
        try:
            about = "Which version was champion when, and why it changed; `gleaner history` reads it. Append only."
            client.create_registered_model(log, description=about)
        except MlflowException as error:
            if error.error_code != "RESOURCE_ALREADY_EXISTS":
                raise


def draft_entry(
    action: Action,
    version: VersionIdentity,
    ledger: Ledger,
    reason: str,
    flow_run: str,
    verdict: VerdictRecord | None = None,
) -> Entry:
    """An entry before the store numbers it. It is meant to replace the champion of ``ledger``."""
    expected = ledger.champion_period
    return Entry(
        number=0,
        at=datetime.now(UTC),
        action=action,
        version=version.number,
        expected=ledger.champion,
        reason=reason,
        by=user_name(),
        flow_run=flow_run,
        attempt="",
        verdict=verdict,
        run=version.run,
        manifest=version.manifest,
        expected_run=expected.entry.run if expected else None,
    )


def check_reason(option: str, reason: str) -> str:
    """A reason that a person gave, in one line. Raises UserError if it is too long for the log."""
    line = " ".join(reason.split())
    if len(line) > MAX_REASON_LENGTH:
        raise UserError(
            f"{option}: expected at most {MAX_REASON_LENGTH} characters, found {len(line)}; say it in fewer words"
        )
    return line
