"""Drift is a change that is significant and large; false alarms are as rare as params say; few rows are no answer."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from pipeline.core.params import Drift as DriftLimits
from pipeline.core.params import load_params
from pipeline.policies import drift

LIMITS = load_params(Path(__file__).parents[3] / "params.yaml").drift
WIDTH = 16


def limits(**changes: Any) -> DriftLimits:
    return LIMITS.model_copy(update={"permutations": 500} | changes)


def vectors(rng: np.random.Generator, rows: int, shift: float = 0.0) -> np.ndarray:
    """Unit vectors; ``shift`` moves them along one direction."""
    points = rng.normal(size=(rows, WIDTH)) + shift * np.eye(WIDTH)[0]
    return points / np.linalg.norm(points, axis=1, keepdims=True)


def draws(rng: np.random.Generator, rows: int, shares: list[float]) -> list[str]:
    return rng.choice(["a", "b", "c"], rows, p=shares).tolist()


def alarms(rows: int, trials: int, shift: float = 0.0, moved: float = 0.0, **changes: Any) -> dict[str, float]:
    """Share of trials in which each test found drift, and in which its p-value alone was significant."""
    reports = []
    for seed in range(trials):
        rng = np.random.default_rng([rows, seed])
        old, new = draws(rng, 300, [0.5, 0.3, 0.2]), draws(rng, rows, [0.5 - moved, 0.3 + moved, 0.2])
        pair = vectors(rng, 300), vectors(rng, rows, shift)
        reports.append(drift.detect_drift(*pair, {"answers": (old, new)}, limits(seed=seed, **changes)))
    level = limits(**changes).alpha / 2
    tests = [test for report in reports for test in report.tests]
    rates = {name: [test.status == "drift" for test in tests if test.name == name] for name in ("texts", "answers")}
    rates |= {
        f"{name} p": [(test.p or 0) <= level for test in tests if test.name == name] for name in ("texts", "answers")
    }
    return {name: float(np.mean(flags)) for name, flags in rates.items()}


def test_p_values_hold_where_nothing_changed() -> None:
    rates = alarms(rows=60, trials=150, alpha=0.2, permutations=200, min_separation=0.5, min_shift=0.0)
    # Of 150 trials at a level of 0.1, 4 to 27 alarms are within four standard errors.
    assert 0.027 <= rates["texts p"] <= 0.18 and 0.027 <= rates["answers p"] <= 0.18


def test_nothing_is_reported_where_nothing_changed() -> None:
    rates = alarms(rows=60, trials=60)
    assert rates["texts"] == 0 and rates["answers"] <= 1 / 60


@pytest.mark.parametrize(("rows", "shift", "moved"), [(60, 1.2, 0.35), (200, 0.8, 0.25)])
def test_a_change_is_found(rows: int, shift: float, moved: float) -> None:
    rates = alarms(rows, 25, shift, moved)
    assert rates["texts"] >= 0.9 and rates["answers"] >= 0.9


def test_a_change_that_is_significant_but_small_is_no_drift() -> None:
    rates = alarms(rows=900, trials=10, shift=0.25, moved=0.06, max_rows=1000, alpha=0.2)
    assert rates["texts p"] >= 0.8 and rates["texts"] == 0
    assert rates["answers"] == 0


def test_few_rows_are_no_answer() -> None:
    rng = np.random.default_rng(0)
    report = drift.detect_drift(
        vectors(rng, 300), vectors(rng, 49, 9.0), {"answers": (["a"] * 300, ["b"] * 49)}, limits()
    )
    assert {test.status for test in report.tests} == {"insufficient"} and report.status == "insufficient"
    assert report.tests[0].line == "texts: insufficient, 49 new rows against 300"


def test_any_drift_outweighs_an_insufficient_test() -> None:
    rng = np.random.default_rng(0)
    pairs = {"answers": (["a"] * 300, ["b"] * 60), "gold labels": (["a"] * 10, ["a"] * 10)}
    report = drift.detect_drift(vectors(rng, 300), vectors(rng, 60), pairs, limits())
    assert [test.status for test in report.tests] == ["none", "drift", "insufficient"]
    assert report.status == "drift"


def test_the_squared_mmd_is_that_of_its_definition() -> None:
    rng = np.random.default_rng(1)
    rows = np.concatenate([vectors(rng, 7), vectors(rng, 5, 2.0)])
    kernel = drift.gaussian_kernel(rows)
    is_new = np.arange(12) >= 7

    def mean(a: range, b: range) -> float:
        return float(np.mean([kernel[i, j] for i in a for j in b if i != j]))

    old, new = range(7), range(7, 12)
    expected = mean(old, old) + mean(new, new) - 2 * mean(old, new)
    assert drift.squared_mmd(kernel, is_new[:, None])[0] == pytest.approx(expected)


def test_separation_is_half_for_one_cloud_and_near_one_for_two() -> None:
    rng = np.random.default_rng(2)
    rows = vectors(rng, 400)
    is_new = np.arange(400) >= 200
    assert drift.separation(drift.gaussian_kernel(rows), is_new) < 0.56
    rows[is_new] = vectors(rng, 200, 9.0)
    assert drift.separation(drift.gaussian_kernel(rows), is_new) > 0.99


def test_a_report_is_the_same_each_time() -> None:
    rng = np.random.default_rng(3)
    old, new = vectors(rng, 400), vectors(rng, 100, 0.5)
    pair = {"answers": (draws(rng, 400, [0.4, 0.3, 0.3]), draws(rng, 100, [0.3, 0.4, 0.3]))}
    assert drift.detect_drift(old, new, pair, limits(max_rows=200)) == drift.detect_drift(
        old, new, pair, limits(max_rows=200)
    )


def test_one_label_on_both_sides_is_no_change_at_all() -> None:
    test = drift.compare_labels("labels", ["spam"] * 150, ["spam"] * 120, limits(), 0.05)
    assert (test.status, test.p, test.size) == ("none", 1.0, 0.0)
