"""dvc.yaml and gleaner.yaml of a project: the stages of the installed Gleaner, with digests in place of its code."""

from collections.abc import Mapping
from io import StringIO
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML

from pipeline.core.installed import PIN_FILE, installed_version, is_code_path, stage_digests, template_folder
from pipeline.core.params import to_yaml
from pipeline.core.stage import write_atomically
from pipeline.core.yaml_file import read_yaml

DEFINITION_HEADER = """\
# The one graph, as Gleaner brings it: `gleaner upgrade` replaces these stages, and keeps those that you add.
# A stage runs again when its data, its section of params.yaml or, by its digest in gleaner.yaml, its code changes.
"""
PIN_HEADER = """\
# The Gleaner that this project runs with, and a digest of the code of each stage. `gleaner upgrade` writes this file.
"""


def project_definition() -> dict[str, Any]:
    """The content of the installed dvc.yaml, in which each stage depends on its digest in place of its code."""
    content: dict[str, Any] = read_yaml(template_folder() / "dvc.yaml")
    for name, stage in content["stages"].items():
        stage["deps"] = [dep for dep in stage["deps"] if not is_code_path(dep)]
        stage["params"] = [*stage.get("params", []), {PIN_FILE: [f"stages.{name}"]}]
    return content


def definition_text(content: Mapping[str, Any]) -> str:
    """A dvc.yaml as text."""
    yaml = YAML()
    yaml.indent(mapping=2, sequence=4, offset=2)
    yaml.width = 1000
    text = StringIO()
    yaml.dump(dict(content), text)
    return DEFINITION_HEADER + text.getvalue()


def installed_pin() -> dict[str, Any]:
    """The content of gleaner.yaml for the installed Gleaner."""
    return {"gleaner": installed_version(), "stages": stage_digests()}


def write_text(path: Path, text: str) -> None:
    """Write a file, whole or not at all."""
    write_atomically(path, lambda part: part.write_text(text, encoding="utf-8"))


def pin_text() -> str:
    """gleaner.yaml for the installed Gleaner, as text."""
    return PIN_HEADER + to_yaml(installed_pin())
