"""`gleaner explain-version` and `verify-version` in a project whose stages copy files: what they say and touch."""

import hashlib
import json
import re
import shutil
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from mlflow import MlflowClient

from cli import explain_version, verify_version
from flows.prefect_server import url_file
from pipeline.core.errors import UserError
from pipeline.core.params import load_params, read_yaml, to_yaml
from pipeline.models import classifier
from pipeline.policies.gate import GateVerdict
from tasks import registry
from tests.support.flow_project import BIN, ROOT, copy, environment, make, versions
from tests.support.real_project import git

STAGES = ["ingest", "shout", "export"]
SHOUT = """
from pathlib import Path
from pipeline.loud import loud
Path("data/shout").mkdir(parents=True, exist_ok=True)
Path("data/shout/rows.csv").write_text(loud(Path("data/ingest/rows.csv").read_text()))
"""
pytestmark = pytest.mark.slow


def run(root: Path, *words: str) -> subprocess.CompletedProcess[str]:
    """Run `gleaner` as a user does."""
    return subprocess.run(
        [f"{BIN}/gleaner", *words],
        cwd=root,
        env=environment(root),
        capture_output=True,
        text=True,
        timeout=300,
        check=False,  # the exit code is what most tests look at
    )


def commit(root: Path, message: str) -> None:
    """All that git does not ignore."""
    git(root, "add", "-A")
    git(root, "commit", "-q", "-m", message)


def module(root: Path, name: str, text: str) -> None:
    """A module of the project's own."""
    (root / "pipeline" / f"{name}.py").write_text(text)


def set_param(root: Path, section: str, **values: Any) -> None:
    """Set values in params.yaml."""
    content = read_yaml(root / "params.yaml")
    content[section] |= values
    (root / "params.yaml").write_text(to_yaml(content))


def prepare(root: Path, server: str) -> None:
    """Three stages, one of which runs code of the project, over raw data that git ignores; all else is committed."""
    make(root)
    (root / "pipeline").unlink()
    shutil.copytree(ROOT / "pipeline", root / "pipeline", ignore=shutil.ignore_patterns("__pycache__"))
    module(root, "shout", SHOUT)
    module(root, "loud", "def loud(text: str) -> str:\n    return text.upper()\n")
    (root / "raw").mkdir()
    (root / "raw" / "rows.csv").write_text("text\nmoney back\n")
    stages = read_yaml(root / "dvc.yaml")["stages"]
    stages["ingest"] = copy("ingest", "raw/rows.csv")
    stages["shout"] = {
        "cmd": "python -m pipeline.shout",
        "params": ["synonyms.seed"],
        "deps": ["data/ingest/rows.csv", "pipeline/shout.py", "pipeline/loud.py"],
        "outs": ["data/shout/rows.csv"],
    }
    stages["export"] = copy("export", "given/bundle", "data/shout/rows.csv")
    (root / "dvc.yaml").write_text(to_yaml({"stages": {name: stages[name] for name in STAGES}}))
    ignored = "\n/raw\n/.loopback\n__pycache__/\n"
    (root / ".gitignore").write_text((root / ".gitignore").read_text() + ignored)
    (root / ".dvcignore").write_text("__pycache__/\n")
    url_file(root / ".prefect").parent.mkdir()
    url_file(root / ".prefect").write_text(server)
    commit(root, "first")


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory, prefect_server: str) -> Iterator[Path]:
    """The project with three versions.

    1 is from a clean tree; 2 from one with changed and new code that nobody committed, and other raw data; 3 has a
    stage that never gives the same twice. All is committed at the end.
    """
    root = tmp_path_factory.mktemp("versions") / "project"
    root.mkdir()
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MLFLOW_DISABLE_TELEMETRY", "true")
        patch.setenv("PREFECT_API_URL", prefect_server)
        patch.setenv("MLFLOW_TRACKING_URI", "")  # so that it is forgotten afterwards, whatever MLflow writes there
        prepare(root, prefect_server)
        assert register(root).number == "1"

        (root / "raw" / "rows.csv").write_text("text\nmoney back\nparcel late\n")
        module(root, "loud", "from pipeline.louder import louder\n\n\ndef loud(text):\n    return louder(text)\n")
        module(root, "louder", "def louder(text):\n    return text.upper() + '!'\n")
        set_param(root, "synonyms", seed=7)
        assert register(root).number == "2"
        for name in ("loud", "louder"):
            (root / "pipeline" / f"{name}.py").unlink()
        git(root, "checkout", "-q", ".")

        module(root, "loud", "import time\n\n\ndef loud(text):\n    return str(time.time_ns())\n")
        commit(root, "a stage that never gives the same twice")
        assert register(root).number == "3"
        yield root


