"""A project with registered versions whose answers are known: each is right on the first so many test rows."""

import hashlib
import inspect
import json
import os
import shutil
import sqlite3
import subprocess
import sys
from collections.abc import Iterable
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from mlflow import MlflowClient

from pipeline.core import table
from pipeline.core.params import Params, load_params, read_yaml, to_yaml, validate_params
from pipeline.core.stage import Paths
from tasks import registry
from tasks.approve import Answer, Approval, settle_request
from tasks.compare import choose_versions, compare
from tasks.promote import decide_promotion, set_champion_alias, store_page, tag_version
from tasks.promotion_outcome import Promotion
from tasks.registry import bundles, champion_alias, promotion_log
from tasks.rollback import Rollback, roll_back
from tests.support.word_bundle import build

ROOT = Path(__file__).parents[2]
LABELS = ["delivery", "refund"]
MODEL = "gleaner-demo"


def make_project(root: Path, rows: int = 400, store: Path | None = None) -> Path:
    """Make a DVC project with test rows in two groups, and one training row."""
    root.mkdir(parents=True, exist_ok=True)
    for name in ("params.yaml", "constraints.txt"):
        shutil.copy(ROOT / name, root)
    (root / "dvc.yaml").write_text("stages: {}\n")
    if store is not None:
        shutil.copy(store, root)
    (root / ".dvc").mkdir()
    (root / ".dvc" / "config").write_text("[core]\n    no_scm = True\n    analytics = False\n")
    write_split(root, "test", words("t", rows))
    write_split(root, "train", words("n", 1))
    write_split(root, "validation", [])
    return root


def start_project(folder: Path, store: Path, patch: pytest.MonkeyPatch) -> Path:
    """Make a project with 400 test rows and an empty registry."""
    patch.delenv("MLFLOW_TRACKING_URI", raising=False)
    patch.setenv("MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR", "false")
    return make_project(folder / "project", store=store)


def words(letter: str, rows: int) -> list[str]:
    """Texts of one word each: the letter and a number."""
    return [f"{letter}{number}" for number in range(rows)]


def right_label(text: str) -> str:
    """The right label of a text."""
    return LABELS[int(text[1:]) % 2]


