"""Does a night train? What is new, what has drifted and how old the champion is, against params, with reasons."""

from dataclasses import dataclass

from pipeline.core.params import Retrain
from pipeline.policies.drift import DriftReport
from pipeline.policies.monitoring.finding import TRAFFIC_REASONS, TrafficLook


@dataclass(frozen=True)
class Situation:
    """What a night knows before it decides whether to train."""

    champion: str | None  # the number of the version
    age_days: float | None  # since the champion was trained
    new_rows: int  # since the last training, whatever came of it
    new_labelled: int  # of these
    drift: DriftReport | None  # None: there was nothing to compare
    forced: bool = False
    undecided_version: str | None = None  # an earlier night registered it and broke off before the verdict
    traffic: TrafficLook | None = None  # of the champion's service; None: it kept nothing
    is_training_unfinished: bool = False  # an earlier night was killed while it trained or registered


@dataclass(frozen=True)
class Decision:
    """Whether to train, and a line for each criterion: ``yes``, ``no`` or ``off``, then what was found and wanted."""

    train: bool
    reasons: tuple[str, ...]

    @property
    def because(self) -> str:
        """The criteria that say yes, or all that say no if none says yes, in one line."""
        prefix = "yes: " if self.train else "no: "
        return "; ".join(line.removeprefix(prefix) for line in self.reasons if line.startswith(prefix))


def decide_training(situation: Situation, limits: Retrain) -> Decision:
    """Decide whether a night trains: any criterion that is met justifies a training.

    The age of the champion justifies none while there are no new rows: the same rows would make the same model.
    """
    lines = [
        check_champion(situation),
        check_count("new labelled rows", situation.new_labelled, limits.min_new_labelled),
        check_count("new rows", situation.new_rows, limits.min_new_rows),
        check_drift(situation, limits),
        check_age(situation, limits),
    ]
    if situation.traffic is not None or not limits.on_traffic:
        lines.append(check_traffic(situation, limits))
    if situation.undecided_version is not None:
        lines.append(f"yes: version {situation.undecided_version} was registered, but never judged")
    if situation.is_training_unfinished:
        lines.append("yes: a training of an earlier night was killed before its end")
    if situation.forced:
        lines.append("yes: asked for with --force")
    return Decision(any(line.startswith("yes: ") for line in lines), tuple(lines))


def check_champion(situation: Situation) -> str:
    """Whether there is no champion yet: then any model is better than none."""
    if situation.champion is None:
        return "yes: no champion yet"
    return f"no: there is a champion, version {situation.champion}"


def check_count(what: str, number: int, wanted: int | None) -> str:
    """Whether enough rows arrived since the last training."""
    if wanted is None:
        return f"off: {what}"
    return f"{'yes' if number >= wanted else 'no'}: {number} {what}, {wanted} wanted"


def check_drift(situation: Situation, limits: Retrain) -> str:
    """Whether the new rows differ from those that the champion was trained on; an insufficient answer is a no."""
    report = situation.drift
    if not limits.on_drift:
        return "off: drift"
    if report is None and situation.champion is None:
        return "no: drift not looked for, there is no champion to compare with"
    if report is None:
        return "no: drift not looked for, no texts arrived since the last training, corrections apart"
    tests = ", ".join(test.line for test in report.tests if test.status == report.status)
    return f"{'yes' if report.status == 'drift' else 'no'}: {tests}"


def check_traffic(situation: Situation, limits: Retrain) -> str:
    """Whether the champion's traffic drifted, or its answers are probably worse than they were on the test rows.

    It justifies no training while there are no new rows: the same rows would make the same model.
    """
    look = situation.traffic
    if not limits.on_traffic or look is None:
        return "off: traffic"
    found = [finding for finding in look.findings if finding.name in TRAFFIC_REASONS]
    decisive = [finding for finding in found if finding.status == "found"]
    text = "; ".join(f"traffic: {finding.title}: {finding.sentence}" for finding in decisive or found)
    if not decisive:
        return f"no: {text}"
    return f"yes: {text}" if situation.new_rows else f"no: {text}, but nothing new to learn from"


def check_age(situation: Situation, limits: Retrain) -> str:
    """Whether the champion is too old, and there are rows that it was not trained on."""
    if limits.max_age_days is None:
        return "off: age"
    if situation.age_days is None:
        return "no: age unknown"
    text = f"champion {situation.age_days:.1f} days old, {limits.max_age_days:g} allowed"
    if situation.age_days <= limits.max_age_days:
        return f"no: {text}"
    return f"yes: {text}" if situation.new_rows else f"no: {text}, but nothing new to learn from"
