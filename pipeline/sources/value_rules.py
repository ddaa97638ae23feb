"""The rules of params for labels and group values: what means "missing", what is renamed, which spellings are one."""

from collections.abc import Iterable
from dataclasses import dataclass, field

import pandas as pd

from pipeline.core.params import GroupRules, LabelRules
from pipeline.sources.spelling import plain_spelling, strip_invisible


@dataclass(frozen=True)
class ValueRules:
    """The rules for the values of one column, the labels or one group attribute."""

    rename: dict[str, str] = field(default_factory=dict)  # value in the source: value to use
    missing: tuple[str, ...] = ()  # values that mean that there is none
    keep: tuple[str, ...] = ()  # values that are right as they are
    named: tuple[str, ...] = ()  # further values that params name; of several spellings, theirs is used


def label_value_rules(rules: LabelRules) -> ValueRules:
    """The rules for the labels."""
    named = (*rules.rename.values(), *rules.descriptions)
    return ValueRules(rules.rename, tuple(rules.missing), tuple(rules.keep), named)


def group_value_rules(rules: GroupRules, attribute: str) -> ValueRules:
    """The rules for the values of one group attribute."""
    rename = rules.rename.get(attribute, {})
    missing, keep = rules.missing.get(attribute, []), rules.keep.get(attribute, [])
    return ValueRules(rename, tuple(missing), tuple(keep), tuple(rename.values()))


def rename_values(values: "pd.Series[str]", rules: ValueRules) -> "pd.Series[str]":
    """The values without invisible characters, renamed; null where a value means "missing".

    A rule holds for every spelling that is certainly the same value, unless params keep that spelling.
    """
    new_names = {value: new_name(value, rules) for value in values.dropna().unique()}
    return values.map(new_names, na_action="ignore").astype("str")


def new_name(value: str, rules: ValueRules) -> str | None:
    """The value that the rules make of one value; None if it is missing."""
    stripped = strip_invisible(value)
    if not stripped:
        return None
    for spelling in dict.fromkeys((value, stripped)):  # what params name exactly
        if spelling in rules.keep:
            return spelling
        if spelling in rules.rename:
            return rules.rename[spelling]
        if spelling in rules.missing:
            return None
    plain = plain_spelling(stripped)
    by_plain_spelling = {plain_spelling(old): new for old, new in rules.rename.items()}
    if plain in by_plain_spelling:
        return by_plain_spelling[plain]
    return None if plain in map(plain_spelling, rules.missing) else stripped


def joined_spellings(values: Iterable[str], rules: ValueRules, first: Iterable[str] = ()) -> dict[str, str]:
    """Value: the spelling to use, for each of ``values`` of which another spelling is used.

    A spelling that params name is used; else the only one among the values ``first``, which is thus stable when rows
    arrive; else the plain one.
    """
    spellings: dict[str, set[str]] = {}
    for value in {*values, *first} - set(rules.keep):
        spellings.setdefault(plain_spelling(value), set()).add(value)
    preferred = set(first)
    named = {plain_spelling(name): name for name in reversed(rules.named)}
    joined = {}
    for plain, group in spellings.items():
        candidates = group & preferred or group
        used = named.get(plain) or (next(iter(candidates)) if len(candidates) == 1 else plain)
        joined |= {value: used for value in group if value != used}
    return joined


def join_spellings(values: "pd.Series[str]", rules: ValueRules, first: Iterable[str] = ()) -> "pd.Series[str]":
    """The values, each in the spelling that `joined_spellings` chooses."""
    joined = joined_spellings(values.dropna().unique(), rules, first)
    return values.map(lambda value: joined.get(value, value), na_action="ignore").astype("str")
