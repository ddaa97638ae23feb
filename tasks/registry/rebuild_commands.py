"""The shell commands that rebuild a registered version in a fresh folder, with git, mlflow and dvc only."""

import os
import re
from pathlib import Path
from shlex import join, quote

from pipeline.core.errors import UserError
from pipeline.core.printable import printable
from tasks.dvc.lock_file import Lock, LockEntry, outputs, raw_data, stage_order
from tasks.dvc.store import DvcStore
from tasks.git.command import run_git
from tasks.git.worktree import require_commit
from tasks.registry.registered_version import RegisteredVersion
from tasks.registry.runs import CODE_ARTIFACT, PATCH_ARTIFACT
from tasks.registry.store import is_in_project, store_uri

STAGE_NAME = re.compile(r"\w[\w.@-]*", re.ASCII)  # what DVC's names of stages have in common; none is an option
COPIED_FILES = ("params.yaml", "dvc.lock")
RECORDED_FOLDER = "recorded"  # for the artifacts from MLflow; also the name of the remote that outputs come from


def list_commands(root: Path, version: RegisteredVersion, dvc_store: DvcStore) -> list[str]:
    """The commands in order. Run them in Gleaner's environment, in the parent of the new folder.

    Whatever comes from the store is quoted for the shell. The last command prints "bit for bit" if the rebuilt outputs
    are the recorded ones. Raises UserError if the commit is not in this repository, if a file that the commands need
    was not recorded, or if a stage has a name that DVC does not take.
    """
    require_commit(root, version.title, version.commit)
    lock, patched = version.lock(), bool(version.patch())
    folder = f"{version.model}-{version.number}"
    # The project may be a folder of its repository.
    prefix = run_git(root, "rev-parse", "--show-prefix").decode().strip()
    up = "../" * prefix.count("/")
    enter = [f"cd {quote(prefix)}"] if prefix else []
    top = run_git(root, "rev-parse", "--show-toplevel").decode().strip()
    return [
        f"git clone --quiet --no-checkout {quote(top)} {quote(folder)}",
        f"cd {quote(folder)}",
        f"git checkout --quiet --detach {quote(version.commit)}",
        *download_commands(root, version),
        *([f"git apply --whitespace=nowarn {RECORDED_FOLDER}/{PATCH_ARTIFACT}"] if patched else []),
        *enter,
        *(
            [f"python -m zipfile -e {up}{RECORDED_FOLDER}/{CODE_ARTIFACT} ."]
            if version.has_artifact(CODE_ARTIFACT)
            else []
        ),
        f"cp {' '.join(f'{up}{RECORDED_FOLDER}/{name}' for name in COPIED_FILES)} .",
        *encoder_commands(root, version),
        *stage_commands(root, version, lock, dvc_store),
        f'diff {up}{RECORDED_FOLDER}/dvc.lock dvc.lock && echo "bit for bit"',
    ]


def download_commands(root: Path, version: RegisteredVersion) -> list[str]:
    """Download the artifacts of the version's run. The store is named only if it is the project's mlflow.db.

    MLFLOW_TRACKING_URI may hold a password, so it is not printed.
    """
    in_project = is_in_project(root)
    return [
        *([f"export MLFLOW_TRACKING_URI={quote(store_uri(root))}"] if in_project else []),
        f"mlflow artifacts download --run-id {quote(version.run)} --dst-path {RECORDED_FOLDER}",
    ]


def encoder_commands(root: Path, version: RegisteredVersion) -> list[str]:
    """Link the encoder, if params name a folder inside the project: git may not hold it."""
    encoder = version.params()["encoder"]
    if encoder["source"] != "path" or os.path.isabs(encoder["name"]):
        return []
    link, original = quote(f"./{encoder['name']}"), quote(str(root / encoder["name"]))  # ./-x is no option
    parent = quote(f"./{os.path.dirname(encoder['name'])}")
    return [f"[ -e {link} ] || {{ mkdir -p {parent}; ln -s {original} {link}; }}"]


def stage_commands(root: Path, version: RegisteredVersion, lock: Lock, dvc_store: DvcStore) -> list[str]:
    """Run every stage anew. A stage whose raw data git does not hold is not run: its recorded outputs are pulled.

    Raises UserError if a stage has a name that DVC does not take.
    """
    for name in lock["stages"]:
        if not STAGE_NAME.fullmatch(name):
            raise UserError(
                f"{version.title}: expected names of stages in its dvc.lock, found {printable(name)!r}; "
                "somebody changed the file, so that no commands are printed"
            )
    missing = {path for path, entry in raw_data(lock).items() if not is_in_git(root, version.commit, entry)}
    reads = {name: {dep["path"] for dep in stage.get("deps", [])} for name, stage in lock["stages"].items()}
    pulled = [name for name in stage_order(lock) if reads[name] & missing]
    if not pulled:
        return ["dvc repro --force"]
    rerun = [name for name in stage_order(lock) if name not in pulled]
    outs = [out for name in pulled for out in outputs({"stages": {name: lock["stages"][name]}}).values()]
    return [
        f"dvc remote add --local {RECORDED_FOLDER} {quote(dvc_store.location(outs))}",
        f"dvc pull --remote {RECORDED_FOLDER} {join(pulled)}",
        f'for stage in {join(rerun)}; do dvc repro --force --single-item "$stage"; done',
    ]


def is_in_git(root: Path, commit: str, entry: LockEntry) -> bool:
    """Whether a commit holds raw data at this path with as many files and bytes as the stages read."""
    path = entry["path"]
    if os.path.isabs(path) or ".." in Path(path).parts:
        return False
    listed = run_git(root, "ls-tree", "-r", "-l", "-z", commit, "--", path).split(b"\0")
    sizes = [int(line.split(b"\t")[0].split()[3]) for line in listed if line]
    return (len(sizes), sum(sizes)) == (entry.get("nfiles", 1), entry["size"])