def write_split(root: Path, split: str, words: Iterable[str], **columns: Any) -> None:
    """Write a split of gold rows."""
    words = list(words)
    ids = [table.row_id("source", word) for word in words]
    groups = pd.DataFrame({"group.customer": [("new", "old")[int(word[1:]) // 2 % 2] for word in words]}, dtype="str")
    values = {"id": ids, "source_id": ids, "text": words, "label": [right_label(word) for word in words]} | columns
    table.write(table.make(origin="gold", groups=groups, **values), Paths(root).data("ingest") / f"{split}.parquet")


def set_limits(root: Path, **limits: Any) -> Params:
    """Write these limits of promotion or of the gate to params.yaml, and return the params."""
    content = read_yaml(root / "params.yaml")
    for key, value in limits.items():
        content["gate" if key in content["gate"] else "promotion"][key] = value
    content["registry"]["push"] = False
    (root / "params.yaml").write_text(to_yaml(content))
    return validate_params(content)


def wrong_label(text: str) -> str:
    """The wrong label of a text."""
    return LABELS[1 - LABELS.index(right_label(text))]


def build_bundle(folder: Path, answer: dict[str, str], labels: list[str], directions: Any = None) -> Path:
    """Build a bundle that gives these labels to these words."""
    words = {word: [9.0 * (label == chosen) for label in labels] for word, chosen in answer.items()}
    return build(folder, words, labels, directions=directions)


def register_version(root: Path, right: Iterable[str], wrong: Iterable[str]) -> str:
    """Register a version that gives the right label to some words and the wrong one to others; returns its number."""
    answer = {word: right_label(word) for word in right}
    return register_answers(root, answer | {word: wrong_label(word) for word in wrong}, LABELS)


def register_answers(root: Path, answer: dict[str, str], labels: list[str], directions: Any = None) -> str:
    """Register a version as the registry does, without the code that serves it, which takes seconds to store."""
    client = registry.connect(root)
    experiment = registry.experiment_id(client, root, "gleaner")
    run = client.create_run(experiment).info.run_id
    folder = build_bundle(root / "made" / run, answer, labels, directions)
    write_lock(root)
    client.log_artifact(run, str(root / "dvc.lock"))
    client.log_artifacts(run, str(folder), "model/artifacts/bundle")
    source = f"{client.get_run(run).info.artifact_uri}/model"
    create_registered_model(client)
    tags = {bundles.MANIFEST_DIGEST_TAG: bundles.manifest_digest(folder)}
    number = str(client.create_model_version(MODEL, source, run, tags=tags).version)
    client.set_registered_model_alias(MODEL, "challenger", number)
    champion_alias.enter_first_champion(client, MODEL, number, "flow", load_params(root / "params.yaml").promotion)
    return number


def create_registered_model(client: MlflowClient) -> None:
    """Create the registered model, unless it is there."""
    if not client.search_registered_models(f"name = '{MODEL}'"):
        client.create_registered_model(MODEL)


def write_lock(root: Path) -> None:
    """Write dvc.lock, and put the files that it names into the DVC cache."""
    outs = []
    for path in sorted((root / "data").glob("[ei]*/*.parquet")):
        md5 = hashlib.md5(path.read_bytes()).hexdigest()
        cached = root / ".dvc" / "cache" / "files" / "md5" / md5[:2] / md5[2:]
        cached.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(path, cached)
        outs.append({"path": path.relative_to(root).as_posix(), "md5": md5})
    (root / "dvc.lock").write_text(to_yaml({"schema": "2.0", "stages": {"ingest": {"cmd": "x", "outs": outs}}}))


def register_scored(root: Path, right: int, rows: int = 400) -> str:
    """Register a version that is right on the first so many test rows; returns its number."""
    return register_version(root, words("t", rows)[:right], words("t", rows)[right:])


def without_prefect(task: Any) -> Any:
    """The function that a Prefect task runs. It raises a user's error."""
    return inspect.unwrap(task.fn)


def promote(root: Path, params: Params, number: str | None = None) -> Promotion:
    """Run the steps of the flow without Prefect."""
    pair = without_prefect(choose_versions)(root, params, number)
    promoted = without_prefect(decide_promotion)(
        root, params, pair, without_prefect(compare)(root, params, pair), "flow"
    )
    without_prefect(set_champion_alias)(root, MODEL)
    without_prefect(tag_version)(root, promoted)
    return replace(promoted, page=without_prefect(store_page)(root, pair, promoted))


def rollback(root: Path, params: Params, to: str | None = None, why: str = "") -> Rollback:
    """Run the steps of the flow without Prefect."""
    done = without_prefect(roll_back)(root, params, to, why, "flow")
    without_prefect(set_champion_alias)(root, MODEL)
    return done


def approve(root: Path, params: Params, number: str, reject: bool = False) -> Approval:
    """Run the steps of the flow without Prefect; Ada answers."""
    answer = Answer(number, "Ada", "read the page", reject)
    done = without_prefect(settle_request)(root, params, answer, "flow")
    without_prefect(set_champion_alias)(root, MODEL)
    return done


def champion_version(root: Path) -> str | None:
    """The version that has the alias champion."""
    return champion_alias.read_alias(registry.connect(root), MODEL)[0]


def read_ledger(root: Path) -> promotion_log.Ledger:
    """The promotion log."""
    return promotion_log.read(registry.connect(root), MODEL)


def logged_actions(root: Path) -> list[tuple[str, str]]:
    """The action and version of each entry of the promotion log."""
    return [(entry.action, entry.version) for entry in read_ledger(root).entries]


def run_gleaner(root: Path, *words: str) -> subprocess.CompletedProcess[str]:
    """Run `gleaner` with these words as a user does."""
    return subprocess.run(
        [sys.executable, "-m", "cli", *words],
        cwd=root,
        env=os.environ | {"PYTHONPATH": str(ROOT), "COLUMNS": "200"},
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )


def stored_states(root: Path) -> list[tuple[str, str]]:
    """Kind and final state of each flow run on this project in Prefect's SQLite database, the oldest first."""
    of_root = f"FROM flow_run WHERE parameters LIKE '%{root}%' ORDER BY created"
    question = f"SELECT substr(name, 1, instr(name, ' ') - 1), state_name {of_root}"
    with closing(sqlite3.connect(Path(os.environ["PREFECT_HOME"]) / "prefect.db")) as database:
        return database.execute(question).fetchall()


def race(root: Path, first: int, last: int) -> list[list[dict[str, Any]]]:
    """Let two processes promote versions ``first`` to ``last`` at the same moments; returns the outcomes of each."""
    folder = root / "race"
    folder.mkdir()
    racers = [
        subprocess.Popen(
            [sys.executable, "-m", "tests.support.racing", root, str(first), str(last), folder, name],
            env=os.environ | {"PYTHONPATH": str(ROOT)},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for name in ("one", "two")
    ]
    outputs = [racer.communicate(timeout=300) for racer in racers]
    assert [racer.returncode for racer in racers] == [0, 0], "\n".join(error[-3000:] for _, error in outputs)
    return [[json.loads(line) for line in out.splitlines()] for out, _ in outputs]


def check_race(root: Path, first: int, last: int, outcomes: list[list[dict[str, Any]]]) -> None:
    """Check that each promotion has one winner and one reported loser, and that the log has every attempt."""
    for number, pair in enumerate(zip(*outcomes, strict=True), first):
        assert sorted(promotion["outcome"] for promotion in pair) == ["lost", "promoted"]
        (loser,) = [promotion for promotion in pair if promotion["outcome"] == "lost"]
        assert f"meanwhile version {number} became champion" in loser["message"]
        assert [promotion["alias"] for promotion in pair] == [str(number)] * 2
    ledger = read_ledger(root)
    assert ledger.faults == () and [entry.number for entry in ledger.entries] == list(range(1, len(ledger.entries) + 1))
    assert [period.version for period in ledger.periods] == [str(number) for number in range(first - 1, last + 1)]
    for number in range(first, last + 1):
        attempts = [entry for entry in ledger.entries if (entry.version, entry.action) == (str(number), "promote")]
        assert 1 <= len(attempts) <= 2 and sum(map(ledger.took_effect, attempts)) == 1
        assert {entry.expected for entry in attempts} == {str(number - 1)}
    assert champion_version(root) == str(last)
