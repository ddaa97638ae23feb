"""A project with registered versions whose answers are known: version N is right on the first so many test rows."""

import hashlib
import shutil
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pandas as pd
from mlflow import MlflowClient
from word_bundle import build

from pipeline import table
from pipeline.params import Params, read_yaml, to_yaml, validate
from pipeline.stage import Paths
from tasks import registry
from tasks.compare import choose, compare
from tasks.promote import Promotion, judge, mark, set_alias
from tasks.registry import bundles, log
from tasks.rollback import Rollback, move_back

ROOT = Path(__file__).parent.parent
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


def change(root: Path, **gate: Any) -> Params:
    """The project's params with these limits; written down, too."""
    content = read_yaml(root / "params.yaml")
    content["gate"] |= gate
    content["registry"]["push"] = False
    (root / "params.yaml").write_text(to_yaml(content))
    return validate(content)


def bundle(folder: Path, right: Iterable[str], wrong: Iterable[str], labels: list[str] = LABELS) -> Path:
    """A bundle that knows these words."""
    answer = {word: label(word) for word in right}
    answer |= {word: LABELS[1 - LABELS.index(label(word))] for word in wrong}
    words = {word: [9.0 * (one == chosen) for one in labels] for word, chosen in answer.items()}
    return build(folder, words, labels)


def version(root: Path, params: Params, right: Iterable[str], wrong: Iterable[str], **about: Any) -> str:
    """Register a version as the registry does, but for the code that serves it, which takes seconds to store."""
    client = registry.connect(root)
    home = registry.experiment(client, root, "gleaner")
    run = client.create_run(home).info.run_id
    made = bundle(root / "made" / run, right, wrong, **about)
    lock(root)
    client.log_artifact(run, str(root / "dvc.lock"))
    client.log_artifacts(run, str(made), "model/artifacts/bundle")
    source = f"{client.get_run(run).info.artifact_uri}/model"
    registry_of(client)
    tags = {bundles.SEAL: bundles.seal_of(made)}
    number = str(client.create_model_version(MODEL, source, run, tags=tags).version)
    client.set_registered_model_alias(MODEL, "challenger", number)
    log.begin(client, MODEL, number, "flow")
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


def scored(root: Path, params: Params, right: int, rows: int = 400, **about: Any) -> str:
    """A version that is right on the first so many test rows."""
    return version(root, params, texts("t", rows)[:right], texts("t", rows)[right:], **about)


def promote(root: Path, params: Params, number: str | None = None) -> Promotion:
    """The steps of the flow, without Prefect."""
    pair = choose.fn(root, params, number)
    found = judge.fn(root, params, pair, compare.fn(root, params, pair), "flow")
    set_alias.fn(root, MODEL)
    mark.fn(root, found)
    return found


def rollback(root: Path, params: Params, to: str | None = None, why: str = "") -> Rollback:
    """The steps of the flow, without Prefect."""
    done = move_back.fn(root, params, to, why, "flow")
    set_alias.fn(root, MODEL)
    return done


def champion(root: Path) -> str | None:
    """Where the alias stands."""
    return log.where(registry.connect(root), MODEL)[0]
