"""`gleaner clean` removes what a run makes, and nothing else; a run restores it from DVC's cache."""

import subprocess
import sys
from pathlib import Path

import pytest

from cli import clean
from tests.support.stage_project import make_stages, run_stage, shell_stage

TERMS, OWN = Path("data/identity_terms/gender.en.csv"), Path("data/raw/own.csv")


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A project with a finished stage, an edited file that git tracks, and files of the user that it does not."""
    stages = {"copy": shell_stage("copy", "mkdir data/copy/all && cp raw data/copy/all/a", ["all"], deps=["raw"])}
    make_stages(tmp_path, stages, {"raw": "1", str(TERMS): "he,she\n"})
    identity = ["-c", "user.name=test", "-c", "user.email=test@localhost"]
    subprocess.run(["git", "add", "-f", TERMS], cwd=tmp_path, check=True)
    subprocess.run(["git", *identity, "commit", "-q", "-m", "terms"], cwd=tmp_path, check=True)
    assert run_stage(tmp_path, "copy").status == "ran"
    (tmp_path / TERMS).write_text("he,she\nhim,her\n")
    for path in (OWN, "data/operations.jsonl", "mlflow.db", "data/scratch/embeddings/a/b", ".prefect/prefect.db"):
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).write_text("1")
    return tmp_path


def status(root: Path) -> str:
    """What git says of the working tree, untracked files outside data included."""
    done = subprocess.run(
        ["git", "status", "--porcelain", "-uall"], cwd=root, capture_output=True, text=True, check=True
    )
    return "\n".join(line for line in done.stdout.splitlines() if ".prefect" not in line)


def test_what_a_run_makes_goes_and_everything_else_stays(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    before = status(project)
    assert f" M {TERMS}" in before and "?? mlflow.db" in before
    assert clean.main(project) == 0
    printed = capsys.readouterr().out
    assert "data/copy/all: 1 files" in printed and "`gleaner run` brings outputs back" in printed
    assert status(project) == before
    left = {path.relative_to(project).as_posix() for path in (project / "data").rglob("*") if path.is_file()}
    locks = {"data/scratch/maintenance/lock", "data/scratch/retrain/lock"}
    assert left == {str(TERMS), str(OWN), "data/operations.jsonl", *locks}
    assert not (project / ".prefect").exists() and not (project / "data" / "copy").exists()
    assert run_stage(project, "copy").status == "restored"


def test_nothing_goes_while_a_process_works_there(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    hold = "import sys; file = open('.prefect/prefect.db'); print(flush=True); sys.stdin.read()"
    command = [sys.executable, "-c", hold]
    with subprocess.Popen(command, cwd=project, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdout and process.stdout.readline()
        assert clean.main(project) == 2
        process.communicate()
    assert f"expected no process that uses data/scratch or .prefect, found {process.pid};" in capsys.readouterr().err
    assert (project / "data" / "copy" / "all" / "a").is_file()
