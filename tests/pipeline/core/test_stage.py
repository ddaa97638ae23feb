"""What every stage shares: how it starts and ends, and that no half-written file has its final name."""

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from pipeline.core.errors import UserError
from pipeline.core.stage import (
    progress,
    read_json,
    report_crash,
    waiting,
    withhold_message,
    write_atomically,
    write_json,
)

ROOT = Path(__file__).parents[3]


def python(*words: str, cwd: Path, **variables: str) -> subprocess.CompletedProcess[str]:
    environment = {"PYTHONPATH": str(ROOT), **variables}
    return subprocess.run(
        [sys.executable, *words], cwd=cwd, env=environment, capture_output=True, text=True, check=False
    )


def test_a_user_error_ends_as_one_line_and_exit_code_2(tmp_path: Path) -> None:
    done = python("-m", "pipeline.stages.ingest", cwd=tmp_path)
    assert done.returncode == 2
    assert done.stderr.startswith("error: ")
    assert len(done.stderr.splitlines()) == 1


def test_a_folder_of_a_stage_that_is_a_link_to_nowhere_ends_as_one_line(tmp_path: Path) -> None:
    (tmp_path / "params.yaml").write_text((ROOT / "params.yaml").read_text())
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "ingest").symlink_to("/gone")
    done = python("-m", "pipeline.stages.ingest", cwd=tmp_path)
    assert done.returncode == 2 and len(done.stderr.splitlines()) == 1
    assert done.stderr.startswith("error: ingest: expected ") and "found a link to /gone" in done.stderr


@pytest.mark.parametrize("raised", ["open('/dev/full', 'w').write('x' * 99999)", "raise RuntimeError(full)"])
def test_a_full_disk_ends_as_one_line_and_exit_code_2(tmp_path: Path, raised: str) -> None:
    (tmp_path / "params.yaml").write_text((ROOT / "params.yaml").read_text())
    code = (
        "import runpy, sys, pipeline.stages.ingest\n"
        "full = 'a text of a row: No space left on device (os error 28)'\n"
        "def run(params, paths):\n"
        f"    {raised}\n"
        "sys.modules['pipeline.stages.ingest.run'].run = run\n"
        "runpy.run_module('pipeline.stages.ingest', run_name='__main__', alter_sys=True)\n"
    )
    done = python("-c", code, cwd=tmp_path)
    assert done.returncode == 2 and len(done.stderr.splitlines()) == 1
    assert "found no space left on the disk" in done.stderr and "a row" not in done.stderr


def test_metrics_of_an_earlier_run_are_gone_when_a_run_fails(tmp_path: Path) -> None:
    content = (ROOT / "params.yaml").read_text().replace("path: data/demo ", "path: nowhere ")
    (tmp_path / "params.yaml").write_text(content)
    metrics = tmp_path / "data" / "ingest" / "metrics.json"
    write_json({"rows": 1}, metrics)
    assert python("-m", "pipeline.stages.ingest", cwd=tmp_path).returncode == 2
    assert not metrics.exists()


@pytest.mark.parametrize(("umask", "mode"), [(None, 0o600), ("027", 0o640), ("0007", 0o660)])
def test_only_the_owner_or_whom_the_variable_admits_can_read_outputs(
    tmp_path: Path, umask: str | None, mode: int
) -> None:
    shutil.copyfile(ROOT / "params.yaml", tmp_path / "params.yaml")
    shutil.copytree(ROOT / "data" / "demo", tmp_path / "data" / "demo")
    variables = {"GLEANER_UMASK": umask} if umask else {}
    done = python("-m", "pipeline.stages.ingest", cwd=tmp_path, **variables)
    assert done.returncode == 0, done.stderr
    modes = {path.stat().st_mode & 0o777 for path in (tmp_path / "data" / "ingest").iterdir()}
    assert modes == {mode} and (tmp_path / "data" / "ingest").stat().st_mode & 0o7 == 0


@pytest.mark.parametrize("umask", ["", "9", "rw", "777", "-1"])
def test_a_variable_that_is_no_umask_is_refused(tmp_path: Path, umask: str) -> None:
    done = python("-m", "pipeline.stages.ingest", cwd=tmp_path, GLEANER_UMASK=umask)
    assert done.returncode == 2 and done.stderr.startswith("error: GLEANER_UMASK: expected a umask from 000 to 077")


