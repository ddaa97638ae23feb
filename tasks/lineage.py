"""What a model version was made of: git commit, and digests of the lock file, the data and the params."""

import hashlib
import json
import subprocess
from pathlib import Path
from typing import Any

from pipeline.params import Params, read_yaml


def lineage(root: Path, params: Params) -> dict[str, str]:
    """Tags that identify code, data and params of what stands in the working tree now.

    Raises UserError when there is no dvc.lock yet.
    """
    lock = read_yaml(root / "dvc.lock")
    ingested = lock["stages"].get("ingest", {}).get("outs", [])
    return {
        **git(root),
        "gleaner.dvc_lock": digest(lock),
        "gleaner.data": digest({out["path"]: out.get("md5") for out in ingested}),
        "gleaner.params": digest(params.model_dump(mode="json")),
    }


def digest(content: Any) -> str:
    """SHA-256 of canonical JSON: the order of keys, which depends on the order of the stages, does not count."""
    text = json.dumps(content, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return hashlib.sha256(text.encode()).hexdigest()


def git(root: Path) -> dict[str, str]:
    """Commit, and whether tracked files differ from it; dvc.lock, which a run writes itself, has a tag of its own."""
    commit = ask_git(root, "rev-parse", "HEAD")
    changed = ask_git(root, "status", "--porcelain", "--untracked-files=no", "--", ".", ":!dvc.lock")
    known = not commit.startswith("none: ")
    return {"gleaner.git_commit": commit, "gleaner.git_dirty": str(bool(changed)).lower() if known else "unknown"}


def ask_git(root: Path, *question: str) -> str:
    """What git answers, or "none: " and why it cannot."""
    try:
        done = subprocess.run(["git", "-C", str(root), *question], capture_output=True, text=True, check=False)
    except FileNotFoundError:
        return "none: git is not installed"
    return done.stdout.strip() if done.returncode == 0 else f"none: {done.stderr.strip().splitlines()[0]}"
