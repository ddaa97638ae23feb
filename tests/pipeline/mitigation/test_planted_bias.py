"""Bias planted in training rows appears, and the mitigation that the README recommends halves it.

What each of the others did, over five seeds, is in benchmarks/LOG.md:
``python -m tests.support.planted_runs 0 1 2 3 4``.
"""

from pathlib import Path

import numpy as np
import pytest

from tests.support.planted_bias import ATTRIBUTE, corpus
from tests.support.planted_runs import MITIGATIONS, NONE, SWAPPED, Outcome, run

SEEDS = (0, 1)


def test_the_corpus_has_the_bias_in_training_rows_and_none_in_test_rows() -> None:
    own = corpus(0)
    for rows, women, men in ((own.train, 0.9, 0.5), (own.test, 0.5, 0.5)):
        blamed = rows["label"].eq("complaint").groupby(rows[f"group.{ATTRIBUTE}"]).mean()
        assert blamed["women"] == pytest.approx(women, abs=0.01) and blamed["men"] == pytest.approx(men, abs=0.01)
    texts = [set(rows["text"]) for rows in (own.train, own.pool, own.test)]
    assert not texts[0] & texts[1] and not texts[0] & texts[2] and not texts[1] & texts[2]
    assert own.pool["label"].isna().all()


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where vectors are shared by all runs."""
    return tmp_path_factory.mktemp("vectors")


@pytest.fixture(scope="module")
def outcomes(tmp_path_factory: pytest.TempPathFactory, store: Path) -> dict[str, list[Outcome]]:
    """Both settings with each seed."""
    return {
        name: [run(tmp_path_factory.mktemp("run"), corpus(seed), changes, store) for seed in SEEDS]
        for name, changes in (("none", NONE), ("swapped", SWAPPED))
    }


def mean(found: list[Outcome], key: str) -> float:
    return float(np.mean([getattr(one, key) for one in found]))


@pytest.mark.slow
def test_a_planted_bias_appears(outcomes: dict[str, list[Outcome]]) -> None:
    assert min(one.gap for one in outcomes["none"]) > 0.05
    assert mean(outcomes["none"], "gap") > 0.08
    assert mean(outcomes["none"], "praise_gap") > 0.15


@pytest.mark.slow
def test_swapped_copies_halve_the_gap_and_cost_no_accuracy(outcomes: dict[str, list[Outcome]]) -> None:
    plain, swapped = outcomes["none"], outcomes["swapped"]
    assert abs(mean(swapped, "gap")) <= mean(plain, "gap") / 2
    assert abs(mean(swapped, "praise_gap")) <= mean(plain, "praise_gap") / 2
    assert mean(swapped, "accuracy") >= mean(plain, "accuracy") - 0.01


@pytest.mark.slow
def test_offsets_are_not_moved_where_few_rows_on_women_would_choose_them(
    outcomes: dict[str, list[Outcome]], store: Path, tmp_path: Path
) -> None:
    assert run(tmp_path, corpus(SEEDS[0]), MITIGATIONS["offsets"], store) == outcomes["none"][0]