def register(root: Path) -> registry.Registration:
    """Bring every stage up to date and register what comes out, as the flow does once the gate has passed."""
    done = subprocess.run([f"{BIN}/dvc", "repro", "-q"], cwd=root, env=environment(root), check=False)
    assert done.returncode == 0
    own = load_params(root / "params.yaml")
    with registry.open_run(root, own, "a run", "flow-1") as opened:
        opened.log_results(root)
        opened.log_verdict(GateVerdict("pass", ("pass: min_accuracy: accuracy 0.9",)))
        return registry.register_or_reuse(root, own, opened)


def tags(root: Path, number: int) -> dict[str, str]:
    """The tags of a version."""
    client = MlflowClient(f"sqlite:///{root / 'mlflow.db'}")
    return dict(client.get_model_version("gleaner-demo", str(number)).tags)


def outcomes(done: subprocess.CompletedProcess[str]) -> dict[str, str]:
    """What the printed table says of each stage."""
    found = dict(re.findall(r"│ (\w[\w ]*\w)\s+│ (match|differs|as recorded|failed) ", done.stdout))
    assert found.pop("served bundle") == "match"
    return found


def everything(root: Path) -> dict[str, str]:
    """Digests of what belongs to the user: tree, index, refs, outputs, DVC's lock, cache and configuration."""
    own = [".git/index", ".git/HEAD", ".git/refs", ".dvc/cache", ".dvc/config", "store", "raw", "pipeline", "dvc.lock"]
    own += ["dvc.yaml", "params.yaml", *(f"data/{stage}" for stage in STAGES)]
    files = [file for name in own for file in ([root / name] if (root / name).is_file() else (root / name).rglob("*"))]
    return {str(file): hashlib.sha256(file.read_bytes()).hexdigest() for file in files if file.is_file()}


def nothing_left(root: Path) -> bool:
    """No worktree, and nothing of one."""
    listed = subprocess.run(["git", "worktree", "list"], cwd=root, capture_output=True, text=True, check=True).stdout
    return listed.count("\n") == 1 and not list((root / "data" / "scratch" / "verify").iterdir())


def test_a_version_is_rebuilt_bit_for_bit_and_nothing_of_the_user_is_touched(project: Path) -> None:
    (project / "raw" / "rows.csv").write_text("text\nmoney back\n")  # as it was: ingest can be run again, too
    before = everything(project)
    done = run(project, "verify-version", "1")
    assert done.returncode == 0, done.stdout + done.stderr
    assert outcomes(done) == dict.fromkeys(STAGES, "match")
    assert "gleaner-demo version 1 matches bit for bit: 3 stages rebuilt" in done.stdout
    assert everything(project) == before and nothing_left(project)
    found = tags(project, 1)
    assert found["gleaner.verified"] == "match" and found["gleaner.verified_at"].endswith("+00:00")
    (project / "raw" / "rows.csv").write_text("text\nmoney back\nnever seen\n")


