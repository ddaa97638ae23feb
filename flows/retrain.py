"""The flow of a night: take new data in, test for drift, decide, train, promote, record and notify.

gleaner retrain
"""

from dataclasses import asdict
from datetime import datetime
from pathlib import Path
from typing import Any

from prefect import flow, get_run_logger, runtime
from prefect.exceptions import TerminationSignal
from prefect.states import Completed, Failed, State

from flows.night_lock import night_lock
from flows.outcomes import night as nightly
from flows.outcomes.night import Night, Result, reason
from flows.outcomes.promotion import lapsed_lines, waiting_lines
from flows.outcomes.training import Training, caveat_lines, data_lines
from flows.prefect_server import configure_environment
from flows.promote import promote
from flows.train import train
from pipeline.core.errors import UserError
from pipeline.core.file_permissions import restrict_new_files
from pipeline.core.installed import require_pinned_code
from pipeline.core.params import Params, load_params
from pipeline.labelling import arrivals
from pipeline.policies import retraining
from pipeline.policies.monitoring.finding import TrafficLook
from pipeline.policies.retraining import Situation
from tasks import drift, notify, refresh, registry, traffic
from tasks.approve import list_waiting
from tasks.dvc.arrivals import restore_arrivals
from tasks.prefect_states.retries import retry_options
from tasks.prefect_states.user_error import as_failed_state, explained, result_of
from tasks.processes.process import Processes
from tasks.refresh import Corrections
from tasks.registry import nights, trainings
from tasks.registry.nights import Champion
from tasks.stage import run_stage, state_data
from tasks.stage_outcome import StageOutcome


@flow(name="retrain", persist_result=False)
@as_failed_state
def retrain(root: Path, force: bool = False, now: datetime | None = None) -> State:
    """Run one night. A failure before the night has a record is notified, too."""
    root = root.resolve()
    restrict_new_files()  # a worker of one's own did not come through the command
    configure_environment(root)
    night = Night(now or datetime.now().astimezone())
    try:
        with explained(root, "retrain"):
            run_recorded(root, load_params(root / "params.yaml"), night, force)
    except Exception as error:
        if not night.is_notified:
            night.fault = night.fault or str(error)
            notify.send_failure_message(root, f"{root.name}: {nightly.headline(night)}", reason(night))
        raise
    to_state = Completed if night.exit_code == 0 else Failed
    return to_state(name=night.outcome.capitalize(), message=reason(night), data=night)


def run_recorded(root: Path, params: Params, night: Night, force: bool) -> None:
    """Run the night under the project's lock and record it as an MLflow run; a user's error is kept in ``night``."""
    name, number = runtime.flow_run.name, str(runtime.flow_run.id)
    with night_lock(root), registry.open_run(root, params, name, number) as opened:
        night.killed_before = nights.begin_night(root, params, opened, night.now)
        try:
            with explained(root, "retrain"):
                night.outcome = run_steps(root, params, night, opened, force)
                night.waiting = waiting_lines(root, params)
                night.lapsed = lapsed_lines(root, params, *nights.untold_time(root, params, opened))
        except UserError as error:
            night.fault, night.is_user_error = str(error), True
        except (KeyboardInterrupt, SystemExit, TerminationSignal):
            night.fault = "stopped by a signal before it ended; the next night goes on from there"
            raise
        except Exception as error:
            night.fault = str(error)
            raise
        finally:
            notify_and_record(params, night, opened)


def run_steps(root: Path, params: Params, night: Night, opened: registry.Run, force: bool) -> Result:
    """Run the steps of a night in order; returns its outcome."""
    require_pinned_code(root)
    take_in_arrivals(root, params, night, opened)
    champion = nights.current_champion(root, params)
    night.drift = result_of(drift.measure_drift(root, params, champion, return_state=True)) if champion else None
    night.traffic = look_at_traffic(root, params, night, champion)
    night.situation = gather_situation(root, params, night, champion, force)
    night.decision = retraining.decide_training(night.situation, params.retrain)
    get_run_logger().info(f"{'trains' if night.decision.train else 'does not train'}: {night.decision.because}")
    return train_and_promote(root, params, night, champion) if night.decision.train else "skipped"


def look_at_traffic(root: Path, params: Params, night: Night, champion: Champion | None) -> TrafficLook | None:
    """What the champion's service kept, compared with its training; None without either.

    A look that fails is a remark of the night: traffic is one reason to train among others.
    """
    if champion is None:
        return None
    try:
        look: TrafficLook | None = result_of(
            traffic.look_at_champion(root, params, champion, night.now, return_state=True)
        )
    except Exception as error:  # noqa: BLE001  as_failed_state took whatever may quote a row out of it
        night.remarks.append(f"the traffic was not looked at: {error}")
        return None
    return look


