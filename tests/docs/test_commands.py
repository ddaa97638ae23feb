"""What the pages tell a reader to type exists: commands with their options, make targets, modules, params and files."""

import re
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest
import typer.main
import yaml
from typer.core import TyperGroup
from typer.exceptions import TyperException

from cli.__main__ import app
from pipeline.commands.configure import configure
from pipeline.core.params import Params, read_yaml
from tests.support.documents import DOCS, ROOT, Block, blocks, commands, inline_code, name

PAGES = [ROOT / "README.md", *DOCS]
RENAMES = ROOT / "docs" / "how-to" / "move-from-old-names.md"  # names keys that are gone
BLOCKS = [block for page in PAGES for block in blocks(page)]
SHELL = [block for block in BLOCKS if block.language in ("bash", "console", "sh")]
YAML_BLOCKS = [block for block in BLOCKS if block.language == "yaml"]
GLEANER: Any = typer.main.get_command(app)
TARGETS = set(re.findall(r"^([\w-]+):(?!=)", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE))
DEFAULTS = read_yaml(ROOT / "params.yaml")
OTHER_YAML = {key for file in ("dvc.yaml", "prefect.yaml") for key in read_yaml(ROOT / file)}
SOURCE = ("cli/", "flows/", "tasks/", "pipeline/", "tests/", "benchmarks/", "examples/", "docs/")
MADE_BY_COMMANDS = ("benchmarks/scratch/",)
PARAM = re.compile(rf"({'|'.join(Params.model_fields)})(\.[a-z_0-9]+)+(?=$|[ :=])")
FILE_ENDINGS = (".py", ".md", ".html", ".json", ".csv", ".parquet", ".yaml", ".png")


@pytest.mark.parametrize("block", SHELL, ids=str)
def test_every_command_parses(block: Block) -> None:
    assert list(filter(None, map(fault, commands(block)))) == []


def fault(words: list[str]) -> str | None:
    """What is wrong with a command; None for a good one, and for a program that is not ours."""
    program, arguments = words[0].rsplit("/", 1)[-1], words[1:]
    if program == "gleaner":
        return gleaner_fault(arguments)
    if program == "make":
        unknown = [word for word in arguments if not word.startswith("-") and "=" not in word and word not in TARGETS]
        return f"make {unknown}: no such target" if unknown else None
    if re.fullmatch(r"python[\d.]*", program) and arguments:
        return python_fault(arguments)
    return None


def gleaner_fault(arguments: list[str]) -> str | None:
    """What the command line would say of these arguments, without running anything."""
    if not arguments or arguments == ["--help"]:
        return None
    command = GLEANER.commands.get(arguments[0])
    while isinstance(command, TyperGroup) and len(arguments) > 1:
        command, arguments = command.commands.get(arguments[1]), arguments[1:]
    if command is None:
        return f"gleaner {arguments[0]}: no such command"
    if "--help" in arguments:
        return None
    try:
        command.make_context(arguments[0], arguments[1:])
    except TyperException as error:
        return f"gleaner {' '.join(arguments)}: {error}"
    return None


def python_fault(arguments: list[str]) -> str | None:
    """Whether the module or the file that Python is to run exists."""
    if arguments[0] == "-m":
        return None if find_spec(arguments[1]) else f"python -m {arguments[1]}: no such module"
    if arguments[0].endswith(".py"):
        return None if (ROOT / arguments[0]).is_file() else f"python {arguments[0]}: no such file"
    return None


@pytest.mark.parametrize("page", PAGES, ids=name)
def test_commands_in_prose_exist(page: Path) -> None:
    assert list(filter(None, map(inline_fault, inline_code(page)))) == []


def inline_fault(code: str) -> str | None:
    """Of a command in prose only the names count: it may leave arguments out, or put options in brackets."""
    program, _, rest = code.partition(" ")
    words = rest.replace("[", " ").replace("]", " ").split()
    if program == "make" and words and words[0] not in TARGETS:
        return f"make {words[0]}: no such target"
    if program != "gleaner" or not words or words[0].startswith("-"):
        return None
    command = GLEANER.commands.get(words[0])
    if isinstance(command, TyperGroup) and len(words) > 1:
        command = command.commands.get(words[1])
    if command is None:
        return f"gleaner {words[0]}: no such command"
    known = {option for param in command.params for option in param.opts} | {"--help"}
    unknown = [word for word in words if word.startswith("--") and word.split("=")[0] not in known]
    return f"{code}: no option {unknown}" if unknown else None


@pytest.mark.parametrize("block", YAML_BLOCKS, ids=str)
def test_every_overlay_merges_into_the_params(tmp_path: Path, block: Block) -> None:
    keys = set(yaml.safe_load(block.text))
    if keys <= OTHER_YAML:
        return
    (tmp_path / "overlay.yaml").write_text(block.text, encoding="utf-8")
    (tmp_path / "params.yaml").write_bytes((ROOT / "params.yaml").read_bytes())
    configure(tmp_path / "overlay.yaml", tmp_path / "params.yaml", "/data")


@pytest.mark.parametrize("page", [page for page in PAGES if page != RENAMES], ids=name)
def test_params_in_prose_exist(page: Path) -> None:
    named = {match[0] for code in inline_code(page) if (match := PARAM.match(code))}
    assert [key for key in sorted(named) if not key.endswith(FILE_ENDINGS) and not is_param(key)] == []


def is_param(path: str) -> bool:
    """Whether params.yaml has such a key, or the key above it holds names that a user makes up."""
    value: Any = DEFAULTS
    for key in path.split("."):
        if not isinstance(value, dict):
            return False
        if value and key not in value:
            return False
        value = value.get(key, {})
    return True


@pytest.mark.parametrize("page", PAGES, ids=name)
def test_source_files_in_prose_exist(page: Path) -> None:
    named = {code.split(":")[0] for code in inline_code(page) if re.fullmatch(r"[\w./-]+(:\w+)?", code)}
    paths = [path for path in named if path.startswith(SOURCE) and not path.startswith(MADE_BY_COMMANDS)]
    assert [path for path in sorted(paths) if not (ROOT / path).exists()] == []
