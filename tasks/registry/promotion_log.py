"""The promotion log in MLflow's registry, through its API alone: SQLite, PostgreSQL and tracking servers alike.

The entries are the versions of a second registered model, `<model>-promotions`: the store numbers them uniquely and in
order, because two writers that would use the same number collide on the primary key, and the later one tries again.
Nothing is ever overwritten. The alias `champion` only shows what the log says: it is set after the entry is in, until
both agree, so that a promoter that dies in between leaves nothing that the next command would not put right.
"""

import getpass
import json
import time
import uuid
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from functools import partial
from typing import TypeVar

from mlflow import MlflowClient
from mlflow.entities.model_registry import ModelVersion
from mlflow.exceptions import MlflowException
from pydantic import TypeAdapter, ValidationError

from pipeline.policies.promotion.ledger import Action, Entry, Judged, Ledger, fold
from tasks.git.lineage import digest

ALIAS = "champion"
SHOWN = "gleaner.champion"  # tag of the model: the entry whose champion the alias was last set to
CONTENT, DIGEST = "gleaner.entry", "gleaner.sha256"
PAUSES = (0.05, 0.1, 0.2, 0.5, 1, 2, 4)  # seconds between attempts to write where others write, too
T = TypeVar("T")


@dataclass(frozen=True)
class Standing:
    """The log, where the alias stands, and what was put right on the way."""

    ledger: Ledger
    alias: str | None
    repaired: str = ""

    @property
    def moved_by_hand(self) -> bool:
        """Whether somebody set the alias without the log."""
        return self.alias != self.ledger.champion


def name_of(model: str) -> str:
    """The registered model whose versions are the log's entries."""
    return f"{model}-promotions"


def read(client: MlflowClient, model: str) -> Ledger:
    """The whole log; what cannot be read is told as a fault."""
    versions = list(pages(client, name_of(model)))
    entries, faults = [], []
    numbers = {int(version.version) for version in versions}
    for gone in sorted(set(range(1, max(numbers, default=0) + 1)) - numbers):
        faults.append(f"entry {gone} of the promotion log is missing: somebody deleted it")
    for version in versions:
        entry = parse(version)
        if entry is None or not entry.intact:
            faults.append(f"entry {version.version} of the promotion log is not as it was written: somebody changed it")
        if entry is not None:
            entries.append(entry)
    return fold(entries, faults)


def pages(client: MlflowClient, name: str) -> Iterator[ModelVersion]:
    """All versions of a registered model in their order; none where there is no such model."""
    token = None
    while True:
        found = client.search_model_versions(f"name = '{name}'", order_by=["version_number ASC"], page_token=token)
        yield from found
        token = found.token
        if not token:
            return


def parse(version: ModelVersion) -> Entry | None:
    """The entry of a version; None when it is no entry any more."""
    try:
        content = json.loads(version.tags[CONTENT])
        at = datetime.fromtimestamp(version.creation_timestamp / 1000, UTC)
        intact = version.tags.get(DIGEST) == digest(content)
        return TypeAdapter(Entry).validate_python(
            content | {"number": int(version.version), "at": at, "intact": intact}
        )
    except (KeyError, ValueError, ValidationError):
        return None


def append(client: MlflowClient, model: str, draft: Entry) -> tuple[Entry, Ledger]:
    """Write one entry; the number and time of ``draft`` are the store's to give. Returns it with the log up to then.

    The log knows each attempt by an id of its own, so that one that was stored although it seemed to fail counts once.
    """
    attempt = uuid.uuid4().hex
    content = asdict(replace(draft, attempt=attempt))
    for given in ("number", "at", "intact"):
        del content[given]
    tags = {
        CONTENT: json.dumps(content, ensure_ascii=False),
        DIGEST: digest(content),
        "action": draft.action,
        "version": draft.version,
        "reason": draft.reason,
    }
    log = name_of(model)
    make(client, log)

    def write() -> None:
        if all(one.attempt != attempt for one in read(client, model).entries):
            source = f"models:/{model}/{draft.version}"
            client.create_model_version(log, source, tags=tags, description=f"{draft.action}: {draft.reason}")

    patiently(write)
    ledger = read(client, model)
    return next(one for one in ledger.entries if one.attempt == attempt), ledger


def make(client: MlflowClient, log: str) -> None:
    """The registered model of the log, unless it is there."""
    try:
        client.get_registered_model(log)
    except MlflowException:
        try:
            about = "Which version was champion when, and why it changed; `gleaner history` reads it. Append only."
            client.create_registered_model(log, description=about)
        except MlflowException as error:
            if error.error_code != "RESOURCE_ALREADY_EXISTS":
                raise


