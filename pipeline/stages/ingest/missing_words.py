"""Values that are words for "missing", as programs write them where a cell was empty."""

import pandas as pd

from pipeline.sources.spelling import plain_spelling
from pipeline.stages.ingest.doubts import Doubt, Proposal
from pipeline.stages.ingest.quoting import count_rows, quote_name

# In lower case. "unknown" and "other" are not here: they often are classes.
WORDS = frozenset(
    "nan -nan nat none null nil na n/a n.a. n.a #n/a #na <na> <nan> <none> <null> (null) [null] (none) (blank) (empty) "
    "\\n undefined missing nodata no_data #null! #ref! #value! #name? #div/0! 1.#qnan 1.#ind -1.#ind -1.#qnan - -- --- "
    "– — ? ?? ??? . .. ... _ * '' \"\" <blank> <empty>".split()
)


def is_missing_word(value: str) -> bool:
    """Whether a value is a word for "missing"."""
    return plain_spelling(value).casefold() in WORDS


def missing_word_doubts(counts: "pd.Series[int]", keep: tuple[str, ...], what: str) -> list[Doubt]:
    """A doubt for each value that means "missing"; ``counts`` gives the rows of each value.

    ``what`` is what its rows lack then: "label" or "group".
    """
    return [
        Doubt(
            f"{quote_name(value)} ({count_rows(int(counts[value]))}) looks like a missing value",
            (value,),
            Proposal(missing=(value,)),
            f"no {what}",
        )
        for value in map(str, counts.index)
        if is_missing_word(value) and value not in keep
    ]
