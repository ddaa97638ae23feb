"""A project as a night finds it: git, DVC, small tables that are ingested, and two inboxes."""

import subprocess
from pathlib import Path
from typing import Any

import pandas as pd
from dvc.repo import Repo

from pipeline.core.params import Params, load_params, read_yaml, to_yaml
from pipeline.core.stage import Paths, write_json
from pipeline.stages import ingest

ROOT = Path(__file__).parents[2]
GOLD: list[tuple[Any, ...]] = [
    ("my refund is late", "refund"),
    ("where is my money", "refund"),
    ("the parcel is lost", "delivery"),
]
TEST = [("no refund so far", "refund"), ("the courier never came", "delivery")]
POOL = ["please help me", "my order is broken"]


def to_csv(rows: list[tuple[Any, ...]], *names: str) -> str:
    """Rows as CSV."""
    return pd.DataFrame(rows, columns=list(names)).to_csv(index=False)


def make_project(root: Path, gold: list[tuple[Any, ...]] = GOLD, **sections: Any) -> Path:
    """Make the project; ``sections`` change sections of params.yaml."""
    content = read_yaml(ROOT / "params.yaml")
    content["ingest"] |= {"path": "raw", "train": ["train.csv"], "test": ["test.csv"], "unlabelled": ["pool.csv"]}
    content["ingest"]["columns"] = {"text": ["text"], "label": "label", "split": None, "groups": {}}
    content["refresh"]["commit"] = True
    for section, values in sections.items():
        content[section] |= values
    for folder in ("raw", "arrivals", "inbox/texts", "inbox/feedback"):
        (root / folder).mkdir(parents=True)
    (root / "raw" / "train.csv").write_text(to_csv(gold, "text", "label"))
    (root / "raw" / "test.csv").write_text(to_csv(TEST, "text", "label"))
    (root / "raw" / "pool.csv").write_text(to_csv([(text,) for text in POOL], "text"))
    (root / "params.yaml").write_text(to_yaml(content))
    (root / "dvc.yaml").write_text("stages: {}\n")
    (root / ".gitignore").write_text("/data\n/arrivals/*.parquet\n/inbox/\n")
    git(root, "init", "-q")
    Repo.init(str(root)).close()
    git(root, "add", "-A")
    git(root, "commit", "-q", "-m", "first")
    run_ingest(root)
    return root


def run_ingest(root: Path) -> None:
    """Run the stage ingest."""
    write_json(ingest.run(project_params(root).ingest, Paths(root)), root / "data" / "ingest" / "metrics.json")


def project_params(root: Path) -> Params:
    """The params of the project."""
    return load_params(root / "params.yaml")


def git(root: Path, *words: str) -> str:
    """Run git as the user test, and return what it prints."""
    identity = ["-c", "user.name=test", "-c", "user.email=test@localhost"]
    done = subprocess.run(["git", *identity, *words], cwd=root, check=True, capture_output=True, text=True)
    return done.stdout


def drop_file(root: Path, name: str, content: str | bytes, inbox: str = "texts") -> Path:
    """Put a file into an inbox."""
    path = root / "inbox" / inbox / name
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


def ingest_table(root: Path, name: str) -> pd.DataFrame:
    """One table of the stage ingest."""
    return pd.read_parquet(root / "data" / "ingest" / f"{name}.parquet")