def patiently(write: Callable[[], T]) -> T:
    """Do it, again and again where the store is busy: locked, or too many writers at once."""
    for pause in PAUSES:
        try:
            return write()
        except MlflowException as error:
            if not busy(error):
                raise
        time.sleep(pause)
    return write()


def busy(error: MlflowException) -> bool:
    """Whether the store refused only because others write, too."""
    said = str(error).lower()
    return error.error_code == "TEMPORARILY_UNAVAILABLE" or any(
        sign in said for sign in ("database is locked", "giving up after", "deadlock", "could not serialize")
    )


def standing(client: MlflowClient, model: str) -> Standing:
    """Log and alias, after putting right what a promoter left that died between the two.

    A champion from before there was a log, or from a store that was restored without it, is taken into the log.
    """
    ledger = read(client, model)
    alias, shown = where(client, model)
    if not ledger.reigns and alias is not None:
        reason = f"version {alias} was champion before there was a promotion log"
        append(client, model, entry("adopted", alias, None, reason, ""))
        return Standing(sync_champion_alias(client, model), where(client, model)[0], f"{reason}: entered")
    if alias != ledger.champion and shown != str(ledger.moved):
        sync_champion_alias(client, model)
        text = (
            f"the alias {ALIAS} stood at {alias or 'none'}, the promotion log says {ledger.champion}: "
            "a promotion had been cut off in between; the alias is set"
        )
        return Standing(read(client, model), where(client, model)[0], text)
    return Standing(ledger, alias)


def begin(client: MlflowClient, model: str, number: str, flow_run: str) -> Ledger:
    """Make a version champion where there is none yet: the first one that passes the gate."""
    found = standing(client, model)
    if found.ledger.champion is not None:
        return found.ledger
    append(client, model, entry("initial", number, None, "the first version that passed the gate", flow_run))
    return sync_champion_alias(client, model)


def where(client: MlflowClient, model: str) -> tuple[str | None, str | None]:
    """The version that the alias stands at, and the entry that it was last set by; None where there is none."""
    try:
        known = client.get_registered_model(model)
    except MlflowException as error:
        if error.error_code != "RESOURCE_DOES_NOT_EXIST":
            raise
        return None, None
    found = known.aliases.get(ALIAS)
    return None if found is None else str(found), known.tags.get(SHOWN)


def sync_champion_alias(client: MlflowClient, model: str) -> Ledger:
    """Set the alias to the log's champion until both agree, whoever else does so at the same time."""
    while True:
        ledger = read(client, model)
        if ledger.champion is None or where(client, model) == (ledger.champion, str(ledger.moved)):
            return ledger
        champion, moved = ledger.champion, str(ledger.moved)
        patiently(partial(client.set_registered_model_alias, model, ALIAS, champion))
        patiently(partial(client.set_registered_model_tag, model, SHOWN, moved))


def tag(client: MlflowClient, model: str, number: str, tags: dict[str, str]) -> None:
    """Tags of a version, over those of the same name."""
    for key, value in tags.items():
        patiently(partial(client.set_model_version_tag, model, number, key, value))


def notes(found: Standing) -> tuple[str, ...]:
    """What was put right, and what cannot be."""
    return (*([found.repaired] if found.repaired else []), *found.ledger.faults)


def by_hand(model: str, found: Standing) -> str:
    """What to do where the alias says something else than the log."""
    champion = found.ledger.champion
    keep = f"`gleaner rollback --to {found.alias}` keeps it there, " if found.alias else ""
    return (
        f"{model}: expected the alias {ALIAS} at version {champion}, where the promotion log left it, found it at "
        f"{f'version {found.alias}' if found.alias else 'no version'}: somebody moved it by hand; {keep}"
        f"`gleaner rollback --to {champion}` puts it back"
    )


def entry(
    action: Action,
    version: str,
    expected: str | None,
    reason: str,
    flow_run: str,
    judged: Judged | None = None,
) -> Entry:
    """A draft of an entry, before the store numbers it."""
    return Entry(0, datetime.now(UTC), action, version, expected, reason, user(), flow_run, "", judged)


def user() -> str:
    """Who runs this."""
    try:
        return getpass.getuser()
    except (KeyError, OSError):  # a container without a name for its user
        return "unknown"
