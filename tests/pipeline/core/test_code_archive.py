"""The code of the stages in one archive: it runs in place of the installed code, and nothing else gets through."""

import io
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from pipeline.core.code_archive import pack_code, unpack_code
from pipeline.core.errors import UserError
from tasks.dvc.graph import stage_graph
from tasks.project.create import create_project
from tests.support.installed import git


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A project that names the code of this checkout."""
    create_project(tmp_path / "project", demo=True)
    return tmp_path / "project"


def altered(packed: bytes, name: str, content: bytes) -> bytes:
    """The archive with one more file, or another content of a file."""
    out = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(packed)) as before, zipfile.ZipFile(out, "w") as after:
        for member in before.namelist():
            if member != name:
                after.writestr(member, before.read(member))
        after.writestr(name, content)
    return out.getvalue()


def test_the_same_code_gives_the_same_bytes() -> None:
    assert pack_code() == pack_code()


def test_a_project_with_unpacked_code_runs_it(root: Path) -> None:
    unpack_code(pack_code(), root, "version 3")
    code = "import sys, pipeline.stages.ingest.run; print(sys.modules['pipeline.stages.ingest.run'].__file__)"
    done = subprocess.run([sys.executable, "-c", code], cwd=root, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == str(root / "pipeline" / "stages" / "ingest" / "run.py")
    assert (root / "pipeline" / "stages" / "report" / "page.html.j2").is_file()
    git(root, "init", "-q")
    assert next(iter(stage_graph(root))) == "ingest"  # the dvc.yaml of the archive is none of the project's


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("pipeline/stages/swaps.py", b"print('mine')"),
        ("pipeline/sitecustomize.py", b"print('mine')"),
        ("json.py", b"print('mine')"),
        ("gleaner/template/dvc.yaml", b"stages: {}"),
    ],
)
def test_other_code_is_refused(root: Path, name: str, content: bytes) -> None:
    with pytest.raises(UserError, match="version 3: expected the code that its gleaner.yaml names"):
        unpack_code(altered(pack_code(), name, content), root, "version 3")


def test_what_is_no_archive_is_refused(root: Path) -> None:
    with pytest.raises(UserError, match="version 3: expected the code that its gleaner.yaml names"):
        unpack_code(b"no archive", root, "version 3")