def test_a_dirty_version_is_rebuilt_with_its_patch_from_recorded_outputs_in_the_remote(project: Path) -> None:
    shutil.move(project / ".dvc" / "cache", project / ".dvc" / "away")
    try:
        done = run(project, "verify-version", "2")
    finally:
        shutil.rmtree(project / ".dvc" / "cache", ignore_errors=True)
        shutil.move(project / ".dvc" / "away", project / ".dvc" / "cache")
    assert done.returncode == 0, done.stdout + done.stderr
    assert outcomes(done) == dict.fromkeys(STAGES, "match") | {"ingest": "as recorded"}
    assert "ingest: raw/rows.csv is not what it was, or not here" in done.stdout
    assert tags(project, 2)["gleaner.verified_not_rebuilt"] == "ingest"


def test_a_stage_that_gives_something_else_is_named_and_nothing_after_it_is_run(project: Path) -> None:
    done = run(project, "verify-version", "3")
    assert done.returncode == 1, done.stdout + done.stderr
    assert outcomes(done) == {"ingest": "as recorded", "shout": "differs"}
    assert "shout: data/shout/rows.csv" in done.stdout and "gleaner-demo version 3 differs at shout" in done.stdout
    found = tags(project, 3)
    assert (found["gleaner.verified"], found["gleaner.verified_differs_at"]) == ("differs", "shout")
    assert nothing_left(project)


def test_interrupted_or_killed_it_leaves_nothing_that_the_next_one_does_not_remove(
    project: Path, tmp_path: Path
) -> None:
    before, known = everything(project), tags(project, 3)
    for number, code in ((signal.SIGINT, 130), (signal.SIGKILL, -signal.SIGKILL)):
        with (tmp_path / "said").open("w") as said:
            process = subprocess.Popen(
                [f"{BIN}/gleaner", "verify-version", "3"], cwd=project, env=environment(project), stderr=said
            )
        try:
            wait_for(lambda: any((project / "data" / "scratch" / "verify").glob("*/tree/data/ingest")))
            process.send_signal(number)
            assert process.wait(60) == code, (tmp_path / "said").read_text()
        finally:
            process.kill()
        assert nothing_left(project) is (number == signal.SIGINT)
    done = run(project, "verify-version", "3", "--stage", "ingest")
    assert done.returncode == 0 and list(outcomes(done)) == ["ingest"]
    assert "up to ingest; this is not recorded" in done.stdout and tags(project, 3) == known
    assert nothing_left(project) and everything(project) == before


