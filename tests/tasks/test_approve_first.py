"""`promotion.approval: required` before there is a champion: the first version waits, and no way leads round it."""

from pathlib import Path

import pytest

from cli import explain_version
from flows.outcomes.promotion import waiting_lines
from pipeline.core.errors import UserError
from tasks import registry
from tasks.promote_first import promote_first
from tasks.registry import champion_alias, lookup, nights, retirement, version_tags, versions
from tests.support.promoting import (
    MODEL,
    approve,
    champion_version,
    logged_actions,
    read_ledger,
    register_scored,
    set_limits,
    start_project,
    without_prefect,
)


def test_the_first_version_waits_too_and_nobody_gets_round_it(
    tmp_path: Path, store: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    root = start_project(tmp_path, store, monkeypatch)
    params = set_limits(root, approval="required")
    register_scored(root, 300)
    assert champion_version(root) is None and logged_actions(root) == [("awaiting approval", "1")]
    (line,) = waiting_lines(root, params)
    assert "read shared.html of MLflow run" in line
    again = without_prefect(promote_first)(root, params, None, "flow")
    assert again.outcome == "waiting" and len(read_ledger(root).entries) == 1
    assert nights.current_champion(root, params) is None
    client = registry.connect(root)
    client.set_registered_model_alias(MODEL, "champion", "1")
    assert champion_alias.load_champion_state(client, MODEL).alias_moved  # and not adopted
    with pytest.raises(UserError, match="somebody moved it by hand"):
        approve(root, params, "1")
    client.delete_registered_model_alias(MODEL, "champion")
    rejected = approve(root, params, "1", reject=True)
    assert rejected.message.endswith("there is no champion")
    champion_alias.enter_first_champion(client, MODEL, "1", "flow", params.promotion)  # the next `gleaner run`
    assert len(read_ledger(root).entries) == 2 and waiting_lines(root, params) == []
    assert without_prefect(promote_first)(root, params, None, "flow").outcome == "refused"
    assert without_prefect(promote_first)(root, params, "1", "flow").outcome == "waiting"
    done = approve(root, params, "1")
    assert done.message == f"Approved: {MODEL} version 1 is champion, the first one" and champion_version(root) == "1"
    assert explain_version.main(root, "1", False) == 0
    assert "approval: approved by Ada (account " in capsys.readouterr().out


def test_a_retired_version_does_not_become_the_first_champion(
    tmp_path: Path, store: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = start_project(tmp_path, store, monkeypatch)
    params = set_limits(root, approval="required")
    register_scored(root, 300)
    client = registry.connect(root)
    retirement.retire_version(lookup.get_version(client, MODEL, "1"), "it learned from a forgotten row")
    assert waiting_lines(root, params) == []
    for settings in (params, set_limits(root, approval="none")):
        for command in (
            lambda settings: without_prefect(promote_first)(root, settings, "1", "flow"),
            lambda settings: versions.finish_registration(client, MODEL, "1", "flow", settings.promotion),
        ):
            with pytest.raises(UserError, match="version 1: expected a version that may serve, found one that was ret"):
                command(settings)
    assert champion_version(root) is None and len(read_ledger(root).entries) == 1


def test_a_retired_version_whose_registration_was_cut_off_does_not_stop_the_others(
    tmp_path: Path, store: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = start_project(tmp_path, store, monkeypatch)
    params = set_limits(root, approval="required")
    for number in (register_scored(root, 300), register_scored(root, 340)):
        registry.connect(root).set_model_version_tag(MODEL, number, version_tags.COMPLETE, version_tags.NO)
    client = registry.connect(root)
    client.delete_registered_model_alias(MODEL, "challenger")
    retirement.retire_version(lookup.get_version(client, MODEL, "2"), "it learned from a forgotten row")
    promoted = without_prefect(promote_first)(root, params, None, "flow")
    assert (promoted.outcome, promoted.version) == ("waiting", "1")
    assert lookup.version_at_alias(client, MODEL, "challenger") == "1"
