"""Challenger against champion in a real MLflow store: verdicts, the rows that are compared, and errors."""

import shutil
from pathlib import Path

import pytest

from flows.outcomes import promotion
from pipeline.core.errors import UserError
from pipeline.core.params import Params, read_yaml
from pipeline.policies.promotion import from_json
from tasks import registry
from tasks.dvc import store as dvc_store
from tasks.dvc.lock_file import md5_of
from tasks.promote import LATEST_VERDICT_ARTIFACT, PAGE_ARTIFACT
from tasks.registry import runs
from tests.support.promoting import (
    MODEL,
    champion_version,
    logged_actions,
    promote,
    register_answers,
    register_scored,
    register_version,
    right_label,
    rollback,
    set_limits,
    start_project,
    words,
    write_split,
)


@pytest.fixture
def root(tmp_path: Path, store: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    return start_project(tmp_path, store, monkeypatch)


@pytest.fixture
def params(root: Path) -> Params:
    return set_limits(root)


def test_the_first_version_is_champion_and_a_better_one_follows_it(root: Path, params: Params) -> None:
    register_scored(root, 300)
    assert champion_version(root) == "1" and logged_actions(root) == [("initial", "1")]
    register_scored(root, 340)
    promoted = promote(root, params)
    assert (promoted.outcome, promoted.exit_code, promoted.champion, champion_version(root)) == (
        "promoted",
        0,
        "2",
        "2",
    )
    assert promoted.verdict is not None and promoted.verdict.lead.difference == pytest.approx(0.1)
    assert promoted.message == "Promoted: gleaner-demo version 2 is champion, after version 1"
    assert logged_actions(root) == [("initial", "1"), ("promote", "2")]
    tags = registry.connect(root).get_model_version(MODEL, "2").tags
    assert (tags["gleaner.promotion"], tags["gleaner.promotion_entry"]) == ("promoted", "2")


def test_the_verdict_is_stored_with_the_version_and_holds_no_text(root: Path, params: Params) -> None:
    register_scored(root, 300)
    register_scored(root, 340)
    promoted = promote(root, params)
    client = registry.connect(root)
    run = str(client.get_model_version(MODEL, "2").run_id)
    assert (
        promoted.verdict is not None
        and from_json(runs.load_verdict(client, run, LATEST_VERDICT_ARTIFACT)) == promoted.verdict
    )
    page = Path(client.download_artifacts(run, PAGE_ARTIFACT, str(root))).read_text()
    assert promoted.page is not None and promoted.page.read_text() == page and "Version 2 against champion 1" in page
    assert "t17" not in page
    stored = [path.read_bytes() for path in (root / "mlruns").rglob("promotion/*.json")]
    assert len(stored) == 2 and not any(b'"t17"' in content for content in stored)
    assert b"t17" not in (root / "mlflow.db").read_bytes()


def test_a_worse_version_and_an_indistinguishable_one_stay_challengers(root: Path, params: Params) -> None:
    register_scored(root, 300)
    register_scored(root, 250)
    worse = promote(root, params)
    register_scored(root, 302)
    unsure = promote(root, params)
    assert (worse.outcome, worse.exit_code, unsure.outcome, unsure.exit_code) == ("refused", 1, "insufficient", 1)
    assert worse.message.startswith(
        "Refused: version 1 stays champion; accuracy is 62.5% against 75%, a lead of -12.5 points"
    )
    assert champion_version(root) == "1" and logged_actions(root)[1:] == [("refuse", "2"), ("insufficient", "3")]
    assert unsure.verdict is not None and unsure.verdict.test_set_reuse.judgement == 2


def test_the_same_pair_is_decided_once(root: Path, params: Params, capsys: pytest.CaptureFixture[str]) -> None:
    register_scored(root, 300)
    register_scored(root, 302)
    first, second = promote(root, params), promote(root, params)
    assert (second.reused, second.verdict, len(logged_actions(root))) == (True, first.verdict, 2)
    promotion.print_promotion(second)
    assert "stored: the same pair was judged before" in capsys.readouterr().out
    third = promote(root, set_limits(root, margin=0.01))
    assert not third.reused and third.verdict is not None and third.verdict.test_set_reuse.judgement == 2


def test_one_more_test_row_does_not_make_a_new_test_set(root: Path, params: Params) -> None:
    register_scored(root, 300)
    register_scored(root, 302)
    promote(root, params)
    write_split(root, "test", words("t", 401))
    register_scored(root, 303, rows=401)
    promoted = promote(root, params)
    assert promoted.verdict is not None and promoted.verdict.test_set_reuse.judgement == 2
    write_split(root, "test", words("u", 400))
    register_version(root, words("u", 400), [])
    fresh = promote(root, params)
    assert fresh.verdict is not None and fresh.verdict.test_set_reuse.judgement == 1


def test_rows_that_the_champion_was_trained_on_are_left_out(root: Path, params: Params) -> None:
    write_split(root, "train", words("t", 100))
    register_scored(root, 300)
    write_split(root, "train", words("n", 1))
    register_scored(root, 380)
    promoted = promote(root, params)
    assert promoted.verdict is not None
    rows = promoted.verdict.rows
    assert (rows.total, rows.compared, rows.left_out) == (400, 300, 100)
    assert promoted.verdict.lead.champion == pytest.approx(200 / 300)


def test_a_class_that_the_champion_does_not_know_counts_as_wrong(root: Path, params: Params) -> None:
    register_scored(root, 400)
    labels = [right_label(word) if index < 300 else "praise" for index, word in enumerate(words("t", 400))]
    write_split(root, "test", words("t", 400), label=labels)
    register_answers(root, dict(zip(words("t", 400), labels, strict=True)), ["delivery", "praise", "refund"])
    promoted = promote(root, params)
    assert promoted.outcome == "promoted" and promoted.verdict is not None
    assert promoted.verdict.rows.unknown_to_champion == 100 and promoted.verdict.lead.champion == 0.75


def test_the_recorded_test_rows_are_used_wherever_they_still_are(root: Path, params: Params) -> None:
    register_scored(root, 300)
    register_scored(root, 340)
    write_split(root, "test", words("u", 50))  # the working tree changes
    assert promote(root, params).outcome == "promoted"
    register_scored(root, 300, rows=50)
    cache = root / ".dvc" / "cache"
    md5 = md5_of(read_yaml(root / "dvc.lock"), "data/ingest/test.parquet")
    remote = root / "remote"
    shutil.move(cache / "files", remote / "files")
    config = (root / ".dvc" / "config").read_text()
    remote_config = f"    remote = near\n['remote \"near\"']\n    url = {remote}\n"
    (root / ".dvc" / "config").write_text(config + remote_config)
    write_split(root, "test", words("w", 50))
    pulled = dvc_store.find_content(root, "data/ingest/test.parquet", str(md5))
    assert dvc_store.file_md5(pulled) == md5 and pulled.is_relative_to(cache)
    shutil.rmtree(cache)
    shutil.rmtree(remote)
    with pytest.raises(
        UserError, match=r"data/ingest/test.parquet: expected the content with MD5 .* nor in the remote"
    ):
        promote(root, params)


def test_missing_training_rows_are_reported(root: Path, params: Params, capsys: pytest.CaptureFixture[str]) -> None:
    write_split(root, "train", words("n", 2))
    register_scored(root, 300)
    write_split(root, "train", words("n", 3))
    shutil.rmtree(root / ".dvc" / "cache")
    register_scored(root, 340)
    promoted = promote(root, params)
    assert promoted.outcome == "promoted" and promoted.verdict is not None and promoted.verdict.rows.left_out is None
    promotion.print_promotion(promoted)
    assert "training rows could not be had, none is left out" in " ".join(capsys.readouterr().out.split())


@pytest.mark.parametrize(
    ("number", "message"),
    [
        ("7", "expected one of 1, found 7"),
        ("1", "found version 1, which is the champion already; `gleaner run` registers another one when"),
        ("x", "found x"),
    ],
)
def test_a_version_that_cannot_challenge_is_a_one_line_error(
    root: Path, params: Params, number: str, message: str
) -> None:
    register_scored(root, 300)
    with pytest.raises(UserError, match=message):
        promote(root, params, number)


def test_without_a_champion_there_is_nothing_to_compare_with(root: Path, params: Params) -> None:
    with pytest.raises(UserError, match="expected a champion to compare with, found none; `gleaner run`"):
        promote(root, params)
    with pytest.raises(UserError, match="expected a champion to roll back, found none"):
        rollback(root, params)


def test_a_lock_without_test_rows_is_a_one_line_error(root: Path, params: Params) -> None:
    register_scored(root, 300)
    (root / "data" / "ingest" / "test.parquet").unlink()
    register_scored(root, 340)
    with pytest.raises(UserError, match=r"version 2: expected data/ingest/test.parquet in the dvc.lock"):
        promote(root, params)
