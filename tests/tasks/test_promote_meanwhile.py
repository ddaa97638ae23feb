"""What somebody deletes in MLflow while a promotion compares: the champion, the challenger, a stored verdict."""

from pathlib import Path

import pytest

from pipeline.core.errors import UserError
from pipeline.core.params import Params
from tasks import registry
from tasks.compare import choose_versions, compare
from tasks.promote import decide_promotion
from tasks.registry import champion_alias
from tests.support.promoting import (
    MODEL,
    logged_actions,
    promote,
    register_scored,
    set_limits,
    start_project,
    without_prefect,
)


@pytest.fixture
def root(tmp_path: Path, store: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    return start_project(tmp_path, store, monkeypatch)


@pytest.fixture
def params(root: Path) -> Params:
    return set_limits(root)


def test_a_promotion_whose_champion_is_deleted_meanwhile_is_lost(root: Path, params: Params) -> None:
    register_scored(root, 300)
    register_scored(root, 340)
    pair = without_prefect(choose_versions)(root, params, None)
    case = without_prefect(compare)(root, params, pair)
    client = registry.connect(root)
    client.delete_model_version(MODEL, "1")
    champion_alias.load_champion_state(client, MODEL)
    lost = without_prefect(decide_promotion)(root, params, pair, case, "flow")
    assert (lost.outcome, lost.champion) == ("lost", None)
    assert "meanwhile version 1 was removed (entry 2: removed); see `gleaner history`" in lost.message


def test_a_challenger_that_is_deleted_meanwhile_is_a_one_line_error(root: Path, params: Params) -> None:
    register_scored(root, 300)
    register_scored(root, 340)
    pair = without_prefect(choose_versions)(root, params, None)
    case = without_prefect(compare)(root, params, pair)
    registry.connect(root).delete_model_version(MODEL, "2")
    with pytest.raises(UserError, match="expected version 2, found that it was deleted meanwhile; nothing was entered"):
        without_prefect(decide_promotion)(root, params, pair, case, "flow")
    assert logged_actions(root) == [("initial", "1")]


def test_a_verdict_that_is_not_stored_any_more_is_made_again(root: Path, params: Params) -> None:
    register_scored(root, 300)
    register_scored(root, 302)
    promote(root, params)
    (stored,) = list((root / "mlruns").rglob("promotion/*-1.json"))
    stored.unlink()
    again = promote(root, params)
    assert not again.reused and again.verdict is not None and again.verdict.test_set_reuse.judgement == 2
