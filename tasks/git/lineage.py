"""The lineage of a model version: the git commit, and digests of the lock file, the data and the params."""

import hashlib
import json
from pathlib import Path
from typing import Any

from pipeline.core.digests import file_sha256
from pipeline.core.installed import installed_version
from pipeline.core.params import Params, read_yaml
from tasks.git.head import read_head
from tasks.git.patch import find_changes


def lineage_tags(root: Path, params: Params) -> dict[str, str]:
    """Tags that identify the code, data and params in the working tree now.

    Raises UserError if there is no dvc.lock yet, or if git fails in a repository.
    """
    lock = read_yaml(root / "dvc.lock")
    ingested = lock["stages"].get("ingest", {}).get("outs", [])
    return {
        **git_tags(root, params),
        "gleaner.dvc_lock": json_digest(lock),
        "gleaner.data": json_digest({out["path"]: out.get("md5") for out in ingested}),
        "gleaner.params": json_digest(params.model_dump(mode="json")),
        "gleaner.constraints": file_sha256(root / "constraints.txt"),
        "gleaner.version": installed_version(),
    }


def json_digest(content: Any) -> str:
    """SHA-256 of the content as JSON with sorted keys. The order of the keys follows the stages and says nothing."""
    text = json.dumps(content, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return hashlib.sha256(text.encode()).hexdigest()


def git_tags(root: Path, params: Params) -> dict[str, str]:
    """The commit, and whether the tree differs from it. dvc.lock does not count: a run writes it, and it has a tag."""
    head = read_head(root)
    if head.commit is None:
        return {"gleaner.git_commit": str(head), "gleaner.git_dirty": "unknown"}
    dirty = bool(find_changes(root, params).all)
    return {"gleaner.git_commit": head.commit, "gleaner.git_dirty": str(dirty).lower()}
