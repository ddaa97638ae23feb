"""The commands that rebuild a registered version in a fresh folder, with git, mlflow and dvc alone."""

import os
from pathlib import Path
from shlex import quote

from tasks.dvc.lock_file import Entry, Lock, order, outputs, sources
from tasks.dvc.store import Objects
from tasks.git.command import run_git
from tasks.git.worktree import require_commit
from tasks.registry.lookup import RegisteredVersion
from tasks.registry.runs import PATCH
from tasks.registry.store import own_store, store

FILES = ("params.yaml", "dvc.lock")
KEPT = "recorded"  # the folder for what MLflow holds, and the name of the remote that outputs come from


def commands(root: Path, version: RegisteredVersion, kept: Objects) -> list[str]:
    """Shell commands, to be run one after the other where the new folder is to be, in Gleaner's environment.

    The last one says so when what was rebuilt is what was recorded, bit for bit. Raises UserError when the commit is
    not here, or a piece that they need was not recorded.
    """
    require_commit(root, version.title, version.commit)
    lock, patched = version.lock(), bool(version.patch())
    folder = f"{version.model}-{version.number}"
    inside = (
        run_git(root, "rev-parse", "--show-prefix").decode().strip()
    )  # the project may be a folder of its repository
    up = "../" * inside.count("/")
    enter = [f"cd {quote(inside)}"] if inside else []
    top = run_git(root, "rev-parse", "--show-toplevel").decode().strip()
    return [
        f"git clone --quiet --no-checkout {quote(top)} {quote(folder)}",
        f"cd {quote(folder)}",
        f"git checkout --quiet --detach {version.commit}",
        *download(root, version),
        *([f"git apply --whitespace=nowarn {KEPT}/{PATCH}"] if patched else []),
        *enter,
        f"cp {' '.join(f'{up}{KEPT}/{name}' for name in FILES)} .",
        *encoder(root, version),
        *run(root, version, lock, kept),
        f'diff {up}{KEPT}/dvc.lock dvc.lock && echo "bit for bit"',
    ]


def download(root: Path, version: RegisteredVersion) -> list[str]:
    """What the run recorded, into a folder. A store that the environment names is not named here: it may hold a key."""
    own = store(root) == own_store(root)
    return [
        *([f"export MLFLOW_TRACKING_URI={quote(store(root))}"] if own else []),
        f"mlflow artifacts download --run-id {version.run} --dst-path {KEPT}",
    ]


def encoder(root: Path, version: RegisteredVersion) -> list[str]:
    """A link to the encoder, where params name a folder inside the project that git may not hold."""
    about = version.params()["encoder"]
    if about["source"] != "path" or os.path.isabs(about["name"]):
        return []
    name, given = quote(about["name"]), quote(str(root / about["name"]))
    return [f"[ -e {name} ] || {{ mkdir -p {quote(os.path.dirname(about['name']) or '.')}; ln -s {given} {name}; }}"]


def run(root: Path, version: RegisteredVersion, lock: Lock, kept: Objects) -> list[str]:
    """Every stage anew; one whose raw data git does not hold as it was starts from its recorded outputs."""
    missing = {path for path, entry in sources(lock).items() if not in_git(root, version.commit, entry)}
    reads = {name: {dep["path"] for dep in stage.get("deps", [])} for name, stage in lock["stages"].items()}
    given = [name for name in order(lock) if reads[name] & missing]
    if not given:
        return ["dvc repro --force"]
    rest = [name for name in order(lock) if name not in given]
    outs = [out for name in given for out in outputs({"stages": {name: lock["stages"][name]}}).values()]
    return [
        f"dvc remote add --local {KEPT} {quote(kept.place(outs))}",
        f"dvc pull --remote {KEPT} {' '.join(given)}",
        f'for stage in {" ".join(rest)}; do dvc repro --force --single-item "$stage"; done',
    ]


def in_git(root: Path, commit: str, entry: Entry) -> bool:
    """Whether a commit holds raw data of as many files and bytes as were read."""
    path = entry["path"]
    if os.path.isabs(path) or ".." in Path(path).parts:
        return False
    listed = run_git(root, "ls-tree", "-r", "-l", "-z", commit, "--", path).split(b"\0")
    sizes = [int(line.split(b"\t")[0].split()[3]) for line in listed if line]
    return (len(sizes), sum(sizes)) == (entry.get("nfiles", 1), entry["size"])
