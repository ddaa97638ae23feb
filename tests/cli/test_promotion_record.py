"""What `gleaner explain-version` says of a version's promotion, from a real log and stored verdicts."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from cli import explain_version, promotion_record
from pipeline.core.params import Params
from pipeline.policies.promotion.ledger import build_ledger
from tasks import registry
from tasks.registry import promotion_log
from tests.support.promoting import MODEL, make_project, promote, register_scored, rollback, set_limits
from tests.support.real_project import git

NUMBERS = ("lead", "lower bound", "at 97.50% (judgement 1 on these rows)", "above 0 wanted", "on 400 test rows")


@pytest.fixture
def root(tmp_path: Path, store: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A git project with 400 test rows and an empty registry."""
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    monkeypatch.setenv("MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR", "false")
    root = make_project(tmp_path / "project", store=store)
    git(root, "init", "-q")
    return root


@pytest.fixture
def params(root: Path) -> Params:
    """Its params."""
    return set_limits(root)


@pytest.fixture
def text(root: Path, capsys: pytest.CaptureFixture[str]) -> Any:
    """``text("2")``: what the command prints of a version."""

    def told(version: str) -> str:
        assert explain_version.main(root, version, False) == 0
        return capsys.readouterr().out

    return told


@pytest.fixture
def facts(root: Path, capsys: pytest.CaptureFixture[str]) -> Any:
    """``facts("2")``: the same as data."""

    def told(version: str) -> Any:
        assert explain_version.main(root, version, True) == 0
        return json.loads(capsys.readouterr().out)

    return told


def test_a_promoted_version_shows_its_verdict_with_when_and_by_which_entry(
    root: Path, params: Params, text: Any, facts: Any
) -> None:
    register_scored(root, 300)
    register_scored(root, 340)
    found = promote(root, params)
    (entry,) = [one for one in promotion_log.read(registry.connect(root), MODEL).entries if one.number == found.entry]
    said = text("2")
    assert f"Promotion: promoted, beside champion version 1, {entry.at:%Y-%m-%d}" in said
    assert f"by entry 2 of the promotion log ({entry.by})" in said
    assert "accuracy 0.8500 against 0.7500" in said and all(number in said for number in NUMBERS)
    assert "gap between groups of customer 0.0000 against 0.0000, +0.0000 (-0.0500 to +0.0500)" in said
    told = facts("2")["promotion"]
    assert (told["outcome"], told["entry"], told["champion"]) == ("promoted", 2, "1")
    assert found.verdict is not None and told["verdict"]["scores"]["accuracy"]["low"] == found.verdict.lead.low


def test_refused_and_insufficient_ones_show_what_stood_in_the_way(root: Path, params: Params, text: Any) -> None:
    for right in (300, 250, 302):
        register_scored(root, right)
        if right != 300:
            promote(root, params)
    refused, unsure = text("2"), text("3")
    assert "Promotion: refused, beside champion version 1" in refused
    assert "  fail: margin: accuracy 0.6250 against 0.7500" in refused and "  pass: margin" not in refused
    assert "Promotion: insufficient, beside champion version 1" in unsure
    assert "  insufficient: margin: accuracy 0.7550 against 0.7500" in unsure and "(judgement 2 on" in unsure


def test_a_version_that_no_promotion_looked_at_was_never_judged(
    root: Path, params: Params, text: Any, facts: Any
) -> None:
    register_scored(root, 300)
    register_scored(root, 340)
    assert "Promotion: never judged (initial: the first version that passed the gate)\n" in text("1")
    assert "Promotion: never judged; `gleaner promote --version 2`\n" in text("2")
    assert facts("2")["promotion"] == {"outcome": "never judged", "reason": None}


def test_the_last_judgement_counts_and_a_repeated_one_names_the_first(root: Path, params: Params, text: Any) -> None:
    register_scored(root, 300)
    register_scored(root, 340)
    promote(root, params)
    rollback(root, params)
    promote(root, params, "2")
    said = text("2")
    assert "by entry 4 of the promotion log" in said and "repeats the judgement of entry 2" in said


def test_a_verdict_that_is_gone_or_changed_is_named_and_the_entry_still_told(
    root: Path, params: Params, text: Any
) -> None:
    register_scored(root, 300)
    register_scored(root, 250)
    promote(root, params)
    (kept,) = list((root / "mlruns").rglob("promotion/*-1.json"))
    kept.write_text('{"layout": 9}')
    said = text("2")
    assert "Promotion: refused, beside champion version 1" in said and "  margin: accuracy 0.6250 against" in said
    assert "Missing: gleaner-demo version 2: expected a verdict in promotion/" in said
    kept.unlink()
    assert f"expected promotion/{kept.name} among the artifacts of its run" in text("2")
    client, entries = registry.connect(root), promotion_log.log_name(MODEL)
    content = client.get_model_version(entries, "2").tags[promotion_log.CONTENT]
    client.set_model_version_tag(entries, "2", promotion_log.CONTENT, content.replace("0.6250", "0.9250"))
    assert "the entry is not as it was written: somebody changed it" in text("2")


def test_a_promotion_that_another_one_came_before_was_lost(root: Path, params: Params) -> None:
    for right in (300, 340, 380):
        register_scored(root, right)
        if right > 300:
            promote(root, params)
    entries = promotion_log.read(registry.connect(root), MODEL).entries
    first, second, third = entries
    late = replace(third, expected="1")
    assert promotion_record.outcome(late, build_ledger([first, second, late])) == "lost"
    assert promotion_record.outcome(third, build_ledger(entries)) == "promoted"
