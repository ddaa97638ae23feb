"""Behind the back of the promotion log: an alias moved, a promoter killed, a registry without log, a bundle changed."""

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
from tasks.registry import promotion_log
from tests.support.promoting import (
    LABELS,
    MODEL,
    actions,
    bundle,
    champion,
    change,
    label,
    ledger,
    promote,
    rollback,
    scored,
    start,
    texts,
)

ROOT = Path(__file__).parents[2]


@pytest.fixture
def root(tmp_path: Path, store: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    return start(tmp_path, store, monkeypatch)


@pytest.fixture
def params(root: Path) -> Params:
    return change(root)


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


KILLED = """
import os, signal, sys
sys.path[:0] = [{repository!r}]
from pathlib import Path
from tests.support import promoting
from tasks.registry import promotion_log
promotion_log.sync_champion_alias = lambda *_: os.kill(os.getpid(), signal.SIGKILL)
root = Path({root!r})
promoting.promote(root, promoting.change(root))
"""


def test_a_promoter_that_is_killed_before_the_alias_is_set_is_put_right_by_the_next_command(
    root: Path, params: Params, capsys: pytest.CaptureFixture[str]
) -> None:
    scored(root, 300)
    scored(root, 340)
    killed = subprocess.run(
        [sys.executable, "-c", KILLED.format(repository=str(ROOT), root=str(root))],
        cwd=ROOT,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        capture_output=True,
        check=False,
    )
    assert killed.returncode == -signal.SIGKILL, killed.stderr
    assert champion(root) == "1" and ledger(root).champion == "2"
    assert history.main(root, None) == 0
    said = capsys.readouterr().out
    assert "the alias champion stood at 1, the promotion log says 2: a promotion had been cut off in between" in said
    assert champion(root) == "2" and "cut off" not in (history.main(root, None), capsys.readouterr().out)[1]


def test_a_registry_from_before_the_log_is_taken_into_it(root: Path, params: Params) -> None:
    scored(root, 300)
    scored(root, 340)
    registry.connect(root).delete_registered_model(promotion_log.name_of(MODEL))
    found = promote(root, params)
    assert found.outcome == "promoted" and found.notes == (
        "version 1 was champion before there was a promotion log: entered",
    )
    assert actions(root) == [("adopted", "1"), ("promote", "2")]


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
