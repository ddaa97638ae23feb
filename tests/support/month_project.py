"""The demo with stages that take a second: the real ingest, naive Bayes over words in a real bundle, real metrics."""

import sys
from pathlib import Path
from typing import Any

from pipeline.core.params import read_yaml, to_yaml
from tests.support.real_project import git, set_params
from tests.support.vocabulary import vocabulary

ROOT = Path(__file__).parents[2]
SCRIPT = '''"""Stands in for the stages that train and measure."""
import json, math, sys
from collections import Counter
from pathlib import Path
sys.path.insert(0, {repository!r})
import pandas as pd

def export():
    import shutil
    from tests.support.word_bundle import build
    gold = pd.read_parquet("data/ingest/train.parquet")
    labels = json.loads(Path("data/ingest/labels.json").read_text())["labels"]
    counts = {{label: Counter() for label in labels}}
    for text, label in zip(gold["text"], gold["label"]):
        counts[label].update({{word for word in text.split() if word.isalpha()}})
    totals = [gold["label"].eq(label).sum() + 2 for label in labels]
    words = {{
        word: [math.log((counts[label][word] + 1) / total) for label, total in zip(labels, totals)]
        for word in sorted(set().union(*counts.values()))
    }}
    words = {{word: [score - max(scores) for score in scores] for word, scores in words.items()}}
    shutil.rmtree("data/export/bundle", ignore_errors=True)
    build(Path("data/export/bundle"), words, labels, temperature=3.0, max_length=64)
    return {{}}

def evaluate():
    from pipeline.models import classifier
    test = pd.read_parquet("data/ingest/test.parquet")
    model = classifier.load(Path("data/export/bundle"))
    probabilities = model.predict(test["text"].tolist())
    right = [model.labels[i] == label for i, label in zip(probabilities.argmax(axis=1), test["label"])]
    share = sum(right) / len(right)
    keys = ("accuracy", "accuracy_low", "accuracy_high", "macro_f1", "macro_f1_low", "macro_f1_high")
    scores = {{key: share for key in keys}}
    none = {{"accuracy": None, "macro_f1": None}}
    return scores | {{"test_rows": len(right), "gain_over_probe": 0.1, "calibration_error": 0.05,
                    "baseline": {{"tfidf": none, "probe": none}}}}

for stage, measured in (("export", export), ("evaluate", evaluate), ("fairness", lambda: {{"attributes": 0}}),
                        ("counterfactual", lambda: {{"axes": [], "status": "no terms"}})):
    Path(f"data/{{stage}}").mkdir(parents=True, exist_ok=True)
    Path(f"data/{{stage}}/metrics.json").write_text(json.dumps(measured()))
Path("data/fairness/groups.csv").write_text("attribute,group,class,rows,status,accuracy\\n")
'''


def make_project(root: Path) -> Path:
    """Make the project with one label an intent, and commit it."""
    from pipeline.experiments import simulated_month

    for name in ("cli", "flows", "tasks", "pipeline"):
        (root / name).symlink_to(ROOT / name)
    for name in ("params.yaml", "constraints.txt", ".gitignore", ".dvcignore", "dvc.yaml"):
        (root / name).write_text((ROOT / name).read_text())
    (root / "data" / "demo" / "phrases").mkdir(parents=True)
    for path in (ROOT / "data" / "demo").rglob("*.*"):
        if path.is_file():
            (root / path.relative_to(ROOT)).write_bytes(path.read_bytes())
    for folder in ("arrivals", "inbox/texts", "inbox/feedback"):
        (root / folder).mkdir(parents=True)
        (root / folder / "README.md").write_text("kept")
    simulated_month.shorten_demo(root / "data" / "demo", labels=1)
    encoder = random_encoder(root / "data" / "pretrain" / "encoder", root / "data" / "demo")
    (root / "learn.py").write_text(SCRIPT.format(repository=str(ROOT)))
    (root / "dvc.yaml").write_text(to_yaml({"stages": stage_graph()}))
    limits: dict[str, Any] = {"min_accuracy": 0.05, "min_macro_f1": 0.05, "min_gain_over_probe": None}
    set_params(
        root,
        encoder={"source": "path", "name": str(encoder), "sha256": None, "max_length": 64},
        gate=limits | {"max_group_gap": None},
        promotion={"max_gap_increase": None},
        registry={"push": False},
        drift={"alpha": 0.05},
    )
    git(root, "init", "-q")
    git(root, "config", "user.name", "test")
    git(root, "config", "user.email", "test@localhost")
    from dvc.repo import Repo

    Repo.init(str(root)).close()
    git(root, "add", "-A")
    git(root, "commit", "-q", "-m", "first")
    return root


def random_encoder(folder: Path, demo: Path) -> Path:
    """Write a BERT with random weights, whose vector of a text is a projection of its bag of words."""
    import torch
    from transformers import BertConfig, BertModel, BertTokenizer

    words = vocabulary((demo / "unlabelled.csv").read_text().splitlines(), 2000)
    tokenizer = BertTokenizer(vocab=words, do_lower_case=True, model_max_length=64)
    torch.manual_seed(0)
    size: dict[str, Any] = {"hidden_size": 64, "intermediate_size": 64, "max_position_embeddings": 64}
    config = BertConfig(vocab_size=len(tokenizer), num_hidden_layers=1, num_attention_heads=2, **size)
    BertModel(config).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


def stage_graph() -> dict[str, Any]:
    """The stages of dvc.yaml, with the outputs that the flows read; `make_project` writes the encoder."""
    ingest = read_yaml(ROOT / "dvc.yaml")["stages"]["ingest"] | {"deps": ["${ingest.path}", "${ingest.arrivals}"]}
    tables = ["data/ingest/train.parquet", "data/ingest/test.parquet"]
    return {
        "ingest": ingest | {"cmd": f"{sys.executable} -m pipeline.stages.ingest"},
        "export": {
            "cmd": f"{sys.executable} learn.py",
            "deps": [*tables, "learn.py"],
            "outs": ["data/export/bundle", "data/fairness/groups.csv"],
            "metrics": [f"data/{stage}/metrics.json" for stage in ("export", "evaluate", "fairness", "counterfactual")],
        },
    }
