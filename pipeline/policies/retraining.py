"""Whether a night trains: what is new, what has drifted and how old the champion is, against params, with reasons."""

from dataclasses import dataclass

from pipeline.core.params import Retrain
from pipeline.policies.drift import Drift


@dataclass(frozen=True)
class Situation:
    """What a night finds."""

    champion: str | None  # the number of the version
    age_days: float | None  # since the champion was trained
    new_rows: int  # since the last training, whatever came of it
    new_labelled: int  # of these
    drift: Drift | None  # None: there was nothing to compare
    forced: bool = False
    unjudged: str | None = None  # a version that an earlier night registered, but did not live to judge


@dataclass(frozen=True)
class Decision:
    """Whether to train, and a line for each criterion: ``yes``, ``no`` or ``off``, then what was found and wanted."""

    train: bool
    reasons: tuple[str, ...]

    @property
    def because(self) -> str:
        """The criteria that say yes, else all of those that say no, in one line."""
        wanted = "yes: " if self.train else "no: "
        return "; ".join(line.removeprefix(wanted) for line in self.reasons if line.startswith(wanted))


def decide(found: Situation, limits: Retrain) -> Decision:
    """Hold what a night finds against the params; any criterion that is met justifies a training.

    The age of the champion does not while nothing new is there: the same rows would make the same model.
    """
    lines = [champion(found), count("new labelled rows", found.new_labelled, limits.min_new_labelled)]
    lines += [count("new rows", found.new_rows, limits.min_new_rows), drift(found, limits), age(found, limits)]
    if found.unjudged is not None:
        lines.append(f"yes: version {found.unjudged} was registered, but never judged")
    if found.forced:
        lines.append("yes: asked for with --force")
    return Decision(any(line.startswith("yes: ") for line in lines), tuple(lines))


def champion(found: Situation) -> str:
    """Without a champion every answer is better than none."""
    return "yes: no champion yet" if found.champion is None else f"no: version {found.champion} is champion"


def count(what: str, number: int, wanted: int | None) -> str:
    """Whether enough rows arrived since the last training."""
    if wanted is None:
        return f"off: {what}"
    return f"{'yes' if number >= wanted else 'no'}: {number} {what}, {wanted} wanted"


def drift(found: Situation, limits: Retrain) -> str:
    """Whether the new rows differ from what the champion knows; too few rows justify nothing and deny nothing."""
    if not limits.on_drift:
        return "off: drift"
    if found.drift is None:
        return "no: drift not looked for, nothing arrived since the last training"
    of = [test for test in found.drift.tests if test.status == found.drift.status]
    said = ", ".join(test.line for test in of)
    return f"{'yes' if found.drift.status == 'drift' else 'no'}: {said}"


def age(found: Situation, limits: Retrain) -> str:
    """Whether the champion is old, and something is there that it has not seen."""
    if limits.max_age_days is None:
        return "off: age"
    if found.age_days is None:
        return "no: age unknown"
    told = f"champion {found.age_days:.1f} days old, {limits.max_age_days:g} allowed"
    if found.age_days <= limits.max_age_days:
        return f"no: {told}"
    return f"yes: {told}" if found.new_rows else f"no: {told}, but nothing new to learn from"
