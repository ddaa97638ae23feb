"""Values whose spellings look alike: they may be one class or group."""

import pandas as pd

from pipeline.sources.spelling import QUOTES, look_alike_key
from pipeline.stages.ingest.doubts import Doubt, Proposal
from pipeline.stages.ingest.missing_words import is_missing_word
from pipeline.stages.ingest.quoting import count_rows, quote_name

TRUE, FALSE = ("true", "t", "yes", "y", "on", "1"), ("false", "f", "no", "n", "off", "0")


def look_alike_doubts(counts: "pd.Series[int]", keep: tuple[str, ...], noun: str) -> list[Doubt]:
    """A doubt for each group of values that look alike; ``counts`` gives the rows of each value.

    The value of most rows is taken for the right one, but one in quotes only if all are. A value to ``keep`` looks like
    no other. ``noun`` is "class" or "group".
    """
    names = [name for name in map(str, counts.index) if name not in keep and not is_missing_word(name)]
    keys = {name: look_alike_key(name) for name in names}
    if all(key in TRUE + FALSE for key in keys.values()):
        keys = {name: "true" if key in TRUE else "false" for name, key in keys.items()}
    groups: dict[str, list[str]] = {}
    for name, key in keys.items():
        groups.setdefault(key, []).append(name)
    doubts = []
    for group in groups.values():
        right = min(group, key=lambda name: (name != name.strip(QUOTES), -counts[name], name != name.casefold(), name))
        others = tuple(name for name in group if name != right)
        if others:
            listed = " and ".join(f"{quote_name(name)} ({count_rows(int(counts[name]))})" for name in others)
            sentence = f"{listed} {'look' if len(others) > 1 else 'looks'} like {quote_name(right)}"
            sentence += f" ({count_rows(int(counts[right]))})"
            doubts.append(Doubt(sentence, others, Proposal(rename=dict.fromkeys(others, right)), f"one {noun}"))
    return doubts
