"""Earlier champions that were retired: no way back leads to them, and the next version may be the first again."""

from pathlib import Path

import pytest

from cli import history
from pipeline.core.errors import UserError
from pipeline.core.params import Params
from tasks import registry
from tasks.registry import lookup, nights, retirement
from tests.support.promoting import (
    MODEL,
    champion_version,
    promote,
    read_ledger,
    register_scored,
    rollback,
    set_limits,
    start_project,
)


@pytest.fixture
def root(tmp_path: Path, store: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    return start_project(tmp_path, store, monkeypatch)


@pytest.fixture
def params(root: Path) -> Params:
    return set_limits(root)


def retire(root: Path, number: str) -> None:
    """Retire a version as `gleaner forget --retire` does."""
    retirement.retire_version(lookup.get_version(registry.connect(root), MODEL, number), "it learned from a person")


def test_a_retired_earlier_champion_is_none_to_go_back_to(root: Path, params: Params) -> None:
    for right in (300, 340, 390):
        register_scored(root, right)
        if right > 300:
            promote(root, params)
    retire(root, "2")
    back = rollback(root, params)
    assert back.done and champion_version(root) == "1"
    assert "skipped 2, which was deleted from the registry or retired" in back.notes
    with pytest.raises(UserError, match=r"expected a version that was champion \(1, 3\), found 9"):
        rollback(root, params, "9")
    with pytest.raises(UserError, match="version 2: expected a version that may serve, found one that was retired"):
        rollback(root, params, "2")


def test_without_an_earlier_champion_that_may_serve_the_next_version_is_the_first_again(
    root: Path, params: Params, capsys: pytest.CaptureFixture[str]
) -> None:
    register_scored(root, 300)
    register_scored(root, 340)
    promote(root, params)
    retire(root, "1")
    with pytest.raises(UserError, match=r"found that all were deleted or retired \(version 1\); the champion stays"):
        rollback(root, params)
    registry.connect(root).delete_model_version(MODEL, "2")
    assert history.main(root, None) == 0
    printed = " ".join(capsys.readouterr().out.split())
    assert "`gleaner promote --version N` makes a version the first champion" in printed
    assert "`gleaner rollback`" not in printed and nights.current_champion(root, params) is None
    with pytest.raises(
        UserError, match=r"all were deleted or retired \(version 1\); `gleaner run` or `gleaner promote"
    ):
        rollback(root, params)
    register_scored(root, 300)
    assert champion_version(root) == "3"
    assert "no earlier champion is left that may serve" in read_ledger(root).entries[-1].reason
