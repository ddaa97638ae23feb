"""The gleaner command: fast help, one line and exit code 2 for a user's error."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from cli.__main__ import app, main
from pipeline.core.params import load_params

ROOT = Path(__file__).parents[2]


def gleaner(cwd, *arguments):
    return subprocess.run(
        [sys.executable, "-m", "cli", *arguments],
        cwd=cwd,
        env={key: value for key, value in os.environ.items() if key != "GLEANER_DATA"} | {"PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.fixture
def project(tmp_path):
    for name in ("params.yaml", "dvc.yaml"):
        shutil.copyfile(ROOT / name, tmp_path / name)
    return tmp_path


def test_help_imports_nothing_heavy():
    code = (
        "import sys; sys.argv = ['gleaner', '--help']\n"
        "from cli.__main__ import main\n"
        "try: main()\n"
        "except SystemExit: pass\n"
        "print(sorted({'prefect', 'mlflow', 'torch', 'transformers', 'pandas', 'dvc'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "[]"
    assert all(command in done.stdout for command in ("run", "configure", "predict", "suggest", "doctor", "ui"))


def test_outside_a_project_every_command_stops_with_one_line_and_leaves_nothing(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    arguments = {"configure": ["file"], "suggest": ["5"], "backup": ["copy"], "predict": ["-"], "explain": ["-"]}
    arguments |= {"approve": ["1", "--by", "me", "--reason", "good"]}
    for command in [
        info.name or info.callback.__name__
        for group in app.registered_groups
        for info in group.typer_instance.registered_commands
    ]:
        if command in ("restore", "init", "doctor"):  # they make a project, or check the machine
            continue
        monkeypatch.setattr(sys, "argv", ["gleaner", command, *arguments.get(command, [])])
        with pytest.raises(SystemExit) as ended:
            main()
        printed = capsys.readouterr()
        assert (ended.value.code, printed.out) == (2, ""), command
        assert printed.err.startswith(f"error: {tmp_path}: expected a Gleaner project, params.yaml and dvc.yaml, found")
        assert printed.err.count("\n") == 1 and not list(tmp_path.iterdir()), command


def test_every_command_takes_h_for_help_and_the_version_is_printed():
    from typer.testing import CliRunner

    from cli.__main__ import app

    for command in ([], ["run"], ["suggest"], ["explain-version"]):
        done = CliRunner().invoke(app, [*command, "-h"])
        assert done.exit_code == 0 and "--help" in done.output
    done = CliRunner().invoke(app, ["--version"])
    assert (done.exit_code, done.output.split()[0]) == (0, "gleaner")


def test_configure_writes_params(project):
    done = gleaner(project, "configure", str(ROOT / "examples" / "banking77.yaml"), "--data", "/data")
    assert done.returncode == 0, done.stderr
    assert "changed ingest.path" in done.stdout
    assert load_params(project / "params.yaml").ingest.path == "/data/banking77"


def test_a_users_error_is_one_line_and_exit_code_2(project):
    done = gleaner(project, "configure", str(ROOT / "examples" / "banking77.yaml"))
    assert done.returncode == 2
    assert done.stderr.startswith("error: ") and "GLEANER_DATA" in done.stderr
    assert "Traceback" not in done.stderr and len(done.stderr.splitlines()) == 1


def test_predict_without_a_bundle_is_a_users_error(project):
    (project / "texts.txt").write_text("hello\n")
    done = gleaner(project, "predict", "texts.txt")
    assert done.returncode == 2
    assert done.stderr.startswith("error: ") and "Traceback" not in done.stderr


def test_doctor_exits_1_when_something_is_missing(project):
    done = gleaner(project, "doctor")
    assert done.returncode == 1
    assert "MISSING DVC: expected a DVC repository" in done.stdout
    assert "ok      Python" in done.stdout
