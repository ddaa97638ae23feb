"""What happens outside the promotion log: a moved alias, a killed promotion, a missing log, a changed bundle."""

import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from cli import history
from pipeline.core.errors import UserError
from pipeline.core.params import Params
from pipeline.models import classifier
from tasks import registry
from tasks.registry import champion_alias, promotion_log
from tests.support.promoting import (
    LABELS,
    MODEL,
    build_bundle,
    champion_version,
    logged_actions,
    promote,
    read_ledger,
    register_scored,
    right_label,
    rollback,
    set_limits,
    start_project,
    words,
)

ROOT = Path(__file__).parents[2]


@pytest.fixture
def root(tmp_path: Path, store: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    return start_project(tmp_path, store, monkeypatch)


@pytest.fixture
def params(root: Path) -> Params:
    return set_limits(root)


def test_a_moved_alias_is_reported_and_the_user_decides(
    root: Path, params: Params, capsys: pytest.CaptureFixture[str]
) -> None:
    register_scored(root, 300)
    register_scored(root, 310)
    client = registry.connect(root)
    client.set_registered_model_alias(MODEL, "champion", "2")
    history.main(root, None)
    assert "The alias champion stands at 2: somebody moved it by hand" in capsys.readouterr().out
    for command in (promote, rollback):
        with pytest.raises(
            UserError, match="found it at version 2: somebody moved it by hand; `gleaner rollback --to 2`"
        ):
            command(root, params)
    back = rollback(root, params, "1")
    assert back.message.startswith("Put back") and champion_version(root) == "1"
    client.set_registered_model_alias(MODEL, "champion", "2")
    kept = rollback(root, params, "2")
    assert kept.message.startswith("Kept") and champion_version(root) == read_ledger(root).champion == "2"
    client.delete_registered_model_alias(MODEL, "champion")
    with pytest.raises(UserError, match="found it at no version"):
        promote(root, params)
    assert rollback(root, params, "2").done and champion_version(root) == "2"
    assert logged_actions(root) == [("initial", "1"), ("rollback", "1"), ("adopted", "2"), ("rollback", "2")]


KILLED = """
import os, signal, sys
sys.path[:0] = [{repository!r}]
from pathlib import Path
from tests.support import promoting
from tasks.registry import champion_alias
champion_alias.sync_champion_alias = lambda *_: os.kill(os.getpid(), signal.SIGKILL)
root = Path({root!r})
promoting.promote(root, promoting.set_limits(root))
"""


def test_the_next_command_repairs_a_promotion_that_was_killed_before_the_alias_was_set(
    root: Path, params: Params, capsys: pytest.CaptureFixture[str]
) -> None:
    register_scored(root, 300)
    register_scored(root, 340)
    killed = subprocess.run(
        [sys.executable, "-c", KILLED.format(repository=str(ROOT), root=str(root))],
        cwd=ROOT,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        capture_output=True,
        check=False,
    )
    assert killed.returncode == -signal.SIGKILL, killed.stderr
    assert champion_version(root) == "1" and read_ledger(root).champion == "2"
    assert history.main(root, None) == 0
    printed = capsys.readouterr().out
    assert "the alias champion stood at 1, the promotion log says 2: a promotion had been cut off in between" in printed
    assert champion_version(root) == "2" and "cut off" not in (history.main(root, None), capsys.readouterr().out)[1]


def test_the_champion_of_a_registry_without_a_log_is_entered_in_it(root: Path, params: Params) -> None:
    register_scored(root, 300)
    register_scored(root, 340)
    client = registry.connect(root)
    client.delete_registered_model(promotion_log.log_name(MODEL))
    client.delete_registered_model_tag(MODEL, champion_alias.ALIAS_ENTRY_TAG)  # the oldest Gleaner set none
    promoted = promote(root, params)
    assert promoted.outcome == "promoted" and promoted.notes == (
        "version 1 was champion before there was a promotion log: entered",
    )
    assert logged_actions(root) == [("adopted", "1"), ("promote", "2")]


def test_a_deleted_log_is_said_to_be_deleted(root: Path, params: Params) -> None:
    register_scored(root, 300)
    register_scored(root, 340)
    client = registry.connect(root)
    client.delete_registered_model(promotion_log.log_name(MODEL))
    client.delete_registered_model_tag(MODEL, champion_alias.ALIAS_ENTRY_TAG)
    client.set_registered_model_tag(MODEL, champion_alias.OLD_ALIAS_ENTRY_TAG, "1")  # an older Gleaner named it so
    (note,) = promote(root, params).notes
    assert set(client.get_registered_model(MODEL).tags) == {champion_alias.ALIAS_ENTRY_TAG}
    assert note == (
        "version 1 was champion when the promotion log was deleted, after entry 1 or later; how often test rows were "
        "used is no longer known: entered"
    )


@pytest.mark.parametrize("later", [False, True], ids=["the last entry", "an earlier entry"])
def test_the_alias_stays_where_a_deleted_entry_had_set_it(root: Path, params: Params, later: bool) -> None:
    register_scored(root, 300)
    register_scored(root, 340)
    promote(root, params)
    if later:
        register_scored(root, 342)
        promote(root, params)
    client = registry.connect(root)
    client.delete_model_version(promotion_log.log_name(MODEL), "2")
    state = champion_alias.load_champion_state(client, MODEL)
    assert any(
        "entry 2 of the promotion log, for which the alias was set, is missing" in f for f in state.ledger.faults
    )
    with pytest.raises(UserError, match="expected the alias champion at version 1, .*found it at version 2"):
        promote(root, params, "2")
    assert champion_version(root) == "2"
    assert rollback(root, params, "2").message.startswith("Kept") and promote(root, params, "1").outcome == "refused"


def stored_bundle(root: Path, number: str) -> Path:
    """The folder in which MLflow stores the bundle of a version."""
    client = registry.connect(root)
    run = client.get_run(str(client.get_model_version(MODEL, number).run_id))
    return Path(str(run.info.artifact_uri).removeprefix("file://")) / "model" / "artifacts" / "bundle"


@pytest.mark.parametrize("number", ["1", "2"])
def test_one_changed_byte_stops_the_promotion(root: Path, params: Params, number: str) -> None:
    register_scored(root, 300)
    register_scored(root, 340)
    model = stored_bundle(root, number) / "model.onnx"
    content = bytearray(model.read_bytes())
    content[len(content) // 2] ^= 1
    model.write_bytes(content)
    expected = f"version {number}: model.onnx: expected the digest in MANIFEST.json, found another; somebody changed"
    with pytest.raises(UserError, match=expected) as error:
        promote(root, params)
    assert "\n" not in str(error.value) and champion_version(root) == "1" and logged_actions(root) == [("initial", "1")]


def test_a_bundle_that_was_replaced_with_its_manifest_is_noticed(root: Path, params: Params) -> None:
    register_scored(root, 300)
    register_scored(root, 340)
    promote(root, params)
    folder = stored_bundle(root, "1")
    shutil.rmtree(folder)
    build_bundle(folder, {word: right_label(word) for word in words("t", 400)}, LABELS)
    classifier.verify(folder)
    with pytest.raises(UserError, match="version 1: expected the MANIFEST.json that it was registered with"):
        rollback(root, params)
    assert champion_version(root) == "2"


def test_a_missing_bundle_is_a_one_line_error(root: Path, params: Params) -> None:
    register_scored(root, 300)
    register_scored(root, 340)
    shutil.rmtree(stored_bundle(root, "2"))
    with pytest.raises(UserError, match="gleaner-demo version 2: expected its bundle among its artifacts, found: "):
        promote(root, params)
