"""Ways to break a bundle of `tests.support.word_bundle`, with the part of the message that names the fault."""

import json
import os
import shutil
import socket
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from pipeline.models import classifier
from tests.support import word_bundle

FILES = ("MANIFEST.json", "classifier.json", "tokenizer.json", "model.onnx")
Spoil = Callable[[Path], Any]


def sealed(spoil: Spoil) -> Spoil:
    """Spoil a bundle, and seal it again, as an attacker would or a broken export might."""

    def spoil_and_seal(folder: Path) -> None:
        spoil(folder)
        classifier.seal(folder)

    return spoil_and_seal


def setting(**values: Any) -> Spoil:
    """Change keys of classifier.json, and remove those that are ``...``; seal again."""

    def change(folder: Path) -> None:
        path = folder / "classifier.json"
        content = json.loads(path.read_text()) | values
        path.write_text(json.dumps({key: value for key, value in content.items() if value is not ...}))

    return sealed(change)


def content(name: str, text: str | bytes) -> Spoil:
    """Replace the content of a file."""
    return lambda folder: (folder / name).write_bytes(text.encode() if isinstance(text, str) else text)


def flip_bit(name: str) -> Spoil:
    """Flip one bit in the middle of a file."""

    def flip(folder: Path) -> None:
        data = bytearray((folder / name).read_bytes())
        data[len(data) // 2] ^= 4
        (folder / name).write_bytes(data)

    return flip


def without(name: str) -> Spoil:
    """Remove a file."""
    return lambda folder: (folder / name).unlink()


def cut(name: str) -> Spoil:
    """Keep the first half of a file."""
    return lambda folder: os.truncate(folder / name, (folder / name).stat().st_size // 2)


def manifest(**entries: Any) -> Spoil:
    """Add entries to the manifest; ``__`` in a name stands for a slash, and ``_`` for a dot."""

    def add(folder: Path) -> None:
        path = folder / "MANIFEST.json"
        names = {name.replace("__", "/").replace("_", "."): value for name, value in entries.items()}
        path.write_text(json.dumps(json.loads(path.read_text()) | names))

    return add


def change_model(change: Callable[[onnx.ModelProto], Any]) -> Spoil:
    """Change the ONNX model, and seal again."""

    def save(folder: Path) -> None:
        model = onnx.load(folder / "model.onnx")
        change(model)
        (folder / "model.onnx").write_bytes(model.SerializeToString())

    return sealed(save)


def table(values: Any) -> Spoil:
    """Another table of scores, (tokens, labels)."""
    return sealed(lambda folder: word_bundle.save_model(np.array(values, dtype=np.float32), folder / "model.onnx"))


def move_outside(tensor: Any, location: str = "secret.bin") -> None:
    """Let a tensor lie in another file."""
    tensor.ClearField("raw_data")
    tensor.data_location = TensorProto.EXTERNAL
    tensor.external_data.add(key="location", value=location)


def add_subgraph(model: onnx.ModelProto) -> None:
    """Add a branch, with a constant that lies in another file, to a node of the model."""
    hidden = numpy_helper.from_array(np.zeros(4, dtype=np.float32), "hidden")
    move_outside(hidden)
    nodes = [helper.make_node("Constant", [], ["branch"], value=hidden)]
    branch = helper.make_graph(nodes, "branch", [], [helper.make_tensor_value_info("branch", TensorProto.FLOAT, [4])])
    model.graph.node.append(helper.make_node("If", ["condition"], ["unused"], then_branch=branch, else_branch=branch))


def add_function(model: onnx.ModelProto) -> None:
    """Add a function, with an initial value that lies in another file, to the model."""
    hidden = numpy_helper.from_array(np.zeros(4, dtype=np.float32), "hidden")
    move_outside(hidden)
    node = helper.make_node("Constant", [], ["out"], value=hidden)
    model.functions.append(helper.make_function("own", "F", [], ["out"], [node], [helper.make_opsetid("", 17)]))


def rename_input(model: onnx.ModelProto) -> None:
    """Give the input another name."""
    model.graph.input[0].name = "words"
    model.graph.node[0].input[1] = "words"


def retype_input(model: onnx.ModelProto) -> None:
    """Let the input be 32-bit."""
    model.graph.input[0].type.tensor_type.elem_type = TensorProto.INT32


def rename_output(model: onnx.ModelProto) -> None:
    """Give the output another name."""
    model.graph.output[0].name = "scores"
    model.graph.node[-1].output[0] = "scores"


def link_outside(name: str) -> Spoil:
    """Move a file or folder out of the bundle, and link it."""

    def link(folder: Path) -> None:
        (folder / name).rename(folder.parent / "elsewhere")
        (folder / name).symlink_to(folder.parent / "elsewhere")

    return link


def link_folder(folder: Path) -> None:
    """A linked folder, whose files no manifest lists."""
    (folder.parent / "weights").mkdir()
    (folder.parent / "weights" / "model.bin").write_bytes(b"\x80\x04.")
    (folder / "encoder").symlink_to(folder.parent / "weights")


def bind_socket(folder: Path) -> None:
    """A socket in the place of a file; its path is short, as the system wants it."""
    here = Path.cwd()
    os.chdir(folder)
    try:
        with socket.socket(socket.AF_UNIX) as bound:
            bound.bind("x.json")
    finally:
        os.chdir(here)


def replace_by_file(folder: Path) -> None:
    """A file in the place of the bundle."""
    shutil.rmtree(folder)
    folder.write_text("no folder")


def replace_by_pipe(name: str) -> Spoil:
    """A pipe, which nobody writes to, in the place of a file."""

    def replace(folder: Path) -> None:
        (folder / name).unlink()
        os.mkfifo(folder / name)

    return replace


def larger_tokenizer(folder: Path) -> None:
    """The tokenizer of a model with more words."""
    other = word_bundle.build(folder.parent / "other", {f"w{i}": [1.0, 0.0] for i in range(50)}, ["up", "down"])
    shutil.copy(other / "tokenizer.json", folder)