@pytest.mark.parametrize("module", ["ingest", "finetune", "pseudo_label", "evaluate", "export", "pretrain"])
def test_importing_a_stage_does_nothing_and_loads_no_heavy_library(tmp_path: Path, module: str) -> None:
    heavy = {"torch", "transformers", "sklearn"}
    code = f"import sys, pipeline.stages.{module}; print(sorted({heavy!r} & set(sys.modules)))"
    done = python("-c", code, cwd=tmp_path)
    assert done.stdout.strip() == "[]", done.stderr
    assert not list(tmp_path.iterdir())


def test_a_write_that_breaks_off_leaves_the_old_file(tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    write_json({"old": 1}, path)

    def fail(part: Path) -> None:
        part.write_text("half")
        raise RuntimeError

    with pytest.raises(RuntimeError):
        write_atomically(path, fail)
    assert json.loads(path.read_text()) == {"old": 1}


def test_two_processes_may_write_the_same_file_and_what_a_dead_one_left_is_removed(tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    (tmp_path / ".a.json.999999999.part").write_text("left by a process that was killed")

    def write(part: Path) -> None:
        part.write_text("mine")
        python("-c", f"from pipeline.core.stage import *; write_json('theirs', Path({str(path)!r}))", cwd=tmp_path)
        assert json.loads(path.read_text()) == "theirs"

    write_atomically(path, write)
    assert path.read_text() == "mine"
    assert [path.name for path in tmp_path.iterdir()] == ["a.json"]


def test_a_folder_is_replaced_whole(tmp_path: Path) -> None:
    folder = tmp_path / "model"
    for name in ("first", "second"):
        write_atomically(folder, lambda part, name=name: (part.mkdir(), (part / name).touch()))  # type: ignore[misc]
    assert [path.name for path in folder.iterdir()] == ["second"]
    assert [path.name for path in tmp_path.iterdir()] == ["model"]


def test_a_missing_output_of_an_earlier_stage_raises(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="expected the output of an earlier stage"):
        read_json(tmp_path / "none.json")


def test_a_block_that_cannot_say_how_far_it_is_says_what_it_is_and_how_long_it_took(
    capsys: pytest.CaptureFixture[str],
) -> None:
    with waiting("export: ONNX file"):
        pass
    lines = [line.strip() for line in capsys.readouterr().err.splitlines() if line.strip()]
    assert lines == ["export: ONNX file [00:00]"] * 2


def test_progress_passes_on_every_item(capsys: pytest.CaptureFixture[str]) -> None:
    assert list(progress(iter([1, 2, 3]), "count", total=3)) == [1, 2, 3]
    assert "count: " in capsys.readouterr().err


def test_a_crash_prints_where_it_was_but_no_message_that_may_quote_a_row(tmp_path: Path) -> None:
    (tmp_path / "params.yaml").write_text((ROOT / "params.yaml").read_text())
    code = (
        "import runpy, sys, pipeline.stages.ingest\n"
        "def run(params, paths):\n"
        "    try:\n"
        "        float('where is my parcel')\n"
        "    except ValueError as error:\n"
        "        raise KeyError('a text of a row') from error\n"
        "sys.modules['pipeline.stages.ingest.run'].run = run\n"
        "runpy.run_module('pipeline.stages.ingest', run_name='__main__', alter_sys=True)\n"
    )
    done = python("-c", code, cwd=tmp_path)
    assert done.returncode == 1
    assert "Traceback" in done.stderr and "line 6, in run" in done.stderr
    assert "text of a row" not in done.stderr
    assert "parcel" not in done.stderr
    crash = tmp_path / "data" / "scratch" / "ingest" / "crash.txt"
    assert f"KeyError; its message may quote a row, so it is in {crash}" in done.stderr
    assert "where is my parcel" in crash.read_text() and "KeyError: 'a text of a row'" in crash.read_text()
    assert crash.stat().st_mode & 0o077 == 0


def test_an_error_of_the_system_is_printed_in_full(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    try:
        (tmp_path / "none").read_text()
    except OSError as error:
        report_crash(error, tmp_path / "crash.txt")
    assert "No such file or directory" in capsys.readouterr().err


def test_a_withheld_message_stays_in_a_file_on_this_machine(tmp_path: Path) -> None:
    path = tmp_path / "crash.txt"
    with (
        pytest.raises(RuntimeError, match=f"^ValueError; its message may quote a row, so it is in {path}$") as caught,
        withhold_message(path),
    ):
        float("where is my parcel")
    assert caught.value.__cause__ is None and caught.value.__suppress_context__
    assert "where is my parcel" in path.read_text()
    with pytest.raises(UserError, match="^train.csv"), withhold_message(path):
        raise UserError("train.csv: expected a header")
