"""Challenger against champion in a real MLflow store: verdicts, the rows that they are on, what cannot be judged."""

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
from tasks.promote import LATEST, PAGE
from tasks.registry import runs
from tests.support.promoting import (
    MODEL,
    actions,
    answering,
    champion,
    change,
    label,
    promote,
    rollback,
    scored,
    start,
    texts,
    version,
    write,
)


@pytest.fixture
def root(tmp_path: Path, store: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    return start(tmp_path, store, monkeypatch)


@pytest.fixture
def params(root: Path) -> Params:
    return change(root)


def test_the_first_version_is_champion_and_a_better_one_follows_it(root: Path, params: Params) -> None:
    scored(root, 300)
    assert champion(root) == "1" and actions(root) == [("initial", "1")]
    scored(root, 340)
    found = promote(root, params)
    assert (found.outcome, found.exit_code, found.champion, champion(root)) == ("promoted", 0, "2", "2")
    assert found.verdict is not None and found.verdict.lead.difference == pytest.approx(0.1)
    assert found.said == "Promoted: gleaner-demo version 2 is champion, after version 1"
    assert actions(root) == [("initial", "1"), ("promote", "2")]
    tags = registry.connect(root).get_model_version(MODEL, "2").tags
    assert (tags["gleaner.promotion"], tags["gleaner.promotion_entry"]) == ("promoted", "2")


def test_the_verdict_is_stored_with_the_version_and_holds_no_text(root: Path, params: Params) -> None:
    scored(root, 300)
    scored(root, 340)
    found = promote(root, params)
    client = registry.connect(root)
    run = str(client.get_model_version(MODEL, "2").run_id)
    assert found.verdict is not None and from_json(runs.stored_verdict(client, run, LATEST)) == found.verdict
    page = Path(client.download_artifacts(run, PAGE, str(root))).read_text()
    assert found.page is not None and found.page.read_text() == page and "Version 2 against champion 1" in page
    assert "t17" not in page
    kept = [path.read_bytes() for path in (root / "mlruns").rglob("promotion/*.json")]
    assert len(kept) == 2 and not any(b'"t17"' in one for one in kept)
    assert b"t17" not in (root / "mlflow.db").read_bytes()


def test_a_worse_one_and_one_that_cannot_be_told_apart_stay_challengers(root: Path, params: Params) -> None:
    scored(root, 300)
    scored(root, 250)
    worse = promote(root, params)
    scored(root, 302)
    unsure = promote(root, params)
    assert (worse.outcome, worse.exit_code, unsure.outcome, unsure.exit_code) == ("refused", 1, "insufficient", 1)
    assert worse.said.startswith("Refused: version 1 stays champion; margin: accuracy 0.6250 against 0.7500")
    assert champion(root) == "1" and actions(root)[1:] == [("refuse", "2"), ("insufficient", "3")]
    assert unsure.verdict is not None and unsure.verdict.wear.judgement == 2


def test_the_same_pair_is_judged_once(root: Path, params: Params, capsys: pytest.CaptureFixture[str]) -> None:
    scored(root, 300)
    scored(root, 302)
    first, second = promote(root, params), promote(root, params)
    assert (second.again, second.verdict, len(actions(root))) == (True, first.verdict, 2)
    promotion.show(second)
    assert "stored: the same pair was judged before" in capsys.readouterr().out
    third = promote(root, change(root, margin=0.01))
    assert not third.again and third.verdict is not None and third.verdict.wear.judgement == 2


def test_one_more_test_row_does_not_make_a_new_test_set(root: Path, params: Params) -> None:
    scored(root, 300)
    scored(root, 302)
    promote(root, params)
    write(root, "test", texts("t", 401))
    scored(root, 303, rows=401)
    found = promote(root, params)
    assert found.verdict is not None and found.verdict.wear.judgement == 2
    write(root, "test", texts("u", 400))
    version(root, texts("u", 400), [])
    fresh = promote(root, params)
    assert fresh.verdict is not None and fresh.verdict.wear.judgement == 1


def test_rows_that_the_champion_was_trained_on_are_left_out(root: Path, params: Params) -> None:
    write(root, "train", texts("t", 100))
    scored(root, 300)
    write(root, "train", texts("n", 1))
    scored(root, 380)
    found = promote(root, params)
    assert found.verdict is not None
    rows = found.verdict.rows
    assert (rows.total, rows.compared, rows.left_out) == (400, 300, 100)
    assert found.verdict.lead.champion == pytest.approx(200 / 300)


def test_a_class_that_the_champion_does_not_know_counts_as_wrong(root: Path, params: Params) -> None:
    scored(root, 400)
    labels = [label(word) if place < 300 else "praise" for place, word in enumerate(texts("t", 400))]
    write(root, "test", texts("t", 400), label=labels)
    answering(root, dict(zip(texts("t", 400), labels, strict=True)), ["delivery", "praise", "refund"])
    found = promote(root, params)
    assert found.outcome == "promoted" and found.verdict is not None
    assert found.verdict.rows.unknown_to_champion == 100 and found.verdict.lead.champion == 0.75


def test_the_recorded_test_rows_are_used_wherever_they_still_are(root: Path, params: Params) -> None:
    scored(root, 300)
    scored(root, 340)
    write(root, "test", texts("u", 50))  # the working tree went on
    assert promote(root, params).outcome == "promoted"
    scored(root, 300, rows=50)
    cache = root / ".dvc" / "cache"
    md5 = md5_of(read_yaml(root / "dvc.lock"), "data/ingest/test.parquet")
    remote = root / "remote"
    shutil.move(cache / "files", remote / "files")
    config = (root / ".dvc" / "config").read_text()
    there = f"    remote = near\n['remote \"near\"']\n    url = {remote}\n"
    (root / ".dvc" / "config").write_text(config + there)
    write(root, "test", texts("w", 50))
    pulled = dvc_store.find(root, "data/ingest/test.parquet", str(md5))
    assert dvc_store.digest(pulled) == md5 and pulled.is_relative_to(cache)
    shutil.rmtree(cache)
    shutil.rmtree(remote)
    with pytest.raises(
        UserError, match=r"data/ingest/test.parquet: expected the content with MD5 .* nor in the remote"
    ):
        promote(root, params)


def test_training_rows_that_are_gone_are_told(root: Path, params: Params, capsys: pytest.CaptureFixture[str]) -> None:
    write(root, "train", texts("n", 2))
    scored(root, 300)
    write(root, "train", texts("n", 3))
    shutil.rmtree(root / ".dvc" / "cache")
    scored(root, 340)
    found = promote(root, params)
    assert found.outcome == "promoted" and found.verdict is not None and found.verdict.rows.left_out is None
    promotion.show(found)
    assert "training rows could not be had, none is left out" in " ".join(capsys.readouterr().out.split())


@pytest.mark.parametrize(
    ("number", "found"),
    [
        ("7", "expected one of 1, found 7"),
        ("1", "found version 1, which is the champion already; `gleaner run` registers another one when"),
        ("x", "found x"),
    ],
)
def test_a_version_that_cannot_challenge_is_one_line(root: Path, params: Params, number: str, found: str) -> None:
    scored(root, 300)
    with pytest.raises(UserError, match=found):
        promote(root, params, number)


def test_without_a_champion_there_is_nothing_to_compare_with(root: Path, params: Params) -> None:
    with pytest.raises(UserError, match="expected a champion to compare with, found none; `gleaner run`"):
        promote(root, params)
    with pytest.raises(UserError, match="expected a champion to roll back, found none"):
        rollback(root, params)


def test_a_lock_without_test_rows_is_one_line(root: Path, params: Params) -> None:
    scored(root, 300)
    (root / "data" / "ingest" / "test.parquet").unlink()
    scored(root, 340)
    with pytest.raises(UserError, match=r"version 2: expected data/ingest/test.parquet in the dvc.lock"):
        promote(root, params)
