"""docs/reference/commands.md: every command of the typer app with its help, arguments and options."""

import re
from collections.abc import Iterator
from typing import Any

import typer

from cli.__main__ import app
from docs.generate.markdown import code, limits, table

INTRO = """# Commands

Every command of `gleaner`, with its arguments, options and defaults.

Run commands in the root of a project, where `params.yaml` and `dvc.yaml` lie; elsewhere they stop and make nothing. \
Only `init`, `restore`, and `predict` with `--bundle`, work anywhere. `-h` or `--help` after a command prints its \
options, and `gleaner --version` the version. Exit codes:

| code | meaning |
|---|---|
| 0 | done: registered, promoted, approved or rejected, rolled back, a match; a night also if a version waits for \
approval or nothing was a reason to train |
| 1 | a finding (`monitor`), \
refused, insufficient, waiting for approval (`promote`), lost to another answer or promotion, different from the \
record, left for you, or failed |
| 2 | a mistake in params, data or arguments; one line names it |
| 130 | interrupted with Ctrl-C; the message says how to go on |

This page is generated from `cli/` by `make docs`.
"""


def commands_page() -> str:
    """The command reference: a section for each command of the typer app."""
    group = typer.main.get_command(app)
    parts = [INTRO]
    for name, command in single_commands(group):
        parts += command_parts(name, command)
    return "\n".join(parts)


def single_commands(group: Any, prefix: str = "") -> Iterator[tuple[str, Any]]:
    """Every command that is not hidden with its name; those of a group, such as `keys`, have its name before theirs."""
    for name, command in group.commands.items():
        if hasattr(command, "commands"):
            yield from single_commands(command, f"{prefix}{name} ")
        elif not command.hidden:
            yield f"{prefix}{name}", command


def command_parts(name: str, command: Any) -> Iterator[str]:
    """Heading, usage, help and the tables of arguments and options of one command."""
    context = typer.Context(command, info_name=f"gleaner {name}")
    shown = [param for param in command.params if not getattr(param, "hidden", False)]
    arguments = [param for param in shown if param.param_type_name == "argument"]
    options = [param for param in shown if param.param_type_name == "option"]
    usage = ["gleaner", name, *(["[OPTIONS]"] if options else []), *map(argument_name, arguments)]
    yield f"## gleaner {name}\n\n```text\n{' '.join(usage)}\n```\n\n{reflow(command.help)}\n"
    if arguments:
        rows = [[code(argument_name(param)), param.help or ""] for param in arguments]
        yield table(["argument", "meaning"], rows)
    if options:
        rows = [[option_names(param), value(param, context), default(param), param.help or ""] for param in options]
        yield table(["option", "value", "default", "meaning"], rows)


def argument_name(param: Any) -> str:
    """An argument as the usage line shows it; in brackets if it may be left out."""
    name = param.metavar or str(param.name).upper()
    return name if param.required else f"[{name}]"


def option_names(param: Any) -> str:
    """The names of an option, such as `--csv`."""
    return ", ".join(code(name) for name in [*param.opts, *param.secondary_opts])


def value(param: Any, context: typer.Context) -> str:
    """What an option takes, in words."""
    if param.is_flag:
        return "none, a switch"
    shown = param.display_type(context).strip("<>")
    if param.metavar:
        return code(param.metavar)
    kind = {"int": "whole number", "float": "number", "str": "text", "path": "path"}.get(
        re.sub(r"^list\[|\]$| range$", "", shown), shown
    )
    bounds = {"minimum": getattr(param, "min", None), "maximum": getattr(param, "max", None)}
    limited = limits({key: bound for key, bound in bounds.items() if bound is not None})
    return f"{kind}{limited}{', may be repeated' if param.multiple else ''}"


def default(param: Any) -> str:
    """The default of an option; empty if there is none."""
    none = param.default is None or param.default == "" or param.is_flag
    return "" if none else code(param.default)


def reflow(text: str | None) -> str:
    """A docstring with the line breaks inside its paragraphs removed."""
    return "\n\n".join(" ".join(paragraph.split()) for paragraph in (text or "").split("\n\n"))
