"""The record of each night, one MLflow run: what it decided and why. Written once, and read back as the history."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from mlflow import MlflowClient
from mlflow.entities import Run as MlflowRun

from pipeline.core.errors import UserError
from pipeline.core.params import Params
from tasks.registry import champion_alias, lookup, promotion_log
from tasks.registry.runs import Run
from tasks.registry.store import connect, experiment_id

KIND, NIGHT = "gleaner.kind", "retrain"
NOW, OUTCOME, REASONS, VERSION = "gleaner.now", "gleaner.outcome", "gleaner.reasons", "gleaner.version"
ARRIVALS = "gleaner.arrivals"  # tag of a training: the newest arrivals that it learned from
CRASHED = "crashed"
MAX_TAG_LENGTH = 4000  # characters; below the limit of any MLflow server


@dataclass(frozen=True)
class Champion:
    """The version that serves: the newest arrivals that it learned from, and when it was made by the nights' clock."""

    number: str
    read_until: str
    made_at: datetime


def begin_night(root: Path, params: Params, opened: Run, now: datetime) -> int:
    """Mark a run as the record of a night, and close the records of nights that were killed. Returns their number.

    Only one night runs at a time, so any other record that is still open belongs to a process that died.
    """
    client = opened.client
    killed = [
        run for run in night_runs(client, root, params) if run.info.status == "RUNNING" and run.info.run_id != opened.id
    ]
    for run in killed:
        client.set_tag(run.info.run_id, OUTCOME, CRASHED)
        client.set_tag(run.info.run_id, REASONS, "killed before it ended; the next night goes on from there")
        client.set_terminated(run.info.run_id, "KILLED")
    opened.set_tags({KIND: NIGHT, NOW: now.isoformat()})
    return len(killed)


def finish_night(opened: Run, outcome: str, reasons: str, version: str | None) -> None:
    """Record the outcome of a night."""
    opened.set_tags({OUTCOME: outcome, REASONS: reasons[:MAX_TAG_LENGTH], **({VERSION: version} if version else {})})


def all_nights(root: Path, params: Params) -> list[dict[str, Any]]:
    """Every recorded night, oldest first: when, outcome, reasons, version, tags, and all metrics by name."""
    recorded = night_runs(connect(root), root, params)
    return [
        {
            "when": datetime.fromisoformat(run.data.tags[NOW]),
            "outcome": run.data.tags.get(OUTCOME, "at work"),
            "reasons": run.data.tags.get(REASONS, ""),
            "version": run.data.tags.get(VERSION, ""),
            "tags": {key: value for key, value in run.data.tags.items() if key.startswith("gleaner.")},
            **run.data.metrics,
        }
        for run in sorted(recorded, key=lambda run: run.info.start_time)
    ]


def night_runs(client: MlflowClient, root: Path, params: Params) -> list[MlflowRun]:
    """The runs that are records of nights, newest first."""
    return list(search_runs(client, root, params, f"tags.`{KIND}` = '{NIGHT}'"))


def search_runs(client: MlflowClient, root: Path, params: Params, filter_string: str) -> Iterator[MlflowRun]:
    """All runs of the project's experiment that match the filter, newest first."""
    experiment, token = experiment_id(client, root, params.registry.experiment), None
    while True:
        page = client.search_runs(
            [experiment], filter_string, order_by=["attributes.start_time DESC"], page_token=token
        )
        yield from page
        token = page.token
        if not token:
            return


def trained_until(root: Path, params: Params) -> str:
    """The name of the newest file of arrivals that a finished training has read, refused or not; empty for none."""
    finished = search_runs(connect(root), root, params, f"attributes.status = 'FINISHED' AND tags.`{ARRIVALS}` != ''")
    return max((run.data.tags[ARRIVALS] for run in finished), default="")


def current_champion(root: Path, params: Params) -> Champion | None:
    """The version that serves now, by the promotion log; None if there is none. Repairs an interrupted promotion.

    Raises UserError if somebody moved the alias or deleted the champion: then people have to say who is champion.
    """
    client, model = connect(root), params.registry.model
    state = champion_alias.load_champion_state(client, model)
    if fault := champion_alias.describe_unsettled_champion(client, model, state):
        raise UserError(fault)
    if state.ledger.champion is None:
        return None
    version = lookup.get_version(client, model, state.ledger.champion)
    read_until = str(client.get_run(version.run).data.tags.get(ARRIVALS, ""))
    registered = version.registered.timestamp() * 1000
    made_at = [
        run.data.tags[NOW]
        for run in night_runs(client, root, params)
        # A night that ended before may have made a deleted version of the same number.
        if run.data.tags.get(VERSION) == version.number and (run.info.end_time or registered) >= registered
    ]
    return Champion(version.number, read_until, datetime.fromisoformat(made_at[-1]) if made_at else version.registered)


def training_run_name(now: datetime) -> str:
    """The name of a night's training run, by which the version that it registers is recognised."""
    return f"train {now:%Y-%m-%d %H:%M:%S}"


def undecided_challenger(root: Path, params: Params) -> str | None:
    """The challenger that a night registered and that has no verdict, because that night was killed or failed.

    A version that somebody registered without a night is left alone.
    """
    client, model = connect(root), params.registry.model
    number = lookup.version_at_alias(client, model, "challenger")
    if number is None:
        return None
    version = lookup.get_version(client, model, number)
    if promotion_log.read(client, model).entries_about(version.identity):
        return None
    run_name = client.get_run(version.run).info.run_name
    nights = night_runs(client, root, params)
    nightly = {training_run_name(datetime.fromisoformat(run.data.tags[NOW])) for run in nights}
    return number if run_name in nightly else None


def version_numbers(root: Path, params: Params) -> set[str]:
    """The numbers of all registered versions."""
    versions = connect(root).search_model_versions(f"name = '{params.registry.model}'")
    return {str(version.version) for version in versions}
