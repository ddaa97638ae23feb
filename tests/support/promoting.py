"""A project with registered versions whose answers are known: version N is right on the first so many test rows."""

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
from pipeline.core.params import Params, read_yaml, to_yaml, validate
from pipeline.core.stage import Paths
from tasks import registry
from tasks.compare import choose, compare
from tasks.promote import Promotion, judge, mark, set_alias, store_page
from tasks.registry import bundles, promotion_log
from tasks.rollback import Rollback, move_back
from tests.support.word_bundle import build

ROOT = Path(__file__).parents[2]
LABELS = ["delivery", "refund"]
MODEL = "gleaner-demo"


def make(root: Path, rows: int = 400, store: Path | None = None) -> Path:
    """A DVC project with test rows, two groups of them, and one training row."""
    root.mkdir(parents=True, exist_ok=True)
    for name in ("params.yaml", "constraints.txt"):
        shutil.copy(ROOT / name, root)
    if store is not None:
        shutil.copy(store, root)
    (root / ".dvc").mkdir()
    (root / ".dvc" / "config").write_text("[core]\n    no_scm = True\n    analytics = False\n")
    write(root, "test", texts("t", rows))
    write(root, "train", texts("n", 1))
    write(root, "validation", [])
    return root


def start(folder: Path, store: Path, patch: pytest.MonkeyPatch) -> Path:
    """A project with 400 test rows and an empty registry of its own."""
    patch.delenv("MLFLOW_TRACKING_URI", raising=False)
    patch.setenv("MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR", "false")
    return make(folder / "project", store=store)


def texts(letter: str, rows: int) -> list[str]:
    """One word each."""
    return [f"{letter}{place}" for place in range(rows)]


def label(text: str) -> str:
    """The right label of a text."""
    return LABELS[int(text[1:]) % 2]


