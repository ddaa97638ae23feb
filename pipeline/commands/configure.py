"""Merge an overlay, such as those in examples/, into params.yaml. The result is checked before the file changes.

gleaner configure examples/banking77.yaml
"""

import os
import shutil
from collections.abc import Mapping
from io import StringIO
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.comments import CommentedMap, CommentedSeq

from pipeline.core.errors import UserError
from pipeline.core.params import load_params, validate_params
from pipeline.core.stage import write_atomically
from pipeline.core.yaml_file import parse_yaml, read_yaml

# Mappings whose keys the user chooses. An overlay replaces them whole; merged, entries of the demo would remain.
FREE_FORM_KEYS = {
    "ingest.columns.groups",
    "ingest.labels.rename",
    "ingest.labels.descriptions",
    "ingest.group_values.rename",
    "ingest.group_values.missing",
    "ingest.group_values.keep",
    "ingest.group_bins",
}
ENCODER_IDENTITY = {"encoder.source", "encoder.name", "encoder.revision"}
DATA_VARIABLE = "GLEANER_DATA"
DATA_REFERENCE = "${GLEANER_DATA}"


def configure(overlay: Path, params: Path, data: str | None = None) -> list[str]:
    """Write the overlay's values into the file ``params``; returns the dotted keys that changed.

    ``${GLEANER_DATA}`` in a text becomes ``data``, or else the environment variable. Comments stay. Raises UserError
    with every fault at once (unknown keys, impossible values, an unset variable), and then changes nothing.
    """
    return configure_with(read_overlay(overlay, data), params)


def read_overlay(overlay: Path, data: str | None = None) -> dict[str, Any]:
    """The values of an overlay, with ``${GLEANER_DATA}`` replaced.

    Raises UserError if it has no sections, or the variable is used and not set.
    """
    changes = read_yaml(overlay)
    if not isinstance(changes, dict):
        raise UserError(f"{overlay}: expected a section for each stage, found none; see examples/")
    data_folder = data if data is not None else os.environ.get(DATA_VARIABLE)
    expanded: dict[str, Any] = expand_data_folder(changes, data_folder, overlay)
    return expanded


def configure_with(changes: Mapping[str, Any], params: Path) -> list[str]:
    """Write these values into the file ``params``; returns the dotted keys that changed.

    Raises UserError with every fault at once, and then changes nothing.
    """
    yaml = round_trip_yaml()
    read_yaml(params)  # names the fault of a missing or broken file
    content = yaml.load(params.read_text(encoding="utf-8"))
    changed = merge(changes, content)
    write_valid_params(content, params)
    return changed


def write_valid_params(content: CommentedMap, params: Path) -> None:
    """Write the whole content of params.yaml. Raises UserError with every fault at once, and then writes nothing."""
    text = StringIO()
    round_trip_yaml().dump(content, text)
    validate_params(parse_yaml(text.getvalue(), params))
    write_atomically(params, lambda part: write_like(params, text.getvalue(), part))


def remarks(changed: list[str], params: Path) -> list[str]:
    """What a user should know after a change of these keys of the file ``params``, a line each."""
    pinned = load_params(params).encoder.sha256
    if pinned is None or "encoder.sha256" in changed or not ENCODER_IDENTITY.intersection(changed):
        return []
    line = f"encoder.sha256 is still {pinned[:12]}…, the digest of the former encoder: "
    return [line + "set it to null or to that of the new one, or the run will refuse the new weights"]


def write_like(original: Path, text: str, path: Path) -> None:
    """Write ``text`` to ``path``, with the permissions of ``original``, which it will replace."""
    path.write_text(text, encoding="utf-8")
    shutil.copymode(original, path)


def round_trip_yaml() -> YAML:
    """A reader and writer that keeps comments, quotes and the layout of the file."""
    yaml = YAML()
    yaml.preserve_quotes = True
    yaml.width = 1000  # no line of the file is wrapped
    yaml.representer.add_representer(  # ruamel writes null as an empty value
        type(None), lambda representer, _: representer.represent_scalar("tag:yaml.org,2002:null", "null")
    )
    return yaml


def merge(changes: Mapping[str, Any], content: CommentedMap, prefix: str = "") -> list[str]:
    """Set the overlay's values in ``content``, in place; returns the dotted keys that changed.

    Mappings are merged key by key; lists and free-form mappings are replaced whole.
    """
    changed: list[str] = []
    for key, value in changes.items():
        path = f"{prefix}{key}"
        old = content.get(key)
        if isinstance(value, Mapping) and isinstance(old, CommentedMap) and path not in FREE_FORM_KEYS:
            changed += merge(value, old, f"{path}.")
        elif key not in content or old != value:  # an unknown key is set, too, so that validation names it
            content[key] = in_flow_style(value)
            changed.append(path)
    return changed


def in_flow_style(value: Any) -> Any:
    """A list or mapping to be written on one line, as in params.yaml, so that a line's comment stays with it."""
    if isinstance(value, list | dict):
        value = CommentedSeq(value) if isinstance(value, list) else CommentedMap(value)
        value.fa.set_flow_style()
    return value


def expand_data_folder(value: Any, data: str | None, overlay: Path) -> Any:
    """The overlay with ``${GLEANER_DATA}`` replaced in every text. Raises UserError if it is used, but not set."""
    if isinstance(value, dict):
        return {key: expand_data_folder(item, data, overlay) for key, item in value.items()}
    if isinstance(value, list):
        return [expand_data_folder(item, data, overlay) for item in value]
    if not isinstance(value, str) or DATA_REFERENCE not in value:
        return value
    if not data:
        raise UserError(
            f"{overlay}: expected the folder of the data in {DATA_VARIABLE}, found it unset; "
            f"`export {DATA_VARIABLE}=FOLDER`, or give --data FOLDER"
        )
    return value.replace(DATA_REFERENCE, data)
