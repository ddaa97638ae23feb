"""Bias planted in training rows appears in the model, and the mitigation that the docs recommend first halves it.

benchmarks/LOG.md has the results of all mitigations over five seeds, from
``python -m tests.support.planted_runs 0 1 2 3 4``.
"""

from pathlib import Path

import numpy as np
import pytest

from tests.support.planted_bias import ATTRIBUTE, corpus
from tests.support.planted_runs import MITIGATIONS, NONE, SWAPPED, Outcome, run

SEEDS = (0, 1)


def test_the_corpus_has_the_bias_in_training_rows_and_none_in_test_rows() -> None:
    planted = corpus(0)
    for rows, women, men in ((planted.train, 0.9, 0.5), (planted.test, 0.5, 0.5)):
        blamed = rows["label"].eq("complaint").groupby(rows[f"group.{ATTRIBUTE}"]).mean()
        assert blamed["women"] == pytest.approx(women, abs=0.01) and blamed["men"] == pytest.approx(men, abs=0.01)
    texts = [set(rows["text"]) for rows in (planted.train, planted.pool, planted.test)]
    assert not texts[0] & texts[1] and not texts[0] & texts[2] and not texts[1] & texts[2]
    assert planted.pool["label"].isna().all()


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of the vectors that all runs share."""
    return tmp_path_factory.mktemp("vectors")


@pytest.fixture(scope="module")
def outcomes(tmp_path_factory: pytest.TempPathFactory, store: Path) -> dict[str, list[Outcome]]:
    """The outcomes without mitigation and with swapped copies, one for each seed."""
    return {
        name: [run(tmp_path_factory.mktemp("run"), corpus(seed), changes, store) for seed in SEEDS]
        for name, changes in (("none", NONE), ("swapped", SWAPPED))
    }


def mean(outcomes: list[Outcome], key: str) -> float:
    return float(np.mean([getattr(outcome, key) for outcome in outcomes]))


@pytest.mark.slow
def test_a_planted_bias_appears(outcomes: dict[str, list[Outcome]]) -> None:
    assert min(outcome.gap for outcome in outcomes["none"]) > 0.05
    assert mean(outcomes["none"], "gap") > 0.08
    assert mean(outcomes["none"], "praise_gap") > 0.15


@pytest.mark.slow
def test_swapped_copies_halve_the_gap_and_cost_no_accuracy(outcomes: dict[str, list[Outcome]]) -> None:
    plain, swapped = outcomes["none"], outcomes["swapped"]
    assert abs(mean(swapped, "gap")) <= mean(plain, "gap") / 2
    assert abs(mean(swapped, "praise_gap")) <= mean(plain, "praise_gap") / 2
    assert mean(swapped, "accuracy") >= mean(plain, "accuracy") - 0.01


@pytest.mark.slow
def test_no_offsets_are_chosen_on_too_few_rows_on_women(
    outcomes: dict[str, list[Outcome]], store: Path, tmp_path: Path
) -> None:
    assert run(tmp_path, corpus(SEEDS[0]), MITIGATIONS["offsets"], store) == outcomes["none"][0]
