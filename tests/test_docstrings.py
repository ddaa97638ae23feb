"""The docstrings of the pipeline's public functions give shape and dtype of arrays, and the errors that they raise."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
FILES = sorted((ROOT / "pipeline").rglob("*.py"))
ARRAYS = re.compile(r"\b(ndarray|Tensor)\b")
SHAPE = re.compile(
    r"\((?:[\w.*+ ]+,)+(?: ?[\w.*+ -]+)*\)|\(\.\.\., [\w ,+-]+\)"
)  # (rows,), (rows, classes), (..., classes)
DTYPE = re.compile(r"\b(float(16|32|64)?|u?int(8|16|32|64)?|bool|datetime64)\b")

Function = ast.FunctionDef | ast.AsyncFunctionDef


def functions(path: Path) -> Iterator[Function]:
    """The public functions of a module and the public methods of its public classes."""
    for node in ast.parse(path.read_text()).body:
        members = node.body if isinstance(node, ast.ClassDef) and not node.name.startswith("_") else [node]
        yield from (member for member in members if isinstance(member, Function) and not member.name.startswith("_"))


def array_parameters(function: Function) -> list[str]:
    """The names of the parameters that are arrays."""
    arguments = [*function.args.posonlyargs, *function.args.args, *function.args.kwonlyargs]
    return [arg.arg for arg in arguments if arg.annotation and ARRAYS.search(ast.unparse(arg.annotation))]


def raises(function: Function) -> bool:
    """Whether a function contains a `raise` with an exception; a bare `raise` and its calls do not count."""
    todo: list[ast.AST] = list(function.body)
    while todo:
        node = todo.pop()
        if isinstance(node, Function | ast.Lambda):
            continue
        if isinstance(node, ast.Raise) and node.exc is not None:
            return True
        todo += ast.iter_child_nodes(node)
    return False


def missing(function: Function) -> list[str]:
    """The items that the docstring of a function lacks."""
    docstring = ast.get_docstring(function) or ""
    inputs = array_parameters(function)
    returns_array = function.returns is not None and bool(ARRAYS.search(ast.unparse(function.returns)))
    lacking = [] if docstring else ["a docstring"]
    lacking += [f"``{name}``" for name in inputs if f"``{name}``" not in docstring]
    if (inputs or returns_array) and not SHAPE.search(docstring):
        lacking.append("a shape such as (rows, classes)")
    if (inputs or returns_array) and not DTYPE.search(docstring):
        lacking.append("a dtype such as float32")
    if raises(function) and "Raises" not in docstring:
        lacking.append("Raises")
    return lacking


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_public_functions_describe_their_arrays_and_errors(path: Path) -> None:
    faults = [
        f"{path.relative_to(ROOT)}:{function.lineno} {function.name} lacks {', '.join(lacking)}"
        for function in functions(path)
        if (lacking := missing(function))
    ]
    assert not faults, "\n".join(faults)
