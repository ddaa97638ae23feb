"""What each night decided and why, one MLflow run a night: written once, and read back as the history."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from mlflow import MlflowClient
from mlflow.entities import Run as Record

from pipeline.core.errors import UserError
from pipeline.core.params import Params
from tasks.registry import lookup, promotion_log
from tasks.registry.runs import Run
from tasks.registry.store import connect, experiment

KIND, NIGHT = "gleaner.kind", "retrain"
NOW, OUTCOME, REASONS, VERSION = "gleaner.now", "gleaner.outcome", "gleaner.reasons", "gleaner.version"
ARRIVALS = "gleaner.arrivals"  # tag of a training: the newest arrivals that it learned from
CRASHED = "crashed"
LONGEST = 4000  # characters of a tag


@dataclass(frozen=True)
class Champion:
    """The version that serves: the newest arrivals that it learned from, and when it was made by the nights' clock."""

    number: str
    read_until: str
    made_at: datetime


def begin(root: Path, params: Params, opened: Run, now: datetime) -> int:
    """Mark a run as the record of a night, and close the records of nights that were killed; how many those are.

    Called by the one night at work: a record that is still open is that of a process that died.
    """
    client = opened.client
    dead = [
        one for one in records(client, root, params) if one.info.status == "RUNNING" and one.info.run_id != opened.id
    ]
    for one in dead:
        client.set_tag(one.info.run_id, OUTCOME, CRASHED)
        client.set_tag(one.info.run_id, REASONS, "killed before it ended; the next night goes on from there")
        client.set_terminated(one.info.run_id, "KILLED")
    opened.tag({KIND: NIGHT, NOW: now.isoformat()})
    return len(dead)


def finish(opened: Run, outcome: str, reasons: str, version: str | None) -> None:
    """Write what a night came to."""
    opened.tag({OUTCOME: outcome, REASONS: reasons[:LONGEST], **({VERSION: version} if version else {})})


def nights(root: Path, params: Params) -> list[dict[str, Any]]:
    """Every recorded night, oldest first: when, outcome, reasons, version, and all numbers by name."""
    found = records(connect(root), root, params)
    return [
        {
            "when": datetime.fromisoformat(one.data.tags[NOW]),
            "outcome": one.data.tags.get(OUTCOME, "at work"),
            "reasons": one.data.tags.get(REASONS, ""),
            "version": one.data.tags.get(VERSION, ""),
            "tags": {key: value for key, value in one.data.tags.items() if key.startswith("gleaner.")},
            **one.data.metrics,
        }
        for one in sorted(found, key=lambda one: one.info.start_time)
    ]


def records(client: MlflowClient, root: Path, params: Params) -> list[Record]:
    """The runs that are records of nights."""
    return list(runs(client, root, params, f"tags.`{KIND}` = '{NIGHT}'"))


def runs(client: MlflowClient, root: Path, params: Params, chosen: str) -> Iterator[Record]:
    """All runs of the project's experiment that a filter chooses, newest first."""
    home, token = experiment(client, root, params.registry.experiment), None
    while True:
        found = client.search_runs([home], chosen, order_by=["attributes.start_time DESC"], page_token=token)
        yield from found
        token = found.token
        if not token:
            return


def trained_until(root: Path, params: Params) -> str:
    """The newest arrivals that a training which came to its end has read, refused or not; empty for none."""
    ended = runs(connect(root), root, params, f"attributes.status = 'FINISHED' AND tags.`{ARRIVALS}` != ''")
    return max((one.data.tags[ARRIVALS] for one in ended), default="")


def champion(root: Path, params: Params) -> Champion | None:
    """The version that serves now, by the promotion log; what a promotion left that died on the way is put right.

    Raises UserError where the alias was moved or removed by hand: who is champion is for people to say, then.
    """
    client, model = connect(root), params.registry.model
    standing = promotion_log.standing(client, model)
    if standing.ledger.champion is None:
        return None
    if standing.moved_by_hand:
        raise UserError(promotion_log.by_hand(model, standing))
    found = lookup.numbered(client, model, standing.ledger.champion)
    read = str(client.get_run(found.run).data.tags.get(ARRIVALS, ""))
    by = [one.data.tags[NOW] for one in records(client, root, params) if one.data.tags.get(VERSION) == found.number]
    return Champion(found.number, read, datetime.fromisoformat(by[-1]) if by else found.registered)


def training(now: datetime) -> str:
    """What the training of a night is called, by which the version that it registers is known."""
    return f"train {now:%Y-%m-%d %H:%M:%S}"


def unjudged(root: Path, params: Params) -> str | None:
    """The challenger that a night registered and no verdict was entered on: that night was killed, or it failed.

    What somebody registered by hand is not the nights' to judge.
    """
    client, model = connect(root), params.registry.model
    number = lookup.alias(client, model, "challenger")
    if number is None or any(one.version == number for one in promotion_log.read(client, model).entries):
        return None
    name = client.get_run(lookup.numbered(client, model, number).run).info.run_name
    nightly = {training(datetime.fromisoformat(one.data.tags[NOW])) for one in records(client, root, params)}
    return number if name in nightly else None


def numbers(root: Path, params: Params) -> set[str]:
    """The numbers of all registered versions."""
    return {str(one.version) for one in connect(root).search_model_versions(f"name = '{params.registry.model}'")}
