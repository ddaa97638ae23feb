"""Changes of limits between trainings, refused ones included."""

from pipeline.policies.limit_changes import (
    LimitsOfTraining,
    changes_from_json,
    changes_to_json,
    find_limit_changes,
)


def training(number: int, verdict: str, **limits: str) -> LimitsOfTraining:
    return LimitsOfTraining(
        f"run{number}00000000",
        f"2026-11-30T12:0{number}:00+00:00",
        "ada",
        verdict,
        {"finetune.lr": str(number)} | limits,
    )


def test_a_limit_that_was_loosened_after_a_refusal_is_told_with_that_refusal() -> None:
    strict, loose = {"gate.min_accuracy": "0.9"}, {"gate.min_accuracy": "0.7"}
    trainings = [training(1, "pass", **strict), training(2, "fail", **strict), training(3, "pass", **loose)]
    (change,) = find_limit_changes(trainings)
    line = "gate.min_accuracy 0.9 → 0.7, by ada at 2026-11-30 12:03 UTC, after the gate said fail (run run20000)"
    assert str(change) == line
    assert changes_from_json(changes_to_json([change])) == [change]


def test_a_limit_that_only_one_training_recorded_is_no_change() -> None:
    new = {"gate.max_flip_rate": "0.1"}
    assert find_limit_changes([training(1, "pass"), training(2, "pass", **new)]) == []
    assert changes_from_json("damaged") == changes_from_json('[{"key": 1}]') == []
