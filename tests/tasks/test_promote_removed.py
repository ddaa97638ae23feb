"""A champion that was deleted in MLflow, alone or with the whole model: told apart, entered, and a way on."""

import json
import shutil
from pathlib import Path

import pytest

from cli import explain_version, history
from pipeline.core.errors import UserError
from pipeline.core.params import Params
from tasks import registry
from tasks.git.lineage import json_digest
from tasks.promote_first import promote_first
from tasks.registry import champion_alias, lookup, nights, promotion_log
from tasks.registry.champion_check import check_champion
from tests.support.promoting import (
    MODEL,
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
    return set_limits(root)


def print_history(root: Path, capsys: pytest.CaptureFixture[str]) -> str:
    """What `gleaner history` prints, in one line."""
    capsys.readouterr()
    assert history.main(root, None) == 0
    return " ".join(capsys.readouterr().out.split())


def promote_three(root: Path, params: Params) -> None:
    """Make versions 1, 2 and 3 champion, one after the other."""
    for right in (300, 340, 390):
        register_scored(root, right)
        if right > 300:
            promote(root, params)
    assert champion_version(root) == "3"


def forget_identities(root: Path) -> None:
    """Rewrite the entries of the log as a Gleaner wrote them that recorded neither run nor digest."""
    client, log = registry.connect(root), promotion_log.log_name(MODEL)
    for version in client.search_model_versions(f"name = '{log}'"):
        content = json.loads(version.tags[promotion_log.CONTENT])
        for key in ("run", "manifest", "expected_run", "request", "approval_days", "page"):
            del content[key]
        client.set_model_version_tag(log, version.version, promotion_log.CONTENT, json.dumps(content))
        client.set_model_version_tag(log, version.version, promotion_log.DIGEST, json_digest(content))
    assert read_ledger(root).faults == ()


def test_an_entry_records_the_run_and_the_digest_of_the_bundle(root: Path, params: Params) -> None:
    register_scored(root, 300)
    register_scored(root, 340)
    promote(root, params)
    client = registry.connect(root)
    for entry in read_ledger(root).entries:
        version = client.get_model_version(MODEL, entry.version)
        assert (entry.run, entry.manifest) == (version.run_id, version.tags["gleaner.manifest"])
    assert read_ledger(root).entries[1].expected_run == client.get_model_version(MODEL, "1").run_id


@pytest.mark.parametrize("old_log", [False, True], ids=["", "without runs and digests"])
def test_a_deleted_champion_is_entered_and_a_rollback_goes_to_the_last_one_that_exists(
    root: Path, params: Params, capsys: pytest.CaptureFixture[str], old_log: bool
) -> None:
    promote_three(root, params)
    if old_log:
        forget_identities(root)
    client = registry.connect(root)
    for number in ("2", "3"):
        client.delete_model_version(MODEL, number)
    printed = print_history(root, capsys)
    assert "the champion is gone, version 3 was deleted from the registry: entered as entry 4" in printed
    assert "Champion: none" in printed and "`gleaner rollback` makes version 1 champion again" in printed
    assert "3 (gone)" in printed and "1 (gone)" not in printed
    for command in (promote, lambda root, params: nights.current_champion(root, params)):
        with pytest.raises(UserError, match=r"none: version 3 was deleted .* \(entry 4\); `gleaner rollback` makes"):
            command(root, params)
    for number in ("2", "3"):
        with pytest.raises(UserError, match=rf"was champion \(1\), found {number}, which was deleted from the regis"):
            rollback(root, params, number)
    back = rollback(root, params)
    assert back.done and back.message == f"Rolled back: {MODEL} version 1 is champion, after a time without a champion"
    assert "skipped 2, which was deleted from the registry or retired" in back.notes
    assert champion_version(root) == read_ledger(root).champion == "1"
    assert logged_actions(root)[3:] == [("removed", "3"), ("rollback", "1")]
    register_scored(root, 395)
    assert promote(root, params).outcome == "promoted" and champion_version(root) == "4"


def test_the_removed_champion_is_entered_once_and_shown_in_its_time(
    root: Path, params: Params, capsys: pytest.CaptureFixture[str]
) -> None:
    promote_three(root, params)
    registry.connect(root).delete_model_version(MODEL, "3")
    print_history(root, capsys)
    print_history(root, capsys)
    assert logged_actions(root)[3:] == [("removed", "3")]
    assert "the last champion was removed, and no version is champion now" in check_champion(root)
    *_, promoted, removed = read_ledger(root).entries
    history.main(root, promoted.at.isoformat())
    assert "version 3, champion since " in (out := capsys.readouterr().out) and "found removed at" in out
    history.main(root, removed.at.isoformat())
    assert capsys.readouterr().out.endswith("UTC: no champion then\n")


def test_without_any_earlier_champion_the_next_version_is_the_first_again(
    root: Path, params: Params, capsys: pytest.CaptureFixture[str]
) -> None:
    register_scored(root, 300)
    register_scored(root, 340)
    registry.connect(root).delete_model_version(MODEL, "1")
    assert "`gleaner promote --version N` makes a version the first champion" in print_history(root, capsys)
    with pytest.raises(UserError, match="expected an earlier champion in the registry, found none; `gleaner run` or"):
        rollback(root, params)
    promoted = without_prefect(promote_first)(root, params, None, "flow")
    assert promoted.outcome == "promoted" and champion_version(root) == promoted.champion == "2"
    assert "no earlier champion is left that may serve" in promoted.message
    assert logged_actions(root) == [("initial", "1"), ("removed", "1"), ("initial", "2")]
    assert without_prefect(promote_first)(root, params, None, "flow") is None


@pytest.mark.parametrize("old_log", [False, True], ids=["", "without runs and digests"])
def test_versions_of_a_model_that_was_deleted_and_registered_anew_inherit_nothing(
    root: Path, params: Params, capsys: pytest.CaptureFixture[str], old_log: bool
) -> None:
    promote_three(root, params)
    if old_log:
        forget_identities(root)
    client = registry.connect(root)
    client.delete_registered_model(MODEL)
    assert "the champion is gone, version 3 was deleted" in print_history(root, capsys)
    assert nights.current_champion(root, params) is None
    for right in (300, 340, 300):
        register_scored(root, right)
    ledger = read_ledger(root)
    assert [(entry.action, entry.version) for entry in ledger.entries[3:]] == [("removed", "3"), ("initial", "1")]
    assert champion_version(root) == ledger.champion == "1"  # and not 3, which was champion before
    printed = print_history(root, capsys)
    assert "3 (gone)" in printed and "Champion: version 1" in printed
    with pytest.raises(UserError, match=r"was champion \(1\), found 2, which is another version than the champion of"):
        rollback(root, params, "2")
    with pytest.raises(UserError, match=r"all were deleted or retired \(version 2, 1\); the champion stays"):
        rollback(root, params)
    assert explain_version.main(root, "2", True) == 0
    assert json.loads(capsys.readouterr().out)["promotion"]["outcome"] == "never judged"
    promoted = promote(root, params, "2")
    assert promoted.outcome == "promoted" and promoted.verdict is not None and champion_version(root) == "2"


def test_the_stored_verdict_on_the_same_bundle_is_entered_for_the_version_that_has_it_now(
    root: Path, params: Params
) -> None:
    for _ in range(2):
        for right in (300, 250):
            register_scored(root, right)
        refused = promote(root, params)
        assert refused.outcome == promote(root, params).outcome == "refused"
        version = lookup.get_version(registry.connect(root), MODEL, "2")
        (entry,) = read_ledger(root).entries_about(version.identity)
        assert (entry.action, entry.number) == ("refuse", refused.entry)
        registry.connect(root).delete_registered_model(MODEL)
    assert entry.verdict is not None and entry.verdict.again == 2
    assert len([entry for entry in read_ledger(root).entries if entry.is_judgement]) == 1


def test_a_new_version_of_the_champions_number_is_told_apart_before_anything_else_is_entered(
    root: Path, params: Params, capsys: pytest.CaptureFixture[str]
) -> None:
    register_scored(root, 300)
    client = registry.connect(root)
    run = client.get_model_version(MODEL, "1").run_id
    client.delete_registered_model(MODEL)
    client.create_registered_model(MODEL)
    other = client.create_run(registry.experiment_id(client, root, "gleaner")).info.run_id
    client.create_model_version(MODEL, f"{client.get_run(other).info.artifact_uri}/model", other)
    client.set_registered_model_alias(MODEL, "champion", "1")
    printed = print_history(root, capsys)
    assert f"version 1 was deleted from the registry, and run {other} has its number now" in printed
    assert "The alias champion stands at 1: somebody moved it by hand" in printed
    with pytest.raises(UserError, match="expected the alias champion at no version, .* `gleaner rollback --to 1` keep"):
        promote(root, params)
    removed = read_ledger(root).entries[-1]
    assert (removed.action, removed.version, removed.run) == ("removed", "1", run)


def test_a_version_whose_digest_is_another_one_than_in_the_log_is_no_champion(root: Path, params: Params) -> None:
    register_scored(root, 300)
    registry.connect(root).set_model_version_tag(MODEL, "1", "gleaner.manifest", "0" * 64)
    state = champion_alias.load_champion_state(registry.connect(root), MODEL)
    assert state.ledger.champion is None and "is not the one that became champion" in state.repaired[0]


def test_a_lost_bundle_of_an_earlier_champion_leaves_a_way_on(root: Path, params: Params) -> None:
    promote_three(root, params)
    client = registry.connect(root)
    client.delete_model_version(MODEL, "3")
    bundles = sorted((root / "mlruns").rglob("artifacts/bundle"), key=lambda folder: folder.stat().st_mtime)
    shutil.rmtree(bundles[1])
    with pytest.raises(
        UserError, match=r"version 2: expected its bundle .*; `gleaner rollback --to N` goes to .* \(1\)"
    ):
        rollback(root, params)
    client.delete_model_version(MODEL, "1")
    with pytest.raises(
        UserError, match="if it is lost, delete version 2 in MLflow: then the next version is the first"
    ):
        rollback(root, params)
    client.delete_model_version(MODEL, "2")
    register_scored(root, 300)
    assert champion_version(root) == "4"
