"""What every stage shares: how it starts, how it ends, and that nothing half-written has a final name."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from pipeline.errors import UserError
from pipeline.stage import progress, read_json, replace, write_json

ROOT = Path(__file__).parent.parent


def python(*words: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, *words], cwd=cwd, env={"PYTHONPATH": str(ROOT)}, capture_output=True, text=True, check=False
    )


def test_a_users_mistake_ends_as_one_line_and_exit_code_2(tmp_path: Path) -> None:
    done = python("-m", "pipeline.ingest", cwd=tmp_path)
    assert done.returncode == 2
    assert done.stderr.startswith("error: ")
    assert len(done.stderr.splitlines()) == 1


def test_metrics_of_an_earlier_run_are_gone_when_a_run_fails(tmp_path: Path) -> None:
    own = (ROOT / "params.yaml").read_text().replace("path: data/demo ", "path: nowhere ")
    (tmp_path / "params.yaml").write_text(own)
    metrics = tmp_path / "data" / "ingest" / "metrics.json"
    write_json({"rows": 1}, metrics)
    assert python("-m", "pipeline.ingest", cwd=tmp_path).returncode == 2
    assert not metrics.exists()


@pytest.mark.parametrize("module", ["ingest", "finetune", "pseudo_label", "evaluate", "export", "pretrain"])
def test_importing_a_stage_does_nothing_and_loads_no_heavy_library(tmp_path: Path, module: str) -> None:
    code = f"import sys, pipeline.{module}; print(sorted({{'torch', 'transformers', 'sklearn'}} & set(sys.modules)))"
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
        replace(path, fail)
    assert json.loads(path.read_text()) == {"old": 1}


def test_a_folder_is_replaced_whole(tmp_path: Path) -> None:
    folder = tmp_path / "model"
    for name in ("first", "second"):
        replace(folder, lambda part, name=name: (part.mkdir(), (part / name).touch()))  # type: ignore[misc]
    assert [path.name for path in folder.iterdir()] == ["second"]
    assert [path.name for path in tmp_path.iterdir()] == ["model"]


def test_a_missing_output_of_an_earlier_stage_is_told(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="expected the output of an earlier stage"):
        read_json(tmp_path / "none.json")


def test_progress_hands_on_every_item(capsys: pytest.CaptureFixture[str]) -> None:
    assert list(progress(iter([1, 2, 3]), "count", total=3)) == [1, 2, 3]
    assert "count: " in capsys.readouterr().err
