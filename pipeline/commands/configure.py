"""Merge an overlay, such as those in examples/, into params.yaml: checked first, comments kept, written whole.

gleaner configure examples/banking77.yaml
"""

import os
from collections.abc import Iterator, Mapping
from io import StringIO
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.comments import CommentedMap, CommentedSeq

from pipeline.core.errors import UserError
from pipeline.core.params import read_yaml, validate
from pipeline.core.stage import replace

# Mappings whose keys are the user's own: an overlay replaces them whole, else the demo's entries would linger.
FREE_FORM = {"ingest.columns.groups", "ingest.labels.rename", "ingest.labels.descriptions", "ingest.group_bins"}
DATA = "GLEANER_DATA"
VARIABLE = "${GLEANER_DATA}"


def configure(overlay: Path, params: Path, data: str | None = None) -> list[str]:
    """Write the overlay's values into the file ``params``; returns the dotted keys that changed.

    ``${GLEANER_DATA}`` in a text becomes ``data``, or else the environment variable. Raises UserError with every
    fault at once (unknown keys, impossible values, an unset variable), and then changes nothing.
    """
    changes = read_yaml(overlay)
    if not isinstance(changes, dict):
        raise UserError(f"{overlay}: expected a section for each stage, found none; see examples/")
    yaml = round_trip()
    read_yaml(params)  # says what is wrong with a missing or broken file
    content = yaml.load(params.read_text(encoding="utf-8"))
    changed = list(merge(expand(changes, data if data is not None else os.environ.get(DATA), overlay), content))
    text = StringIO()
    yaml.dump(content, text)
    validate(YAML(typ="safe", pure=True).load(text.getvalue()))
    replace(params, lambda part: part.write_text(text.getvalue(), encoding="utf-8"))
    return changed


def round_trip() -> YAML:
    """A reader and writer that keeps comments, quotes and the file's own layout."""
    yaml = YAML()
    yaml.preserve_quotes = True
    yaml.width = 1000
    yaml.representer.add_representer(  # ruamel writes null as nothing at all
        type(None), lambda representer, _: representer.represent_scalar("tag:yaml.org,2002:null", "null")
    )
    return yaml


def merge(changes: Mapping[str, Any], content: CommentedMap, above: str = "") -> Iterator[str]:
    """Set the overlay's values in place: mappings key by key, lists and free-form mappings whole."""
    for key, value in changes.items():
        path = f"{above}{key}"
        old = content.get(key)
        if isinstance(value, Mapping) and isinstance(old, CommentedMap) and path not in FREE_FORM:
            yield from merge(value, old, f"{path}.")
        elif key not in content or old != value:  # a key that does not belong here is set too: validate() names it
            content[key] = flow(value)
            yield path


def flow(value: Any) -> Any:
    """Lists and free-form mappings on one line, as params.yaml writes them, so that a line's comment stays with it."""
    if isinstance(value, list | dict):
        value = CommentedSeq(value) if isinstance(value, list) else CommentedMap(value)
        value.fa.set_flow_style()
    return value


def expand(value: Any, data: str | None, overlay: Path) -> Any:
    """The overlay with ``${GLEANER_DATA}`` replaced in every text."""
    if isinstance(value, dict):
        return {key: expand(item, data, overlay) for key, item in value.items()}
    if isinstance(value, list):
        return [expand(item, data, overlay) for item in value]
    if not isinstance(value, str) or VARIABLE not in value:
        return value
    if not data:
        raise UserError(
            f"{overlay}: expected the folder of the data in {DATA}, found it unset; "
            f"`export {DATA}=FOLDER`, or give --data FOLDER"
        )
    return value.replace(VARIABLE, data)
