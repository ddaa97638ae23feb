"""Promotion and rollback in a real MLflow store: verdicts, the log, the alias, crashes, hands, tampering."""

import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import mlflow
import pytest
from promoting import (
    LABELS,
    MODEL,
    answering,
    bundle,
    champion,
    change,
    check_race,
    label,
    make,
    promote,
    race,
    rollback,
    scored,
    texts,
    version,
    write,
)

from flows import history, promotion_summary
from pipeline import classifier
from pipeline.errors import UserError
from pipeline.params import Params, read_yaml
from pipeline.promotion import from_json
from tasks import objects, registry
from tasks.lock import md5_of
from tasks.promote import LATEST, PAGE
from tasks.registry import bundles, log

TESTS = Path(__file__).parent


@pytest.fixture
def root(tmp_path: Path, store: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A project with 400 test rows and an empty registry."""
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    monkeypatch.setenv("MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR", "false")
    return make(tmp_path / "project", store=store)


@pytest.fixture
def params(root: Path) -> Params:
    """Its params."""
    return change(root)


def ledger(root: Path) -> log.Ledger:
    return log.read(registry.connect(root), MODEL)


def actions(root: Path) -> list[tuple[str, str]]:
    return [(one.action, one.version) for one in ledger(root).entries]


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
    assert found.verdict is not None and from_json(bundles.stored_verdict(client, run, LATEST)) == found.verdict
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
    promotion_summary.show(second)
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
    pulled = objects.find(root, "data/ingest/test.parquet", str(md5))
    assert objects.digest(pulled) == md5 and pulled.is_relative_to(cache)
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
    promotion_summary.show(found)
    assert "training rows could not be had, none is left out" in " ".join(capsys.readouterr().out.split())


def test_a_rollback_goes_back_and_says_so_in_the_log(root: Path, params: Params) -> None:
    for right in (300, 340, 390):
        scored(root, right)
        if right > 300:
            promote(root, params)
    assert champion(root) == "3"
    once = rollback(root, params, why="too slow")
    assert (once.done, once.version, once.previous, champion(root)) == (True, "2", "3", "2")
    assert ledger(root).entries[-1].reason == "too slow"
    assert rollback(root, params).version == "1" and champion(root) == "1"
    with pytest.raises(UserError, match="expected a champion before version 1, found none to go back to"):
        rollback(root, params)
    assert rollback(root, params, "3").version == "3" and champion(root) == "3"


def test_what_was_rolled_back_is_promoted_again_only_by_name(root: Path, params: Params) -> None:
    scored(root, 300)
    scored(root, 340)
    promote(root, params)
    rollback(root, params, why="angry customers")
    by_itself = promote(root, params)
    assert by_itself.outcome == "refused" and "was rolled back on" in by_itself.said
    assert "(angry customers)" in by_itself.said and champion(root) == "1"
    named = promote(root, params, "2")
    assert named.outcome == "promoted" and named.again and champion(root) == "2"
    assert len([one for one in ledger(root).entries if one.spends]) == 1


@pytest.mark.parametrize(
    ("number", "found"),
    [("7", "expected one of 1, found 7"), ("1", "found version 1, which is the champion already"), ("x", "found x")],
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


def test_only_champions_can_be_gone_back_to(root: Path, params: Params) -> None:
    scored(root, 300)
    scored(root, 310)
    with pytest.raises(UserError, match=r"expected a version that was champion \(1\), found 2"):
        rollback(root, params, "2")
    with pytest.raises(UserError, match="expected another version than 1, which is the champion"):
        rollback(root, params, "1")


def stored_bundle(root: Path, number: str) -> Path:
    """Where MLflow keeps the bundle of a version."""
    client = registry.connect(root)
    run = client.get_run(str(client.get_model_version(MODEL, number).run_id))
    return Path(str(run.info.artifact_uri).removeprefix("file://")) / "model" / "artifacts" / "bundle"


@pytest.mark.parametrize("number", ["1", "2"])
def test_one_byte_that_was_changed_stops_the_promotion(root: Path, params: Params, number: str) -> None:
    scored(root, 300)
    scored(root, 340)
    model = stored_bundle(root, number) / "model.onnx"
    content = bytearray(model.read_bytes())
    content[len(content) // 2] ^= 1
    model.write_bytes(content)
    expected = f"version {number}: model.onnx: expected the digest in MANIFEST.json, found another; somebody changed"
    with pytest.raises(UserError, match=expected) as error:
        promote(root, params)
    assert "\n" not in str(error.value) and champion(root) == "1" and actions(root) == [("initial", "1")]


def test_a_bundle_that_was_replaced_with_its_manifest_is_noticed_too(root: Path, params: Params) -> None:
    scored(root, 300)
    scored(root, 340)
    promote(root, params)
    kept = stored_bundle(root, "1")
    shutil.rmtree(kept)
    bundle(kept, {word: label(word) for word in texts("t", 400)}, LABELS)
    classifier.verify(kept)
    with pytest.raises(UserError, match="version 1: expected the MANIFEST.json that it was registered with"):
        rollback(root, params)
    assert champion(root) == "2"


def test_a_bundle_that_is_gone_is_one_line(root: Path, params: Params) -> None:
    scored(root, 300)
    scored(root, 340)
    shutil.rmtree(stored_bundle(root, "2"))
    with pytest.raises(UserError, match="gleaner-demo version 2: expected its bundle among its artifacts, found: "):
        promote(root, params)


KILLED = """
import os, signal, sys
sys.path[:0] = [{tests!r}]
from pathlib import Path
import promoting
from tasks.registry import log
log.show = lambda *_: os.kill(os.getpid(), signal.SIGKILL)
root = Path({root!r})
promoting.promote(root, promoting.change(root))
"""


def test_a_promoter_that_is_killed_before_the_alias_is_set_is_put_right_by_the_next_command(
    root: Path, params: Params, capsys: pytest.CaptureFixture[str]
) -> None:
    scored(root, 300)
    scored(root, 340)
    killed = subprocess.run(
        [sys.executable, "-c", KILLED.format(tests=str(TESTS), root=str(root))],
        cwd=TESTS.parent,
        env=os.environ | {"PYTHONPATH": str(TESTS.parent)},
        capture_output=True,
        check=False,
    )
    assert killed.returncode == -signal.SIGKILL, killed.stderr
    assert champion(root) == "1" and ledger(root).champion == "2"
    assert history.main(root, None) == 0
    said = capsys.readouterr().out
    assert "the alias champion stood at 1, the promotion log says 2: a promotion had been cut off in between" in said
    assert champion(root) == "2" and "cut off" not in (history.main(root, None), capsys.readouterr().out)[1]


def test_an_alias_that_was_moved_by_hand_is_told_and_settled_by_the_user(
    root: Path, params: Params, capsys: pytest.CaptureFixture[str]
) -> None:
    scored(root, 300)
    scored(root, 310)
    client = registry.connect(root)
    client.set_registered_model_alias(MODEL, "champion", "2")
    history.main(root, None)
    assert "The alias champion stands at 2: somebody moved it by hand" in capsys.readouterr().out
    for act in (promote, rollback):
        with pytest.raises(
            UserError, match="found it at version 2: somebody moved it by hand; `gleaner rollback --to 2`"
        ):
            act(root, params)
    back = rollback(root, params, "1")
    assert back.said.startswith("Put back") and champion(root) == "1"
    client.set_registered_model_alias(MODEL, "champion", "2")
    kept = rollback(root, params, "2")
    assert kept.said.startswith("Kept") and champion(root) == ledger(root).champion == "2"
    client.delete_registered_model_alias(MODEL, "champion")
    with pytest.raises(UserError, match="found it at no version"):
        promote(root, params)
    assert rollback(root, params, "2").done and champion(root) == "2"
    assert actions(root) == [("initial", "1"), ("rollback", "1"), ("adopted", "2"), ("rollback", "2")]


def test_a_registry_from_before_the_log_is_taken_into_it(root: Path, params: Params) -> None:
    scored(root, 300)
    scored(root, 340)
    registry.connect(root).delete_registered_model(log.name_of(MODEL))
    found = promote(root, params)
    assert found.outcome == "promoted" and found.notes == (
        "version 1 was champion before there was a promotion log: entered",
    )
    assert actions(root) == [("adopted", "1"), ("promote", "2")]


def test_entries_that_somebody_changed_or_deleted_are_told(
    root: Path, params: Params, capsys: pytest.CaptureFixture[str]
) -> None:
    for right in (300, 302, 303):
        scored(root, right)
        if right > 300:
            promote(root, params)
    client, entries = registry.connect(root), log.name_of(MODEL)
    content = client.get_model_version(entries, "2").tags[log.CONTENT]
    client.set_model_version_tag(entries, "2", log.CONTENT, content.replace("insufficient", "promote"))
    client.delete_model_version(entries, "3")
    scored(root, 304)
    promote(root, params)
    assert history.main(root, None) == 0
    said = " ".join(capsys.readouterr().out.split())
    assert "entry 2 of the promotion log is not as it was written: somebody changed it" in said
    assert [one.number for one in ledger(root).entries] == [1, 2, 4]


def test_history_tells_who_was_champion_on_a_day_and_at_a_time(
    root: Path, params: Params, capsys: pytest.CaptureFixture[str]
) -> None:
    scored(root, 300)
    scored(root, 340)
    promote(root, params)
    first, second = (one.at for one in ledger(root).entries)
    for at, versions in (
        (f"{first:%Y-%m-%d}", ["1", "2"] if first.date() == second.date() else ["1"]),
        (first.isoformat(), ["1"]),
        (second.isoformat(), ["2"]),
    ):
        assert history.main(root, at) == 0
        said = capsys.readouterr().out.splitlines()
        assert [line.split(",")[0] for line in said] == [f"version {one}" for one in versions]
        assert all(" UTC (entry " in line for line in said)
    history.main(root, "2020-01-01")
    assert capsys.readouterr().out == "2020-01-01 00:00:00 UTC: no champion yet\n"
    with pytest.raises(UserError, match="--at: expected a day like 2026-01-31"):
        history.main(root, "yesterday")


def test_without_a_log_there_is_no_history(root: Path, params: Params) -> None:
    with pytest.raises(UserError, match="expected a promotion log, found none"):
        history.main(root, None)


def test_a_store_that_is_busy_is_tried_again_and_an_entry_that_went_in_counts_once(
    root: Path, params: Params, monkeypatch: pytest.MonkeyPatch
) -> None:
    scored(root, 300)
    client = registry.connect(root)
    create, calls = client.create_model_version, []

    def flaky(*args: object, **kwargs: object) -> object:
        calls.append(args)
        if len(calls) == 1:
            raise mlflow.MlflowException("(sqlite3.OperationalError) database is locked")
        made = create(*args, **kwargs)  # type: ignore[arg-type]
        if len(calls) == 2:
            raise mlflow.MlflowException("the answer got lost: database is locked")
        return made

    monkeypatch.setattr(client, "create_model_version", flaky)
    entered, found = log.append(client, MODEL, log.entry("refuse", "1", "1", "why", "flow"))
    assert len(calls) == 2 and entered.number == 2 and len(found.entries) == 2


def test_a_lock_without_test_rows_is_one_line(root: Path, params: Params) -> None:
    scored(root, 300)
    (root / "data" / "ingest" / "test.parquet").unlink()
    scored(root, 340)
    with pytest.raises(UserError, match=r"version 2: expected data/ingest/test.parquet in the dvc.lock"):
        promote(root, params)


@pytest.mark.slow
def test_twenty_promotions_raced_by_two_processes_have_one_winner_each(root: Path) -> None:
    write(root, "test", texts("t", 1000))
    for right in range(100, 940, 40):
        scored(root, right, rows=1000)
    check_race(root, 2, 21, race(root, 2, 21))
