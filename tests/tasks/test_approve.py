"""`promotion.approval: required` in a real MLflow store: a better version waits for a person's yes or no."""

from datetime import timedelta
from pathlib import Path

import pytest

from cli import explain_version, history
from flows.outcomes.promotion import waiting_lines
from pipeline.core.errors import UserError
from pipeline.core.params import Params
from pipeline.policies import promotion
from tasks import registry
from tasks.approve import Answer, settle_request
from tasks.promote import PAGE_ARTIFACT
from tasks.registry import lookup, promotion_log, retirement
from tasks.registry.store import user_name
from tests.support.promoting import (
    MODEL,
    approve,
    champion_version,
    logged_actions,
    promote,
    read_ledger,
    register_scored,
    rollback,
    set_limits,
    start_project,
    without_prefect,
)


@pytest.fixture
def root(tmp_path: Path, store: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    return start_project(tmp_path, store, monkeypatch)


@pytest.fixture
def params(root: Path) -> Params:
    """Params that require approval, after a first champion that needed none."""
    set_limits(root)
    register_scored(root, 300)
    return set_limits(root, approval="required")


def test_a_better_version_waits_and_is_champion_once_a_person_approves(
    root: Path, params: Params, capsys: pytest.CaptureFixture[str]
) -> None:
    register_scored(root, 340)
    waiting = promote(root, params)
    assert (waiting.outcome, waiting.exit_code, waiting.champion, champion_version(root)) == ("waiting", 1, "1", "1")
    assert logged_actions(root)[1:] == [("awaiting approval", "2")] and waiting.entry == 2
    client = registry.connect(root)
    run = str(client.get_model_version(MODEL, "2").run_id)
    entry = read_ledger(root).entries[-1]
    assert (entry.page, entry.run) == (PAGE_ARTIFACT, run) and entry.verdict is not None
    assert "It may take the champion" in Path(client.download_artifacts(run, PAGE_ARTIFACT, str(root))).read_text()
    (line,) = waiting_lines(root, params)
    assert line in waiting.message and "`gleaner approve 2 --by NAME --reason TEXT`" in line
    assert f"until {entry.at + timedelta(days=14):%Y-%m-%d %H:%M} UTC; read {PAGE_ARTIFACT} of MLflow run {run}" in line
    history.main(root, None)
    assert line in capsys.readouterr().out

    done = approve(root, params, "2")
    assert (done.done, done.exit_code, done.champion, champion_version(root)) == (True, 0, "2", "2")
    assert done.message == f"Approved: {MODEL} version 2 is champion, after version 1"
    approved = read_ledger(root).entries[-1]
    assert (approved.action, approved.request, approved.reason) == ("approve", 2, "read the page")
    assert approved.by == f"Ada (account {user_name()})"
    assert waiting_lines(root, params) == [] and client.get_model_version(MODEL, "2").tags["gleaner.promotion"] == (
        "promoted"
    )
    assert len([entry for entry in read_ledger(root).entries if entry.is_judgement]) == 1
    assert rollback(root, params).version == "1"


def test_the_same_verdict_waits_once_and_uses_up_the_test_rows_once(root: Path, params: Params) -> None:
    register_scored(root, 340)
    first, second = promote(root, params), promote(root, params)
    assert (second.outcome, second.reused, second.entry) == ("waiting", True, first.entry)
    assert len(read_ledger(root).entries) == 2
    register_scored(root, 250)
    refused = promote(root, params)
    assert refused.verdict is not None and refused.verdict.test_set_reuse.judgement == 2
    assert approve(root, params, "2").done  # a verdict on another version leaves it


def test_a_rejected_version_stays_challenger_and_waits_again_only_by_number(root: Path, params: Params) -> None:
    register_scored(root, 340)
    promote(root, params)
    done = approve(root, params, "2", reject=True)
    assert (done.exit_code, done.message) == (0, f"Rejected: {MODEL} version 2; version 1 stays champion")
    with pytest.raises(UserError, match=r"and Ada \(account .*\) rejected it \(entry 3, .*\): read the page; `gleaner"):
        approve(root, params, "2")
    unasked = promote(root, params)
    assert unasked.outcome == "refused" and "rejected version 2 on " in unasked.message
    assert promote(root, params, "2").outcome == "waiting" and approve(root, params, "2").done
    assert len([entry for entry in read_ledger(root).entries if entry.is_judgement]) == 1


def test_a_champion_that_changed_or_another_verdict_closes_the_request(root: Path, params: Params) -> None:
    register_scored(root, 340)
    promote(root, params)
    assert promote(root, set_limits(root, margin=0.3), "2").outcome == "refused"
    with pytest.raises(UserError, match=r"then another verdict on it was entered \(entry 3, .*: refuse\); `gleaner pr"):
        approve(root, params, "2")
    assert promote(root, set_limits(root, margin=0.0), "2").outcome == "waiting"
    register_scored(root, 390)
    assert promote(root, params).outcome == "waiting"
    assert [line.split(" waits")[0] for line in waiting_lines(root, params)] == ["version 2", "version 3"]
    approve(root, params, "3")
    rows = history.entry_rows(read_ledger(root), [])
    assert [row["entry"] for row in rows if row["what"] == "awaiting approval, lapsed"] == ["2", "4"]
    assert [row["what"] for row in rows][4:] == ["awaiting approval", "approve"]  # of version 3
    with pytest.raises(UserError, match=r"to follow version 1, but then the champion changed to version 3 \(entry 6, "):
        approve(root, params, "2")
    assert champion_version(root) == "3"


@pytest.mark.parametrize(
    ("number", "by", "reason", "message"),
    [
        ("1", "Ada", "why", "expected a version that waits for approval, found version 1, which does not"),
        ("9", "Ada", "why", "expected one of 1, 2, found 9"),
        ("2", " ", "why", "--by: expected who approves or rejects and why, found an empty text"),
        ("2", "Ada", "\n", "--reason: expected who approves"),
        ("2", "Ada", "x" * 1001, "--reason: expected at most 1000 characters, found 1001"),
    ],
)
def test_a_wrong_answer_is_a_one_line_error(
    root: Path, params: Params, number: str, by: str, reason: str, message: str
) -> None:
    register_scored(root, 340)
    promote(root, params)
    with pytest.raises(UserError, match=message) as error:
        without_prefect(settle_request)(root, params, Answer(number, by, reason, False), "flow")
    assert "\n" not in str(error.value) and len(read_ledger(root).entries) == 2


def test_a_changed_bundle_is_not_approved(root: Path, params: Params) -> None:
    register_scored(root, 340)
    promote(root, params)
    run = registry.connect(root).get_run(str(registry.connect(root).get_model_version(MODEL, "2").run_id))
    bundle = Path(str(run.info.artifact_uri).removeprefix("file://")) / "model" / "artifacts" / "bundle"
    (bundle / "model.onnx").write_bytes(b"other")
    with pytest.raises(UserError, match=r"version 2: model.onnx: expected .*; nothing was loaded"):
        approve(root, params, "2")
    assert champion_version(root) == "1" and approve(root, params, "2", reject=True).done


def test_of_two_answers_at_once_the_first_counts(root: Path, params: Params, monkeypatch: pytest.MonkeyPatch) -> None:
    register_scored(root, 340)
    promote(root, params)
    append = promotion_log.append

    def append_after_another(client: object, model: str, draft: object) -> object:
        monkeypatch.setattr(promotion_log, "append", append)
        approve(root, params, "2", reject=True)
        return append(client, model, draft)  # type: ignore[arg-type]

    monkeypatch.setattr(promotion_log, "append", append_after_another)
    lost = approve(root, params, "2")
    assert (lost.done, lost.exit_code, champion_version(root)) == (False, 1, "1")
    assert lost.message.startswith("Lost: entry 4 came too late: version 2 waited for approval since")


def test_an_approval_that_was_killed_before_the_alias_was_set_is_repaired(
    root: Path, params: Params, capsys: pytest.CaptureFixture[str]
) -> None:
    register_scored(root, 340)
    promote(root, params)
    without_prefect(settle_request)(root, params, Answer("2", "Ada", "fine", False), "flow")
    assert champion_version(root) == "1"
    history.main(root, None)
    assert "a promotion had been cut off in between; the alias is set" in capsys.readouterr().out
    assert champion_version(root) == "2"


def test_a_version_that_waits_and_is_deleted_waits_no_more(root: Path, params: Params) -> None:
    register_scored(root, 340)
    promote(root, params)
    registry.connect(root).delete_model_version(MODEL, "2")
    assert waiting_lines(root, params) == []
    with pytest.raises(UserError, match="expected one of 1, found 2"):
        approve(root, params, "2")


def test_a_retired_version_waits_no_more_and_only_a_no_settles_it(
    root: Path, params: Params, capsys: pytest.CaptureFixture[str]
) -> None:
    register_scored(root, 340)
    promote(root, params)
    retirement.retire_version(lookup.get_version(registry.connect(root), MODEL, "2"), "it learned from a forgotten row")
    assert waiting_lines(root, params) == []
    explain_version.main(root, "2", False)
    assert "approval: waited for it, and was retired: it learned from a forgotten row" in capsys.readouterr().out
    with pytest.raises(UserError, match="version 2: expected a version that may serve, found one that was retired: it"):
        approve(root, params, "2")
    assert champion_version(root) == "1" and len(read_ledger(root).entries) == 2
    assert approve(root, params, "2", reject=True).done


def test_approval_is_no_limit_so_that_switching_it_on_makes_no_verdict_unknown(root: Path, params: Params) -> None:
    limits = [
        promotion.limits_in_force(settings.promotion, settings.gate, settings.fairness)
        for settings in (params, set_limits(root, approval="none", approval_days=1))
    ]
    assert limits[0] == limits[1] and "approval" not in str(limits[0])
    register_scored(root, 340)
    assert promote(root, set_limits(root, approval="required")).outcome == "waiting"
    promoted = promote(root, set_limits(root, approval="none"))
    assert promoted.outcome == "promoted" and promoted.reused and champion_version(root) == "2"
