"""Code of a model's author is never run: every call that loads a model says so."""

import ast
import json
import shutil
from pathlib import Path

import pytest

from pipeline.core.errors import UserError
from pipeline.models import encoder as encoders

ROOT = Path(__file__).parent.parent
LOADERS = {"from_pretrained", "from_config"}  # of transformers


def loading_calls(path: Path) -> list[ast.Call]:
    """The calls of a file that load a model, a tokenizer or a config with transformers."""
    calls = [node for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.Call)]
    return [call for call in calls if isinstance(call.func, ast.Attribute) and call.func.attr in LOADERS]


def test_every_call_that_loads_a_model_refuses_remote_code() -> None:
    files = [path for room in ("cli", "flows", "tasks", "pipeline") for path in (ROOT / room).rglob("*.py")]
    calls = [(path, call) for path in files for call in loading_calls(path)]
    assert len(calls) >= 6
    for path, call in calls:
        given = {word.arg: word.value for word in call.keywords}
        value = given.get("trust_remote_code")
        assert isinstance(value, ast.Constant) and value.value is False, f"{path}:{call.lineno}"


def test_an_encoder_that_brings_code_is_refused_and_its_code_is_not_run(tiny_encoder: Path, tmp_path: Path) -> None:
    folder = tmp_path / "encoder"
    shutil.copytree(tiny_encoder, folder)
    config = json.loads((folder / "config.json").read_text())
    own = {"AutoConfig": "own.OwnConfig", "AutoModel": "own.OwnModel"}
    (folder / "config.json").write_text(json.dumps(config | {"model_type": "own", "auto_map": own}))
    (folder / "own.py").write_text(f"open({str(tmp_path / 'run')!r}, 'w')\n")
    for load in (encoders.load, lambda folder: encoders.dropout_overrides(folder, 0.1)):
        with pytest.raises(UserError, match="expected an architecture that transformers has, found"):
            load(folder)
    assert not (tmp_path / "run").exists()