def write(root: Path, split: str, words: Iterable[str], **columns: Any) -> None:
    """A split of gold rows."""
    words = list(words)
    ids = [table.row_id("source", word) for word in words]
    groups = pd.DataFrame({"group.customer": [("new", "old")[int(word[1:]) // 2 % 2] for word in words]}, dtype="str")
    made = {"id": ids, "source_id": ids, "text": words, "label": [label(word) for word in words]} | columns
    table.write(table.make(origin="gold", groups=groups, **made), Paths(root).data("ingest") / f"{split}.parquet")


def change(root: Path, **limits: Any) -> Params:
    """The project's params with these limits of promotion or of the gate; written down, too."""
    content = read_yaml(root / "params.yaml")
    for key, value in limits.items():
        content["gate" if key in content["gate"] else "promotion"][key] = value
    content["registry"]["push"] = False
    (root / "params.yaml").write_text(to_yaml(content))
    return validate(content)


def other(text: str) -> str:
    """The wrong label of a text."""
    return LABELS[1 - LABELS.index(label(text))]


def bundle(folder: Path, answer: dict[str, str], labels: list[str]) -> Path:
    """A bundle that answers these words so."""
    words = {word: [9.0 * (one == chosen) for one in labels] for word, chosen in answer.items()}
    return build(folder, words, labels)


def version(root: Path, right: Iterable[str], wrong: Iterable[str]) -> str:
    """Register a version that is right and wrong on these words."""
    answer = {word: label(word) for word in right}
    return answering(root, answer | {word: other(word) for word in wrong}, LABELS)


def answering(root: Path, answer: dict[str, str], labels: list[str]) -> str:
    """Register a version as the registry does, but for the code that serves it, which takes seconds to store."""
    client = registry.connect(root)
    home = registry.experiment(client, root, "gleaner")
    run = client.create_run(home).info.run_id
    made = bundle(root / "made" / run, answer, labels)
    lock(root)
    client.log_artifact(run, str(root / "dvc.lock"))
    client.log_artifacts(run, str(made), "model/artifacts/bundle")
    source = f"{client.get_run(run).info.artifact_uri}/model"
    registry_of(client)
    tags = {bundles.SEAL: bundles.seal_of(made)}
    number = str(client.create_model_version(MODEL, source, run, tags=tags).version)
    client.set_registered_model_alias(MODEL, "challenger", number)
    promotion_log.begin(client, MODEL, number, "flow")
    return number


def registry_of(client: MlflowClient) -> None:
    """The registered model."""
    if not client.search_registered_models(f"name = '{MODEL}'"):
        client.create_registered_model(MODEL)


def lock(root: Path) -> None:
    """dvc.lock, and the files that it names in the DVC cache."""
    outs = []
    for path in sorted((root / "data" / "ingest").glob("*.parquet")):
        md5 = hashlib.md5(path.read_bytes()).hexdigest()
        kept = root / ".dvc" / "cache" / "files" / "md5" / md5[:2] / md5[2:]
        kept.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(path, kept)
        outs.append({"path": f"data/ingest/{path.name}", "md5": md5})
    (root / "dvc.lock").write_text(to_yaml({"schema": "2.0", "stages": {"ingest": {"cmd": "x", "outs": outs}}}))


def scored(root: Path, right: int, rows: int = 400) -> str:
    """A version that is right on the first so many test rows."""
    return version(root, texts("t", rows)[:right], texts("t", rows)[right:])


def plain(task: Any) -> Any:
    """What a Prefect task runs; a user's mistake is raised."""
    return inspect.unwrap(task.fn)


def promote(root: Path, params: Params, number: str | None = None) -> Promotion:
    """The steps of the flow, without Prefect."""
    pair = plain(choose)(root, params, number)
    found = plain(judge)(root, params, pair, plain(compare)(root, params, pair), "flow")
    plain(set_alias)(root, MODEL)
    plain(mark)(root, found)
    return replace(found, page=plain(store_page)(root, pair, found))


def rollback(root: Path, params: Params, to: str | None = None, why: str = "") -> Rollback:
    """The steps of the flow, without Prefect."""
    done = plain(move_back)(root, params, to, why, "flow")
    plain(set_alias)(root, MODEL)
    return done


def champion(root: Path) -> str | None:
    """Where the alias stands."""
    return promotion_log.where(registry.connect(root), MODEL)[0]


def ledger(root: Path) -> promotion_log.Ledger:
    """The promotion log."""
    return promotion_log.read(registry.connect(root), MODEL)


def actions(root: Path) -> list[tuple[str, str]]:
    """What was entered in it, for which version."""
    return [(one.action, one.version) for one in ledger(root).entries]


def command(root: Path, *words: str) -> subprocess.CompletedProcess[str]:
    """`gleaner` with these words, as a user runs it."""
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
    """Two processes promote versions ``first`` to ``last`` at the same moments; what became of each, by either."""
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
    said = [racer.communicate(timeout=300) for racer in racers]
    assert [racer.returncode for racer in racers] == [0, 0], "\n".join(error[-3000:] for _, error in said)
    return [[json.loads(line) for line in out.splitlines()] for out, _ in said]


def check_race(root: Path, first: int, last: int, told: list[list[dict[str, Any]]]) -> None:
    """One winner of each promotion, the other one was told, and the log has every attempt of both."""
    for number, ours in enumerate(zip(*told, strict=True), first):
        assert sorted(one["outcome"] for one in ours) == ["lost", "promoted"]
        (loser,) = [one for one in ours if one["outcome"] == "lost"]
        assert f"meanwhile version {number} became champion" in loser["said"]
        assert [one["shown"] for one in ours] == [str(number)] * 2
    found = ledger(root)
    assert found.faults == () and [one.number for one in found.entries] == list(range(1, len(found.entries) + 1))
    assert [reign.version for reign in found.reigns] == [str(number) for number in range(first - 1, last + 1)]
    for number in range(first, last + 1):
        attempts = [one for one in found.entries if one.version == str(number) and one.action == "promote"]
        assert 1 <= len(attempts) <= 2 and sum(map(found.took_effect, attempts)) == 1
        assert {one.expected for one in attempts} == {str(number - 1)}
    assert champion(root) == str(last)
