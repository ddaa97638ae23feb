"""A project whose stages copy files, with three registered versions: one clean, one dirty, one that never repeats."""

import subprocess
from pathlib import Path
from shutil import copytree, ignore_patterns
from typing import Any

import pytest

from pipeline.core.params import load_params, read_yaml, to_yaml
from pipeline.policies.gate import GateVerdict
from tasks import registry
from tests.support.flow_project import BIN, ROOT, announce_server, copying_stage, make_project, tool_environment
from tests.support.real_project import git, set_params

STAGES = ["ingest", "shout", "export"]
SHOUT = """
from pathlib import Path
from pipeline.loud import loud
Path("data/shout").mkdir(parents=True, exist_ok=True)
Path("data/shout/rows.csv").write_text(loud(Path("data/ingest/rows.csv").read_text()))
"""


def register_three_versions(root: Path, server: str, patch: pytest.MonkeyPatch) -> Path:
    """Make the project and register its versions.

    Version 1 is of a clean tree. Version 2 is of a tree with changed and new code that was not committed, and of other
    raw data. Version 3 has a stage whose output is never the same twice. In the end all code is committed.
    """
    root.mkdir()
    patch.setenv("MLFLOW_DISABLE_TELEMETRY", "true")
    patch.setenv("PREFECT_API_URL", server)
    patch.setenv("MLFLOW_TRACKING_URI", "")  # MLflow may set it, and the patch restores it afterwards
    make_shouting_project(root, server)
    assert register(root).number == "1"

    write_raw_rows(root, "money back", "parcel late")
    write_module(root, "loud", "from pipeline.louder import louder\n\n\ndef loud(text):\n    return louder(text)\n")
    write_module(root, "louder", "def louder(text):\n    return text.upper() + '!'\n")
    set_params(root, synonyms={"seed": 7}, gate={"min_accuracy": 0.6})
    assert register(root).number == "2"
    for name in ("loud", "louder"):
        (root / "pipeline" / f"{name}.py").unlink()
    git(root, "checkout", "-q", ".")

    write_module(root, "loud", "import time\n\n\ndef loud(text):\n    return str(time.time_ns())\n")
    commit(root, "a stage whose output is never the same twice")
    assert register(root).number == "3"
    return root


def make_shouting_project(root: Path, server: str) -> None:
    """Make and commit three stages, one of which runs code of the project; git ignores the raw data."""
    make_project(root)
    (root / "pipeline").unlink()
    copytree(ROOT / "pipeline", root / "pipeline", ignore=ignore_patterns("__pycache__"))
    write_module(root, "shout", SHOUT)
    write_module(root, "loud", "def loud(text: str) -> str:\n    return text.upper()\n")
    (root / "raw").mkdir()
    write_raw_rows(root, "money back")
    stages: dict[str, Any] = read_yaml(root / "dvc.yaml")["stages"]
    stages["ingest"] = copying_stage("ingest", "raw/rows.csv")
    stages["shout"] = {
        "cmd": "python -m pipeline.shout",
        "params": ["synonyms.seed"],
        "deps": ["data/ingest/rows.csv", "pipeline/shout.py", "pipeline/loud.py"],
        "outs": ["data/shout/rows.csv"],
    }
    stages["export"] = copying_stage("export", "given/bundle", "data/shout/rows.csv")
    (root / "dvc.yaml").write_text(to_yaml({"stages": {name: stages[name] for name in STAGES}}))
    ignored = "\n/raw\n/.loopback\n__pycache__/\n"
    (root / ".gitignore").write_text((root / ".gitignore").read_text() + ignored)
    (root / ".dvcignore").write_text("__pycache__/\n")
    announce_server(root, server)
    commit(root, "first")


def register(root: Path) -> registry.Registration:
    """Bring every stage up to date and register the model, as the flow does once the gate has passed."""
    done = subprocess.run([f"{BIN}/dvc", "repro", "-q"], cwd=root, env=tool_environment(root), check=False)
    assert done.returncode == 0
    params = load_params(root / "params.yaml")
    with registry.open_run(root, params, "a run", "flow-1") as opened:
        opened.log_results(root)
        opened.log_verdict(GateVerdict("pass", ("pass: min_accuracy: accuracy 0.9",)))
        return registry.register_or_reuse(root, params, opened)


def commit(root: Path, message: str) -> None:
    """Commit all files that git does not ignore."""
    git(root, "add", "-A")
    git(root, "commit", "-q", "-m", message)


def write_module(root: Path, name: str, text: str) -> None:
    """Write a module of the project's pipeline."""
    (root / "pipeline" / f"{name}.py").write_text(text)


def write_raw_rows(root: Path, *texts: str) -> None:
    """Write the raw data that the stage ingest copies."""
    (root / "raw" / "rows.csv").write_text("".join(f"{line}\n" for line in ("text", *texts)))
