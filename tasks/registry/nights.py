"""The record of each night, one MLflow run: what it decided and why. Written once, and read back as the history."""

from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from mlflow import MlflowClient
from mlflow.entities import Run as MlflowRun

from pipeline.core.errors import UserError
from pipeline.core.params import Params
from pipeline.labelling.arrivals import ReadArrivals
from pipeline.labelling.operations_log import rewritten_digests
from tasks.registry import champion_alias, lookup, promotion_log, versions
from tasks.registry.runs import MAX_TAG_LENGTH, Run, search_runs
from tasks.registry.store import connect
from tasks.registry.trainings import all_trainings, arrivals_of_run, is_complete, status_when_closed

KIND, NIGHT = "gleaner.kind", "retrain"
NOW, OUTCOME, REASONS, VERSION = "gleaner.now", "gleaner.outcome", "gleaner.reasons", "gleaner.version"
CRASHED = "crashed"


@dataclass(frozen=True)
class Champion:
    """The version that serves: the arrivals that it learned from, and when it was made by the nights' clock."""

    number: str
    read: ReadArrivals
    made_at: datetime


def begin_night(root: Path, params: Params, opened: Run, now: datetime) -> tuple[str, ...]:
    """Mark a run as the record of a night, and close the runs of nights that were killed. Returns a line for each.

    Only one night runs at a time, so any other record or training of a night that is still open belongs to a process
    that died.
    """
    client = opened.client
    killed = [
        run for run in night_runs(client, root, params) if run.info.status == "RUNNING" and run.info.run_id != opened.id
    ]
    for run in killed:
        client.set_tag(run.info.run_id, OUTCOME, CRASHED)
        client.set_tag(run.info.run_id, REASONS, "killed before it ended; the next night goes on from there")
        client.set_terminated(run.info.run_id, "KILLED")
    for run in nightly_trainings(client, root, params):
        if run.info.status == "RUNNING":
            client.set_terminated(run.info.run_id, status_when_closed(run))
    opened.set_tags({NOW: now.isoformat()})
    opened.set_tags({KIND: NIGHT})  # last: a run counts as a night by it, and every night needs its time
    return tuple(describe_killed_night(client, params.registry.model, run) for run in killed)


def untold_time(root: Path, params: Params, opened: Run) -> tuple[datetime, datetime]:
    """From the start of the last night that told people which versions wait for approval to the start of this one.

    A night that was killed or that failed told nobody.
    """
    began = opened.client.get_run(opened.id).info.start_time
    told = [
        run.info.start_time
        for run in night_runs(opened.client, root, params)
        if run.data.tags.get(OUTCOME, CRASHED) not in (CRASHED, "failed") and run.info.run_id != opened.id
    ]
    since, until = (datetime.fromtimestamp(time / 1000, UTC) for time in (max(told, default=0), began))
    return since, until


def describe_killed_night(client: MlflowClient, model: str, run: MlflowRun) -> str:
    """A line about a night that could notify nobody, with what was entered in the promotion log since it began."""
    since = datetime.fromtimestamp(run.info.start_time / 1000, UTC)
    entries = [entry for entry in promotion_log.read(client, model).entries if entry.at >= since]
    entered = ", ".join(f"{entry.action} version {entry.version}" for entry in entries)
    line = f"the night of {run.data.tags[NOW][:10]} was killed; this one went on from there"
    return f"{line}; the promotion log has since then: {entered}" if entered else line


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
    runs = search_runs(client, root, params, f"tags.`{KIND}` = '{NIGHT}'")
    return [run for run in runs if NOW in run.data.tags]  # an older night may have been killed before it had its time


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
    read = arrivals_of_run(client.get_run(version.run).data.tags).with_rewritten(rewritten_digests(root))
    registered = version.registered.timestamp() * 1000
    made_at = [
        run.data.tags[NOW]
        for run in night_runs(client, root, params)
        # A night that ended before may have made a deleted version of the same number.
        if run.data.tags.get(VERSION) == version.number and (run.info.end_time or registered) >= registered
    ]
    return Champion(version.number, read, datetime.fromisoformat(made_at[-1]) if made_at else version.registered)


def training_run_name(now: datetime) -> str:
    """The name of a night's training run, by which the version that it registers is recognised."""
    return f"train {now:%Y-%m-%d %H:%M:%S}"


def undecided_challenger(root: Path, params: Params) -> str | None:
    """The challenger that a night registered and that has no verdict, because that night was killed or failed.

    A version that somebody registered without a night is left alone.
    """
    client, model = connect(root), params.registry.model
    versions.finish_registrations(client, model, params.promotion)
    number = lookup.version_at_alias(client, model, "challenger")
    if number is None:
        return None
    version = lookup.get_version(client, model, number)
    if promotion_log.read(client, model).entries_about(version.identity):
        return None
    run_name = client.get_run(version.run).info.run_name
    return number if run_name in nightly_run_names(client, root, params) else None


def is_training_unfinished(root: Path, params: Params) -> bool:
    """Whether the last training of a night was killed, and no training has come to its end since."""
    client = connect(root)
    nightly = {run.info.run_id for run in nightly_trainings(client, root, params)}
    for run in all_trainings(client, root, params):
        if is_complete(run):
            return False
        if run.info.run_id in nightly and run.info.status in ("RUNNING", "KILLED"):
            return True
    return False


def nightly_trainings(client: MlflowClient, root: Path, params: Params) -> list[MlflowRun]:
    """The runs of the trainings that nights began, newest first."""
    names = nightly_run_names(client, root, params)
    return [run for run in all_trainings(client, root, params) if run.info.run_name in names]


def nightly_run_names(client: MlflowClient, root: Path, params: Params) -> set[str]:
    """The names of the training runs of all nights, those that trained nothing included."""
    nights = night_runs(client, root, params)
    return {training_run_name(datetime.fromisoformat(run.data.tags[NOW])) for run in nights}


def version_numbers(root: Path, params: Params) -> set[str]:
    """The numbers of all registered versions."""
    versions = connect(root).search_model_versions(f"name = '{params.registry.model}'")
    return {str(version.version) for version in versions}
