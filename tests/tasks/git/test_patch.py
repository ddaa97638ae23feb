"""The patch of a version: what goes into it, what never does, and that it rebuilds the working tree."""

import hashlib
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from pipeline.core.errors import UserError
from pipeline.core.params import Params, to_yaml
from tasks.git.patch import find_changes, require_clean

SECRET = "a text that somebody wrote"
LOCK = {
    "schema": "2.0",
    "stages": {
        "ingest": {
            "cmd": "x",
            "deps": [{"path": "corpus", "md5": "1"}, {"path": "helpers/odd.py", "md5": "2"}],
            "outs": [{"path": "data/ingest/train.parquet", "md5": "3"}],
        }
    },
}


def git(root: Path, *words: str, stdin: bytes | None = None) -> str:
    """Run git as the user test, and return what it prints."""
    identity = ["-c", "user.name=test", "-c", "user.email=test@localhost"]
    done = subprocess.run(["git", *identity, *words], cwd=root, check=True, capture_output=True, input=stdin)
    return done.stdout.decode().strip()


def write(root: Path, **files: str) -> None:
    """Write files; in their names, __ stands for / and _DOT_ for a dot."""
    for name, text in files.items():
        path = root / name.replace("__", "/").replace("_DOT_", ".")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A committed project with its raw data in git."""
    root = tmp_path / "project"
    root.mkdir()
    write(
        root,
        pipeline__stage_DOT_py="one\n",
        pipeline__old_DOT_py="old\n",
        helpers__odd_DOT_py="odd\n",
        helpers__notes_DOT_txt="notes\n",
        corpus__rows_DOT_csv="text\n",
        data__demo__rows_DOT_csv="text\n",
        params_DOT_yaml="a: 1\n",
        dvc_DOT_lock=to_yaml(LOCK),
        _DOT_gitignore="__pycache__/\n",
    )
    git(root, "init", "-q")
    git(root, "add", "-A")
    git(root, "commit", "-q", "-m", "first")
    return root


@pytest.fixture
def corpus_params(params: Callable[..., Params]) -> Params:
    """Params whose raw data is a folder of the project."""
    return params({"ingest": {"path": "corpus"}})


def change_much(root: Path) -> None:
    """Change, add, remove and stage code; change data and notes."""
    write(
        root,
        pipeline__stage_DOT_py="two\n",
        pipeline__new__deep_DOT_py="new\n",
        helpers__odd_DOT_py="odder\n",
        helpers__notes_DOT_txt=SECRET,
        params_DOT_yaml="a: 2\n",
        corpus__rows_DOT_csv=SECRET,
        corpus__code_DOT_py=SECRET,
        data__demo__rows_DOT_csv=SECRET,
        dvc_DOT_lock=to_yaml(LOCK) + "\n",
    )
    (root / "pipeline" / "old.py").unlink()
    (root / "pipeline" / "weights.bin").write_bytes(bytes(range(256)))
    git(root, "add", "pipeline/new")


def contents(root: Path) -> dict[str, bytes]:
    """The content of every file of a folder, without .git."""
    files = (path for path in root.rglob("*") if path.is_file() and ".git" not in path.parts)
    return {path.relative_to(root).as_posix(): path.read_bytes() for path in files}


def test_a_clean_tree_has_no_patch_whatever_the_lock_file_says(project: Path, corpus_params: Params) -> None:
    (project / "dvc.lock").write_text(to_yaml(LOCK) + "\n")
    assert find_changes(project, corpus_params).all == () and find_changes(project, corpus_params).patch == b""
    require_clean(project, corpus_params)


def test_the_patch_rebuilds_the_tree_except_data(project: Path, corpus_params: Params, tmp_path: Path) -> None:
    change_much(project)
    found_changes = find_changes(project, corpus_params)
    code = ("helpers/odd.py", "params.yaml", "pipeline/new/deep.py", "pipeline/old.py", "pipeline/stage.py")
    assert sorted(found_changes.files) == sorted([*code, "pipeline/weights.bin"])
    assert sorted(found_changes.left_out) == ["corpus/rows.csv", "data/demo/rows.csv", "helpers/notes.txt"]
    git(project, "worktree", "add", "-q", "--detach", str(tmp_path / "other"), "HEAD")
    git(tmp_path / "other", "apply", "-", stdin=found_changes.patch)
    here, there = contents(project), contents(tmp_path / "other")
    assert {path for path in here.keys() | there.keys() if here.get(path) != there.get(path)} == {
        *found_changes.left_out,
        "corpus/code.py",
        "dvc.lock",
    }


def test_no_text_of_a_row_is_in_the_patch(project: Path, corpus_params: Params) -> None:
    change_much(project)
    assert SECRET.encode() not in find_changes(project, corpus_params).patch


def test_the_users_index_and_objects_stay_as_they_are(project: Path, corpus_params: Params) -> None:
    change_much(project)

    def inside() -> dict[str, str]:
        files = (path for path in (project / ".git").rglob("*") if path.is_file())
        return {str(path): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}

    before = inside()
    find_changes(project, corpus_params)
    assert inside() == before


def test_the_patch_applies_whatever_the_users_git_settings_are(
    project: Path, corpus_params: Params, tmp_path: Path
) -> None:
    for key, value in (("diff.noprefix", "true"), ("color.ui", "always"), ("diff.external", "false")):
        git(project, "config", key, value)
    write(project, pipeline__stage_DOT_py="two\n")
    git(project, "worktree", "add", "-q", "--detach", str(tmp_path / "other"), "HEAD")
    git(tmp_path / "other", "apply", "-", stdin=find_changes(project, corpus_params).patch)
    assert (tmp_path / "other" / "pipeline" / "stage.py").read_text() == "two\n"


def test_a_project_inside_a_larger_repository_has_only_its_changes(
    project: Path, corpus_params: Params, tmp_path: Path
) -> None:
    inner = tmp_path / "outer" / "inner"
    inner.parent.mkdir()
    (project / ".git").rename(tmp_path / "gone")
    project.rename(inner)
    (inner.parent / "README").write_text("1")
    git(inner.parent, "init", "-q")
    git(inner.parent, "add", "-A")
    git(inner.parent, "commit", "-q", "-m", "first")
    (inner.parent / "README").write_text("2")
    write(inner, pipeline__stage_DOT_py="two\n")
    found_changes = find_changes(inner, corpus_params)
    assert found_changes.all == ("pipeline/stage.py",) and b"a/inner/pipeline/stage.py" in found_changes.patch


def test_a_dirty_tree_is_refused_in_one_line_if_it_must_be_clean(project: Path, corpus_params: Params) -> None:
    write(project, pipeline__extra_DOT_py="new, and nobody told git\n")
    with pytest.raises(UserError, match=r"^registry\.require_clean: .* changes in pipeline/extra\.py; nothing is"):
        require_clean(project, corpus_params)
    (project / ".git").rename(project / "gone")
    assert find_changes(project, corpus_params).all == ()
    with pytest.raises(UserError, match=r"^registry\.require_clean: .* found no git repository; nothing is"):
        require_clean(project, corpus_params)
