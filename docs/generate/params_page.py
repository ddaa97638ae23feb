"""docs/reference/params.md: every key of params.yaml with its default, the values it takes and its comment."""

import re
from collections.abc import Iterator
from io import StringIO
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.comments import CommentedMap

from docs.generate.markdown import code, limits, listing, sentence, table
from pipeline.core.params import Params, read_yaml

# A line before its comment, and the comment; a `#` in quotes starts none.
COMMENT = re.compile(r"""((?:"(?:\\.|[^"\\])*"|'(?:''|[^'])*'|[^"'])*?)(?:^|(?<=\s))# ?(.*)""")
TYPES = {"string": "text", "integer": "whole number", "number": "number", "boolean": "true or false", "null": "null"}

INTRO = """# Params

Every key of [`params.yaml`](../../params.yaml), with its default, the values that it takes and its meaning.

Loading is strict: an unknown key, a wrong type and an impossible value are each reported by the key's full name, all at
once, and the command exits with 2. A key that was renamed is reported with its new name
([Move from old names](../how-to/move-from-old-names.md)). [Read your data](../how-to/read-your-data.md) shows how to
change many keys with one overlay.

This page is generated from `params.yaml` and `pipeline/core/params/` by `make docs`.
"""


def params_page(root: Path) -> str:
    """The params reference: a table for each section of params.yaml."""
    source = (root / "params.yaml").read_text(encoding="utf-8")
    content = YAML().load(source)
    comments = Comments(source)
    schema = Params.model_json_schema()
    stages = read_yaml(root / "dvc.yaml")["stages"]
    parts = [INTRO]
    for section, values in content.items():
        rows = key_rows(values, resolve(schema["properties"][section], schema), schema, comments, section)
        about = [sentence(comments.at(content, section)), readers(section, stages)]
        parts += [f"## {section}\n", " ".join(filter(None, about)) + "\n"]
        parts += [table(["key", "default", "values", "meaning"], rows)]
    return "\n".join(parts)


def key_rows(
    values: CommentedMap, model: dict[str, Any], schema: dict[str, Any], comments: "Comments", path: str
) -> Iterator[list[str]]:
    """A row for each key of a mapping in the file's order; keys of nested sections follow their parent."""
    for key, value in values.items():
        full, field = f"{path}.{key}", resolve(model["properties"][key], schema)
        comment = comments.at(values, key)
        if "properties" not in field:
            yield [f"`{full}`", code(inline(value)), allowed(field, schema), comment]
            continue
        if comment:
            yield [f"`{full}`", "", "the keys below", comment]
        yield from key_rows(value, field, schema, comments, full)


class Comments:
    """The comments of a YAML file, by the key on whose line they start."""

    def __init__(self, source: str) -> None:
        self.lines = source.splitlines()

    def at(self, mapping: CommentedMap, key: str) -> str:
        """The comment on a key's line, with comment lines that continue it below; "" if the key shares its line."""
        number, column = mapping.lc.key(key)
        if self.lines[number][:column].strip():
            return ""
        before, text = self.split(number)
        while text and number + 1 < len(self.lines):
            number += 1
            indent, more = self.split(number)
            if not more or indent.strip() or len(indent) < len(before):
                break
            text = f"{text} {more}"
        return text

    def split(self, number: int) -> tuple[str, str]:
        """What stands before the `#` of a line, and the comment after it; "" where a line has no comment."""
        match = COMMENT.match(self.lines[number])
        return (match[1], match[2].strip()) if match else (self.lines[number], "")


def readers(section: str, stages: dict[str, Any]) -> str:
    """Which stages run again after a change in a section."""
    reading = [f"`{name}`" for name, stage in stages.items() if section in stage.get("params", [])]
    if not reading:
        return "No stage but `report` runs again after a change."
    return f"Read by {listing(reading)}."


def allowed(field: dict[str, Any], schema: dict[str, Any]) -> str:
    """The values that a field takes, in words."""
    field = resolve(field, schema)
    if "anyOf" in field:
        return either([allowed(member, schema) for member in field["anyOf"]])
    if "enum" in field:
        return ", ".join(code(value) for value in field["enum"])
    if field["type"] == "array":
        return "; ".join(filter(None, [f"list of {several(field['items'], schema)}", size(field)]))
    if field["type"] == "object":
        return f"mapping to {several(field['additionalProperties'], schema)}"
    if "pattern" in field:
        return "64 hexadecimal digits" if "0-9a-f" in field["pattern"] else f"text like {code(field['pattern'])}"
    if field["type"] == "string" and field.get("minLength"):
        return "text, not empty"
    return f"{TYPES[field['type']]}{limits(field)}"


def several(field: dict[str, Any], schema: dict[str, Any]) -> str:
    """The values that the entries of a list or mapping take, in words."""
    words = "text" if field.get("minLength") else allowed(field, schema)
    words = words.replace("list of", "lists of", 1) if field.get("type") == "array" else words
    for kind in ("text", "whole number", "number"):
        if re.match(rf"{kind}(,| from |$)", words):
            return f"{kind}s{words[len(kind) :]}"
    return words


def size(field: dict[str, Any]) -> str:
    """How many entries a list has to have; empty if any number will do."""
    least, most = field.get("minItems", 0), field.get("maxItems")
    return f"exactly {least}" if least == most else f"at least {least}" if least else ""


def either(choices: list[str]) -> str:
    """Choices joined by "or"."""
    return (", or " if any("," in choice for choice in choices) else " or ").join(choices)


def resolve(field: dict[str, Any], schema: dict[str, Any]) -> dict[str, Any]:
    """A field with its reference into the schema's definitions followed."""
    return dict(schema["$defs"][field["$ref"].rsplit("/", 1)[1]]) if "$ref" in field else field


def inline(value: Any) -> str:
    """A value on one line, as params.yaml writes it."""
    yaml = YAML()
    yaml.width, yaml.preserve_quotes, yaml.default_flow_style = 1000, True, True
    yaml.representer.add_representer(  # ruamel writes null as nothing at all
        type(None), lambda representer, _: representer.represent_scalar("tag:yaml.org,2002:null", "null")
    )
    out = StringIO()
    yaml.dump(uncommented(value), out)
    return out.getvalue().removesuffix("...\n").strip()


def uncommented(value: Any) -> Any:
    """A list or mapping without the comments that ruamel.yaml attaches to it."""
    if isinstance(value, list):
        return [uncommented(entry) for entry in value]
    return {key: uncommented(entry) for key, entry in value.items()} if isinstance(value, dict) else value
