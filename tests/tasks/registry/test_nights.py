"""The record of a night: what an earlier night left unfinished is found by the next one."""

from datetime import datetime, timedelta
from pathlib import Path

import pytest
from mlflow import MlflowClient

from pipeline.core.params import Params
from tasks import registry
from tasks.registry import champion_alias, nights, trainings
from tasks.registry.runs import Run

NIGHT = datetime(2026, 11, 24, 2).astimezone()


def open_run(root: Path, params: Params, name: str) -> Run:
    """A run that nobody closes, as a killed process leaves it."""
    client = registry.connect(root)
    return Run(client, client.create_run(registry.experiment_id(client, root, "gleaner"), run_name=name).info.run_id)


def begin(root: Path, params: Params, day: int) -> Run:
    """Open a night and its training."""
    now = NIGHT + timedelta(days=day)
    begin_night(root, params, day)
    training = open_run(root, params, nights.training_run_name(now))
    trainings.begin_training(training, {})
    return training


def begin_night(root: Path, params: Params, day: int) -> tuple[str, ...]:
    """Open a night; returns what it says of those before it."""
    return nights.begin_night(root, params, open_run(root, params, f"retrain {day}"), NIGHT + timedelta(days=day))


def status(run: Run) -> str:
    """MLflow's status of a run."""
    return str(run.client.get_run(run.id).info.status)


def test_a_killed_training_of_a_night_is_unfinished_until_one_comes_to_its_end(root: Path, local: Params) -> None:
    assert not nights.is_training_unfinished(root, local)
    killed = begin(root, local, 0)
    assert nights.is_training_unfinished(root, local)
    second = begin(root, local, 1)
    assert (status(killed), status(second)) == ("KILLED", "RUNNING")
    second.client.set_terminated(second.id, "FAILED")
    assert nights.is_training_unfinished(root, local)
    with registry.open_run(root, local, "train of a person", "flow") as opened:
        trainings.begin_training(opened, {})
        trainings.finish_training(opened)
    assert not nights.is_training_unfinished(root, local)


def test_a_training_that_failed_or_that_a_person_stopped_is_not_taken_up(root: Path, local: Params) -> None:
    failed = begin(root, local, 0)
    failed.client.set_terminated(failed.id, "FAILED")
    trainings.begin_training(open_run(root, local, "train of a person"), {})
    assert not nights.is_training_unfinished(root, local)


def test_a_training_that_was_killed_after_its_end_is_finished(root: Path, local: Params) -> None:
    done = begin(root, local, 0)
    trainings.finish_training(done)
    begin(root, local, 1)
    assert status(done) == "FINISHED"


def test_the_next_night_tells_what_a_killed_one_could_not(root: Path, local: Params) -> None:
    client, model = registry.connect(root), local.registry.model
    begin_night(root, local, 0)
    assert begin_night(root, local, 1) == ("the night of 2026-11-24 was killed; this one went on from there",)
    champion_alias.enter_first_champion(client, model, create_version(client, model), "flow", local.promotion)
    (line,) = begin_night(root, local, 2)
    assert line.startswith("the night of 2026-11-25 was killed") and line.endswith("since then: initial version 1")


def test_what_lapsed_is_told_by_the_next_night_that_comes_to_its_end(root: Path, local: Params) -> None:
    def begin_and_end(outcome: str) -> tuple[datetime, datetime]:
        opened = open_run(root, local, "retrain")
        nights.begin_night(root, local, opened, NIGHT)
        untold = nights.untold_time(root, local, opened)
        if outcome != "killed":
            nights.finish_night(opened, outcome, "", None)
            opened.client.set_terminated(opened.id)
        return untold

    first, killed, failed, skipped, last = map(begin_and_end, ["skipped", "killed", "failed", "skipped", "refused"])
    assert first[0] < first[1] - timedelta(days=365 * 50)  # no night before it told anything
    assert killed[0] == failed[0] == skipped[0] == first[1] and killed[1] < failed[1] < skipped[1]
    assert last[0] == skipped[1]


@pytest.mark.parametrize("tags", [{"gleaner.kind": "retrain"}, {"gleaner.now": NIGHT.isoformat()}, {}])
def test_a_night_that_was_killed_while_its_record_was_opened_stops_no_other(
    root: Path, local: Params, tags: dict[str, str]
) -> None:
    open_run(root, local, "retrain").set_tags(tags)
    begin(root, local, 1)
    assert nights.is_training_unfinished(root, local)
    assert [night["when"] for night in nights.all_nights(root, local)] == [NIGHT + timedelta(days=1)]


def create_version(client: MlflowClient, model: str) -> str:
    """Register a version without files."""
    client.create_registered_model(model)
    return str(client.create_model_version(model, "nowhere").version)
