"""One night: new data in, drift, train if there is a reason to, gate, promote, tell.

gleaner retrain
"""

from dataclasses import asdict
from datetime import datetime
from pathlib import Path
from typing import Any

from prefect import flow, runtime
from prefect.exceptions import TerminationSignal
from prefect.states import Completed, Failed, State

from flows.night_lock import night_lock
from flows.outcomes import night as nightly
from flows.outcomes.night import Night, Result, because
from flows.outcomes.training import Training
from flows.prefect_server import configure
from flows.promote import promote
from flows.train import train
from pipeline.core.errors import UserError
from pipeline.core.params import Params, load
from pipeline.core.stage import Paths, withhold_message
from pipeline.labelling import arrivals
from pipeline.policies import retraining
from pipeline.policies.retraining import Situation
from tasks import drift, notify, refresh, registry
from tasks.prefect_states.retries import retry_options
from tasks.prefect_states.user_error import as_failed_state, result_of
from tasks.processes.process import Processes
from tasks.refresh import Corrections
from tasks.registry import nights
from tasks.registry.nights import Champion
from tasks.stage import Outcome, run_stage, value


@flow(name="retrain", persist_result=False)
@as_failed_state
def retrain(root: Path, force: bool = False, now: datetime | None = None) -> State:
    """Refresh, take corrections in, look for drift, decide, train, promote, record and tell."""
    root = root.resolve()
    configure(root)
    night = Night(now or datetime.now().astimezone())
    try:
        recorded(root, load(root / "params.yaml"), night, force)
    except Exception as error:
        if not night.announced:
            night.fault = night.fault or str(error)
            notify.tell_of_failure(root, f"{root.name}: {nightly.headline(night)}", because(night))
        raise
    done = Completed if night.exit_code == 0 else Failed
    return done(name=night.outcome.capitalize(), message=because(night), data=night)


def recorded(root: Path, params: Params, night: Night, force: bool) -> None:
    """The night, alone in its project, with a record of its own in MLflow; a user's mistake is kept in ``night``."""
    name, number = runtime.flow_run.name, str(runtime.flow_run.id)
    with night_lock(root), registry.run(root, params, name, number) as opened:
        night.crashed_before = nights.begin(root, params, opened, night.now)
        try:
            with withhold_message(Paths(root).scratch("retrain") / "crash.txt"):
                night.outcome = work(root, params, night, opened, force)
        except UserError as error:
            night.fault, night.mistake = str(error), True
        except (KeyboardInterrupt, SystemExit, TerminationSignal):
            night.fault = "stopped by a signal before it ended; the next night goes on from there"
            raise
        except Exception as error:
            night.fault = str(error)
            raise
        finally:
            close(params, night, opened)


def work(root: Path, params: Params, night: Night, opened: registry.Run, force: bool) -> Result:
    """Everything that a night does, step by step."""
    take_in(root, params, night, opened)
    champion = nights.champion(root, params)
    night.drift = result_of(drift.look(root, params, champion, return_state=True)) if champion else None
    night.found = situation(root, params, night, champion, force)
    night.decision = retraining.decide(night.found, params.retrain)
    return learn(root, night, champion) if night.decision.train else "skipped"


def take_in(root: Path, params: Params, night: Night, opened: registry.Run) -> None:
    """Bring ingest up to date with what is there, then let new texts and corrections in."""
    refresh.check_whole(root, params)
    options = retry_options(params, lambda _task, _run, state: from_outside(params, state))
    with Processes() as processes:
        state = run_stage.with_options(name="ingest", task_run_name="ingest", **options)(
            "ingest", root, processes, opened.curve, return_state=True
        )
    stage: Outcome = result_of(state)
    if not stage.done:
        if stage.user_error:
            raise UserError(stage.said.removeprefix("error: "))
        raise RuntimeError("the stage ingest failed")
    night.texts = result_of(refresh.refresh.with_options(**options)(root, params, night.now, return_state=True))
    versions = nights.numbers(root, params)
    corrected = refresh.feedback.with_options(**options)(root, params, night.now, versions, return_state=True)
    taken: Corrections = result_of(corrected)
    night.corrections = taken.taken
    if len(taken.rows):
        night.errors = result_of(drift.error_counts(root, params, taken.rows, return_state=True))


def from_outside(params: Params, state: Any) -> bool:
    """Whether trying again may help: a disk or a network that failed, or a database or a dataset out of reach."""
    found = value(state)
    if isinstance(found, Outcome):  # of the stage ingest, which asks the source itself
        return found.user_error and params.ingest.source != "files"
    asked = params.ingest.source != "files" or params.feedback.query is not None
    return isinstance(found, OSError) or (isinstance(found, UserError) and asked)


def situation(root: Path, params: Params, night: Night, champion: Champion | None, force: bool) -> Situation:
    """What speaks for and against a training."""
    new = arrivals.since(nights.trained_until(root, params), params.ingest, root).drop_duplicates("id")
    night.files = tuple(new["file"].unique())
    age = None
    if champion is not None:
        age = (night.now - champion.made_at).total_seconds() / 86400
    number = champion.number if champion is not None else None
    waiting = nights.unjudged(root, params) if champion is not None else None
    return Situation(number, age, len(new), int(new["label"].notna().sum()), night.drift, force, waiting)


def learn(root: Path, night: Night, champion: Champion | None) -> Result:
    """Train, gate and register, then let the new version challenge the champion."""
    name = nights.training(night.now)
    training: Training = result_of(train.with_options(flow_run_name=name)(root, return_state=True))
    night.training = training
    if training.fault or not all(stage.done for stage in training.stages):
        said = next(
            (f"{stage.stage} failed" for stage in training.stages if stage.how == "failed"), "not every stage ran"
        )
        mistake = next((stage.said for stage in training.stages if stage.user_error), "")
        night.fault = training.fault or mistake or said
        night.mistake = training.exit_code == 2
        return "failed"
    if training.version is None:
        return "refused"
    if champion is None or training.version.number == champion.number:
        return "promoted" if champion is None else "skipped"
    seen = [asdict(test) for test in night.drift.tests] if night.drift else None
    night.promotion = promote(root, training.version.number, f"promote {night.now:%Y-%m-%d %H:%M:%S}", seen)
    return "promoted" if night.promotion.outcome == "promoted" else "refused"


def close(params: Params, night: Night, opened: registry.Run) -> None:
    """Tell what the night came to, and record it."""
    title = f"{params.registry.model}: {nightly.headline(night)}"
    patient = retry_options(params, notify.passing)
    night.unsent = notify.tell(params.notify, patient, nightly.events(night), title, "\n".join(nightly.told(night)))
    night.announced = True
    opened.failed = night.outcome == "failed"
    opened.measures(nightly.numbers(night))
    opened.tag({f"gleaner.unsent.{place}": line for place, line in enumerate(night.unsent)})
    if night.drift is not None:
        opened.tag({"gleaner.drift": night.drift.status})
    nights.finish(opened, night.outcome, because(night), night.version)
