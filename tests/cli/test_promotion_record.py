"""The promotion record in `gleaner explain-version`, from a real promotion log and stored verdicts."""

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
    """``text("2")``: the output of the command for a version."""

    def explain(version: str) -> str:
        assert explain_version.main(root, version, False) == 0
        return capsys.readouterr().out

    return explain


@pytest.fixture
def facts(root: Path, capsys: pytest.CaptureFixture[str]) -> Any:
    """``facts("2")``: the output of the command with --json, parsed."""

    def explain(version: str) -> Any:
        assert explain_version.main(root, version, True) == 0
        return json.loads(capsys.readouterr().out)

    return explain


def test_a_promoted_version_shows_its_verdict_with_when_and_by_which_entry(
    root: Path, params: Params, text: Any, facts: Any
) -> None:
    register_scored(root, 300)
    register_scored(root, 340)
    promotion = promote(root, params)
    entries = promotion_log.read(registry.connect(root), MODEL).entries
    (entry,) = [entry for entry in entries if entry.number == promotion.entry]
    printed = text("2")
    assert f"Promotion: promoted, beside champion version 1, {entry.at:%Y-%m-%d}" in printed
    assert f"by entry 2 of the promotion log ({entry.by})" in printed
    assert "accuracy 0.8500 against 0.7500" in printed and all(number in printed for number in NUMBERS)
    assert "gap between groups of customer 0.0000 against 0.0000, +0.0000 (-0.0500 to +0.0500)" in printed
    record = facts("2")["promotion"]
    assert (record["outcome"], record["entry"], record["champion"]) == ("promoted", 2, "1")
    assert promotion.verdict is not None
    assert record["verdict"]["scores"]["accuracy"]["low"] == promotion.verdict.lead.low


def test_a_refused_and_an_insufficient_version_show_the_rules_that_they_did_not_pass(
    root: Path, params: Params, text: Any
) -> None:
    for right in (300, 250, 302):
        register_scored(root, right)
        if right != 300:
            promote(root, params)
    refused, unsure = text("2"), text("3")
    assert "Promotion: refused, beside champion version 1" in refused
    assert "  fail: accuracy is 62.5% against 75%" in refused and "  pass: accuracy is" not in refused
    assert "Promotion: insufficient, beside champion version 1" in unsure
    assert "  insufficient: accuracy is 75.5% against 75%" in unsure and "(judgement 2 on" in unsure


def test_a_version_without_a_verdict_was_never_judged(root: Path, params: Params, text: Any, facts: Any) -> None:
    register_scored(root, 300)
    register_scored(root, 340)
    assert "Promotion: never judged (initial: the first version that passed the gate)\n" in text("1")
    assert "Promotion: never judged; `gleaner promote --version 2`\n" in text("2")
    assert facts("2")["promotion"] == {"outcome": "never judged", "reason": None, "approval": None}


def test_the_last_judgement_counts_and_a_repeated_one_names_the_first(root: Path, params: Params, text: Any) -> None:
    register_scored(root, 300)
    register_scored(root, 340)
    promote(root, params)
    rollback(root, params)
    promote(root, params, "2")
    printed = text("2")
    assert "by entry 4 of the promotion log" in printed and "repeats the judgement of entry 2" in printed


def test_a_missing_or_changed_verdict_is_named_and_the_entry_is_still_printed(
    root: Path, params: Params, text: Any
) -> None:
    register_scored(root, 300)
    register_scored(root, 250)
    promote(root, params)
    (stored,) = list((root / "mlruns").rglob("promotion/*-1.json"))
    stored.write_text('{"layout": 9}')
    printed = text("2")
    assert "Promotion: refused, beside champion version 1" in printed and "  accuracy is 62.5% against" in printed
    assert "Missing: gleaner-demo version 2: expected a verdict in promotion/" in printed
    stored.unlink()
    assert f"expected promotion/{stored.name} among the artifacts of its run" in text("2")
    client, log = registry.connect(root), promotion_log.log_name(MODEL)
    content = client.get_model_version(log, "2").tags[promotion_log.CONTENT]
    client.set_model_version_tag(log, "2", promotion_log.CONTENT, content.replace("62.5%", "92.5%"))
    assert "the entry is not as it was written: somebody changed it" in text("2")


def test_a_promotion_after_another_one_took_effect_is_lost(root: Path, params: Params) -> None:
    for right in (300, 340, 380):
        register_scored(root, right)
        if right > 300:
            promote(root, params)
    entries = promotion_log.read(registry.connect(root), MODEL).entries
    first, second, third = entries
    late = replace(third, expected="1")
    assert promotion_record.outcome(late, build_ledger([first, second, late])) == "lost"
    assert promotion_record.outcome(third, build_ledger(entries)) == "promoted"
