"""A project with a finished training, as the registry needs it, and git for it."""

import subprocess
from pathlib import Path

from pipeline.core.params import read_yaml, to_yaml

LOCK = {
    "schema": "2.0",
    "stages": {
        "ingest": {"cmd": "x", "outs": [{"path": "data/ingest/train.parquet", "md5": "1"}]},
        "export": {"cmd": "y", "outs": [{"path": "data/export/bundle", "md5": "2"}]},
    },
}


def git(root: Path, *words: str) -> str:
    """Run git as the user test, and return what it prints."""
    identity = ["-c", "user.name=test", "-c", "user.email=test@localhost"]
    done = subprocess.run(["git", *identity, *words], cwd=root, check=True, capture_output=True, text=True)
    return done.stdout.strip()


def change_lock(project: Path) -> None:
    """Change the MD5 of the export in dvc.lock, as another training would."""
    lock = read_yaml(project / "dvc.lock")
    lock["stages"]["export"]["outs"][0]["md5"] += "3"
    (project / "dvc.lock").write_text(to_yaml(lock))
