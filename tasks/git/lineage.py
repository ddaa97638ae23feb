"""What a model version was made of: git commit, and digests of the lock file, the data and the params."""

import hashlib
import json
from pathlib import Path
from typing import Any

from pipeline.core.params import Params, read_yaml
from tasks.git.command import try_git
from tasks.git.patch import changes


def lineage(root: Path, params: Params) -> dict[str, str]:
    """Tags that identify code, data and params of what stands in the working tree now.

    Raises UserError when there is no dvc.lock yet.
    """
    lock = read_yaml(root / "dvc.lock")
    ingested = lock["stages"].get("ingest", {}).get("outs", [])
    return {
        **git(root, params),
        "gleaner.dvc_lock": digest(lock),
        "gleaner.data": digest({out["path"]: out.get("md5") for out in ingested}),
        "gleaner.params": digest(params.model_dump(mode="json")),
        "gleaner.constraints": hashlib.sha256((root / "constraints.txt").read_bytes()).hexdigest(),
    }


def digest(content: Any) -> str:
    """SHA-256 of canonical JSON: the order of keys, which depends on the order of the stages, does not count."""
    text = json.dumps(content, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return hashlib.sha256(text.encode()).hexdigest()


def git(root: Path, params: Params) -> dict[str, str]:
    """Commit, and whether anything differs from it; dvc.lock, which a run writes itself, has a tag of its own."""
    answer = try_git(root, "rev-parse", "--verify", "HEAD")
    if answer.returncode:
        why = answer.stderr.decode(errors="replace").strip().splitlines()
        return {"gleaner.git_commit": f"none: {why[0]}", "gleaner.git_dirty": "unknown"}
    dirty = bool(changes(root, params).all)
    return {"gleaner.git_commit": answer.stdout.decode().strip(), "gleaner.git_dirty": str(dirty).lower()}