def take_in_arrivals(root: Path, params: Params, night: Night, opened: registry.Run) -> None:
    """Bring the stage ingest up to date, then take in new texts and corrections.

    Raises UserError for a user's error in the stage, RuntimeError where the stage crashed.
    """
    restore_arrivals(root, params)
    options = retry_options(params, lambda _task, _run, state: is_worth_retrying(params, state))
    with Processes() as processes:
        state = run_stage.with_options(name="ingest", task_run_name="ingest", **options)(
            "ingest", root, processes, opened.log_curve, return_state=True
        )
    stage: StageOutcome = result_of(state)
    if not stage.done:
        if stage.user_error:
            raise UserError(stage.message.removeprefix("error: "))
        raise RuntimeError("the stage ingest failed")
    night.texts = result_of(refresh.take_in_texts.with_options(**options)(root, params, night.now, return_state=True))
    versions = nights.version_numbers(root, params)
    corrected = refresh.take_in_corrections.with_options(**options)(
        root, params, night.now, versions, return_state=True
    )
    corrections: Corrections = result_of(corrected)
    night.corrections = corrections.counts
    if len(corrections.rows):
        night.errors = result_of(drift.count_errors(root, params, corrections.rows, return_state=True))


def is_worth_retrying(params: Params, state: Any) -> bool:
    """Whether a retry may help: a disk or a network failed, or a database or a dataset is out of reach."""
    result = state_data(state)
    if isinstance(result, StageOutcome):  # of the stage ingest, which reads the source itself
        return result.user_error and params.ingest.source != "files"
    reads_remote_source = params.ingest.source != "files" or params.feedback.query is not None
    return isinstance(result, OSError) or (isinstance(result, UserError) and reads_remote_source)


def gather_situation(root: Path, params: Params, night: Night, champion: Champion | None, force: bool) -> Situation:
    """What arrived since the last training, and what else speaks for or against a training now."""
    read = trainings.find_read_arrivals(root, params)
    new = arrivals.unread_rows(read, params.ingest, root).drop_duplicates("id")
    night.unread_arrivals = tuple(new["file"].unique())
    age = None
    if champion is not None:
        age = (night.now - champion.made_at).total_seconds() / 86400
    number = champion.number if champion is not None else None
    undecided = nights.undecided_challenger(root, params) if champion is not None else None
    unfinished = nights.is_training_unfinished(root, params)
    labelled = int(new["label"].notna().sum())
    return Situation(number, age, len(new), labelled, night.drift, force, undecided, night.traffic, unfinished)


def train_and_promote(root: Path, params: Params, night: Night, champion: Champion | None) -> Result:
    """Train, apply the gate, register, then let the new version challenge the champion; returns the outcome."""
    name = nights.training_run_name(night.now)
    training: Training = result_of(train.with_options(flow_run_name=name)(root, return_state=True))
    night.training = training
    if training.fault or not all(stage.done for stage in training.stages):
        night.fault = training.fault or failure_of(training.stages)
        night.is_user_error = training.exit_code == 2
        return "failed"
    night.remarks += [*data_lines(root), *caveat_lines(root)]
    if training.version is None:
        return "refused"
    if champion is None:
        return first_outcome(root, params, training.version)
    if training.version.number == champion.number:
        return "skipped"
    drift_tests = [asdict(test) for test in night.drift.tests] if night.drift else None
    night.promotion = promote(root, training.version.number, f"promote {night.now:%Y-%m-%d %H:%M:%S}", drift_tests)
    outcome = night.promotion.outcome
    return outcome if outcome in ("promoted", "waiting") else "refused"


def first_outcome(root: Path, params: Params, version: registry.Registration) -> Result:
    """What came of a version while there was no champion: it is champion, waits for approval, or was rejected."""
    if "champion" in version.aliases:
        return "promoted"
    waiting = {request.entry.version for request in list_waiting(root, params)}
    return "waiting" if version.number in waiting else "refused"


def failure_of(stages: list[StageOutcome]) -> str:
    """Why a training did not reach its end: a user's error if there is one, else the stage that failed."""
    user_error = next((stage.message for stage in stages if stage.user_error), "")
    failed = next((f"{stage.stage} failed" for stage in stages if stage.status == "failed"), "not every stage ran")
    return user_error or failed


def notify_and_record(params: Params, night: Night, opened: registry.Run) -> None:
    """Notify people of the outcome, then record it in MLflow."""
    title = f"{params.registry.model}: {nightly.headline(night)}"
    options = retry_options(params, notify.is_worth_retrying)
    body = "\n".join(nightly.message_lines(night))
    night.unsent = notify.send_messages(params.notify, options, nightly.events(night), title, body)
    night.is_notified = True
    opened.failed = night.outcome == "failed"
    opened.log_metrics(nightly.night_metrics(night))
    opened.set_tags({f"gleaner.unsent.{number}": line for number, line in enumerate(night.unsent)})
    if night.drift is not None:
        opened.set_tags({"gleaner.drift": night.drift.status})
    nights.finish_night(opened, night.outcome, reason(night), night.version)
