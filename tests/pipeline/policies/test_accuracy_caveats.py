"""Why an accuracy is low or says little, in sentences."""

from typing import Any

from pipeline.policies.accuracy_caveats import accuracy_caveats

METRICS: dict[str, Any] = {
    "accuracy": 0.8,
    "test_rows": 100,
    "test_rows_without_gold_label": 0,
    "test_classes_without_gold_label": {},
    "largest_class": "refund",
    "largest_class_share": 0.6,
}


def test_a_model_that_learned_every_class_and_beats_the_largest_has_no_caveat() -> None:
    assert accuracy_caveats(METRICS) == []
    assert accuracy_caveats(METRICS | {"accuracy": 0.6}) == []


def test_test_classes_without_a_gold_row_are_named() -> None:
    missing = {"test_rows_without_gold_label": 30, "test_classes_without_gold_label": {"0": 15, "1": 15}}
    (line,) = accuracy_caveats(METRICS | missing)
    assert line.startswith("2 test classes have no gold row") and '30 of 100 test rows: "0", "1".' in line
    names = [str(number) for number in range(7)]
    (line,) = accuracy_caveats(METRICS | missing | {"test_classes_without_gold_label": dict.fromkeys(names, 1)})
    assert '"4" and 2 more.' in line
    (line,) = accuracy_caveats(METRICS | missing | {"test_rows_without_gold_label": 100})
    assert line.startswith("No test class has a gold row (100 of 100 test rows)")


def test_an_accuracy_below_the_share_of_the_largest_class_is_pointed_out() -> None:
    (line,) = accuracy_caveats(METRICS | {"accuracy": 0.55})
    assert line.startswith('Accuracy 0.550 is below 0.600, the share of test rows of the largest class "refund"')
