"""Brings the params.yaml of a project up to the keys of the installed Gleaner; the values and comments stay."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from ruamel.yaml.comments import CommentedMap

from pipeline.commands.configure import FREE_FORM_KEYS
from pipeline.core.renamed_params import RENAMED

# Values of new keys in a project that exists: what a new project begins with would change what its versions answer.
UNCHANGED_ANSWERS = {"abstain.method": "none"}


@dataclass
class KeyChanges:
    """Dotted keys: new ones, those that have another name now (old: new), and those that Gleaner no longer has."""

    added: list[str] = field(default_factory=list)
    renamed: dict[str, str] = field(default_factory=dict)
    removed: list[str] = field(default_factory=list)

    @property
    def sections(self) -> set[str]:
        """The sections of params.yaml in which a key changed."""
        keys = [*self.added, *self.renamed, *self.renamed.values(), *self.removed]
        return {key.split(".")[0] for key in keys}


def upgrade_keys(content: CommentedMap, template: CommentedMap) -> KeyChanges:
    """Change ``content`` in place so that it has the keys of ``template``; returns what changed.

    A new key gets the template's value, comment and place, unless the answers of the project's versions would change
    with it. A renamed key keeps its value.
    """
    changes = KeyChanges()
    moved = take_renamed(content, changes)
    remove_unknown(content, template, changes)
    add_missing(content, template, changes)
    moved |= {path: value for path, value in UNCHANGED_ANSWERS.items() if path in changes.added}
    for path, value in moved.items():
        *sections, key = path.split(".")
        get_section(content, sections)[key] = value
    changes.added = [key for key in changes.added if key not in changes.renamed.values()]
    return changes


def take_renamed(content: CommentedMap, changes: KeyChanges) -> dict[str, Any]:
    """Remove the keys under their old names; returns their values by new name."""
    moved = {}
    for old, new in RENAMED.items():
        *sections, key = old.split(".")
        section = get_section(content, sections)
        if isinstance(section, CommentedMap) and key in section:
            moved[new] = section.pop(key)
            changes.renamed[old] = new
    return moved


def get_section(content: Mapping[str, Any], sections: list[str]) -> Any:
    """The mapping below these keys; None if there is none."""
    found: Any = content
    for name in sections:
        found = found.get(name) if isinstance(found, Mapping) else None
    return found


def remove_unknown(content: CommentedMap, template: CommentedMap, changes: KeyChanges, prefix: str = "") -> None:
    """Remove the keys that the template lacks."""
    for key in list(content):
        path = f"{prefix}{key}"
        if key not in template:
            del content[key]
            changes.removed.append(path)
        elif is_section(content[key], template[key], path):
            remove_unknown(content[key], template[key], changes, f"{path}.")


def add_missing(content: CommentedMap, template: CommentedMap, changes: KeyChanges, prefix: str = "") -> None:
    """Insert the keys that only the template has, each behind the key that it follows there."""
    for position, (key, value) in enumerate(template.items()):
        path = f"{prefix}{key}"
        if key not in content:
            content.insert(min(position, len(content)), key, value)
            if key in template.ca.items:
                content.ca.items[key] = template.ca.items[key]
            changes.added += leaf_keys(value, path)
        elif is_section(content[key], value, path):
            add_missing(content[key], value, changes, f"{path}.")


def is_section(value: Any, expected: Any, path: str) -> bool:
    """Whether both are mappings whose keys Gleaner names, and not the user."""
    return isinstance(value, CommentedMap) and isinstance(expected, CommentedMap) and path not in FREE_FORM_KEYS


def leaf_keys(value: Any, path: str) -> list[str]:
    """The dotted keys of all values below ``path``."""
    if isinstance(value, CommentedMap) and value and path not in FREE_FORM_KEYS:
        return [key for name, part in value.items() for key in leaf_keys(part, f"{path}.{name}")]
    return [path]