def wait_for(condition: Callable[[], bool], seconds: float = 60) -> None:
    """Return once the condition holds, or fail."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "waited too long"
        time.sleep(0.02)


def explained(root: Path, version: str, capsys: pytest.CaptureFixture[str], as_json: bool = True) -> str:
    """What `gleaner explain-version` prints."""
    assert explain_version.main(root, version, as_json) == 0
    return capsys.readouterr().out


def test_what_a_version_was_made_of_and_what_changed_is_told(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    facts = json.loads(explained(project, "2", capsys))
    assert facts["dirty"] == "true" and facts["compared_with"] == "1" and not facts["missing"]
    assert sorted(facts["about"]["changed"]) == ["params.yaml", "pipeline/loud.py", "pipeline/louder.py"]
    assert facts["gate"] == {"status": "pass", "reasons": ["pass: min_accuracy: accuracy 0.9"]}
    found = facts["difference"]
    assert found["params"] == {"synonyms.seed": [0, 7]} and list(found["code"]) == ["pipeline/loud.py"]
    assert found["sources"] == {"raw/rows.csv": [{"files": 1, "bytes": 16}, {"files": 1, "bytes": 28}]}
    told = explained(project, "2", capsys, as_json=False)
    assert all(text in told for text in ("synonyms.seed", "28 bytes", "with changes", "pass: min_accuracy"))
    assert "money" not in told
    assert json.loads(explained(project, "1", capsys))["difference"] is None


def test_the_commands_that_it_prints_rebuild_a_version_in_a_fresh_folder(
    project: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    commands = json.loads(explained(project, "2", capsys))["rebuild"]
    assert any(line.startswith("git apply") for line in commands)
    assert any(line.startswith("dvc pull") and line.endswith(" ingest") for line in commands)
    env = environment(project)
    done = subprocess.run(
        ["bash", "-e", "-c", "\n".join(commands)],
        cwd=tmp_path,
        env=env | {"PATH": f"{BIN}:{env['PATH']}"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0 and done.stdout.endswith("bit for bit\n"), done.stdout + done.stderr
    assert (tmp_path / "gleaner-demo-2" / "data" / "shout" / "rows.csv").read_text().endswith("PARCEL LATE\n!")


@pytest.mark.parametrize(
    ("version", "stage", "expected"),
    [
        ("9", None, r"gleaner-demo: expected one of its versions 1 \(champion\), 2, 3 \(challenger\), found 9; "),
        ("best", None, r"gleaner-demo: expected one of its versions .* found best; correct it"),
        ("1", "wrong", r"--stage: expected a stage of gleaner-demo version 1, .*; found wrong; correct it"),
    ],
)
def test_a_wrong_question_is_one_line_and_exit_code_2(
    project: Path, version: str, stage: str | None, expected: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert verify_version.main(project, version, stage) == 2
    said = capsys.readouterr()
    assert said.out == "" and re.fullmatch(f"error: {expected}.*\n", said.err)


def test_a_commit_that_is_not_here_is_told_before_anything_starts(
    project: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    shutil.copytree(project, tmp_path / "copy", ignore=shutil.ignore_patterns(".git", "cache"))
    (tmp_path / "copy").mkdir(exist_ok=True)
    git(tmp_path / "copy", "init", "-q")
    assert verify_version.main(tmp_path / "copy", "1", None) == 2
    assert re.fullmatch(r"error: gleaner-demo version 1: expected its commit \w+ in this .*\n", capsys.readouterr().err)


def test_outside_git_a_version_is_explained_without_the_commands(
    project: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    shutil.copytree(project, tmp_path / "copy", ignore=shutil.ignore_patterns(".git"))
    with pytest.raises(UserError, match="expected a project that DVC can read, found: .*not a git repository"):
        explain_version.main(tmp_path / "copy", "1", True)
    settings = tmp_path / "copy" / ".dvc" / "config"
    settings.write_text(settings.read_text().replace("[core]", "[core]\n    no_scm = true"))
    facts = json.loads(explained(tmp_path / "copy", "1", capsys))
    assert facts["rebuild"] is None and facts["commit"]
    assert any("expected a git repository to check gleaner-demo version 1 out from" in one for one in facts["missing"])


def test_a_dirty_tree_is_not_registered_where_clean_ones_are_required(project: Path) -> None:
    set_param(project, "registry", require_clean=True)
    set_param(project, "synonyms", seed=8)
    try:
        with pytest.raises(UserError, match="registry.require_clean: expected a working tree as it was committed"):
            register(project)
    finally:
        git(project, "checkout", "-q", "params.yaml")
    assert versions(project) == 3


def test_a_changed_bundle_is_told_even_with_a_manifest_that_fits(project: Path) -> None:
    """One bit and a new digest for it pass every check on load."""
    number = MlflowClient(f"sqlite:///{project / 'mlflow.db'}").get_model_version("gleaner-demo", "2").source
    bundle = next(path for path in (project / "mlruns").rglob("bundle") if str(number).split("/")[-1] in str(path))
    content = bytearray((bundle / "model.onnx").read_bytes())
    content[-1] ^= 1
    (bundle / "model.onnx").write_bytes(content)
    classifier.seal(bundle)
    done = run(project, "verify-version", "2")
    assert done.returncode == 1 and "gleaner-demo version 2 differs at served bundle" in done.stdout
    assert "served bundle/model.onnx" in done.stdout
