"""Synonym substitution: each labelled training row gains paraphrases that keep its label.

    python -m pipeline.stages.synonyms

Reads data/ingest/train.parquet; writes data/synonyms/train.parquet and metrics.json.

nlpaug's SynonymAug substitutes; the synonyms come from ``pipeline.text.synonym_lexicon`` instead of all of WordNet.
"""

import re
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from random import Random
from typing import Any

import pandas as pd

from pipeline.core import table
from pipeline.core.params import Synonyms
from pipeline.core.stage import Metrics, Paths, main, progress
from pipeline.text import wordnet
from pipeline.text.synonym_lexicon import KEEP, Lexicon

TOKENS = re.compile(r"\w+(?:['’.@/:&-]\w+)*|\W")  # "don't" and "a.b.com" stay whole; joined, the tokens give the text


def run(params: Synonyms, paths: Paths) -> Metrics:
    """Write ``variants`` paraphrases of each gold row, without those that are unchanged or repeated.

    Raises UserError if WordNet is not installed.
    """
    gold = table.read(paths.data("ingest") / "train.parquet")
    rows, counts = table.empty_like(gold), {"unchanged": 0, "repeated": 0}
    if params.variants:
        rows, counts = make_variants(gold, Lexicon(wordnet.load()), params)
    table.write(rows, paths.data("synonyms") / "train.parquet")
    return {"rows": len(rows), "gold_rows": len(gold), "varied": int(rows["source_id"].nunique()), **counts}


def make_variants(gold: pd.DataFrame, lexicon: Lexicon, params: Synonyms) -> tuple[pd.DataFrame, dict[str, int]]:
    """The variants of every gold row as a table, and how many were unchanged or repeated.

    The variants of a row depend only on the seed, its id and its text: the order of the rows does not matter.
    """
    augmenter = build_augmenter(lexicon)
    source_positions: list[int] = []
    texts: list[str] = []
    counts = {"unchanged": 0, "repeated": 0}
    for i, (id, text) in enumerate(progress(zip(gold["id"], gold["text"], strict=True), "synonyms", len(gold))):
        seen = set()
        for variant in substitute(augmenter, text, id, params):
            if variant == text.strip():
                counts["unchanged"] += 1
            elif variant in seen:
                counts["repeated"] += 1
            else:
                seen.add(variant)
                source_positions.append(i)
                texts.append(variant)
    source = gold.iloc[source_positions]
    rows = table.make(
        id=[table.row_id(f"synonyms/{id}", text) for id, text in zip(source["id"], texts, strict=True)],
        source_id=source["source_id"].tolist(),
        text=texts,
        label=source["label"].tolist(),
        origin="synonym",
        weight=params.weight,
        groups=source,
    )
    return rows, counts


def substitute(augmenter: Any, text: str, id: str, params: Synonyms) -> Iterator[str]:
    """``variants`` texts in which a ``share`` of the replaceable words, and at least one of them, is replaced.

    A text without replaceable words comes back as it is.
    """
    tags = augmenter.model.pos_tag(TOKENS.findall(text))
    replaceable = sum(tag != KEEP for _, tag in tags)
    augmenter.aug_min = augmenter.aug_max = max(1, round(params.share * replaceable))
    for variant in range(params.variants):
        augmenter.random = Random(f"{params.seed}/{id}/{variant}")
        yield augmenter.augment(text)[0] if replaceable else text.strip()


@contextmanager
def missing(*packages: str) -> Iterator[None]:
    """Let packages that are not imported yet pass for not installed in a block.

    nlpaug imports torch and transformers for its other augmenters, 13 s of a processor, and does without where they are
    missing.
    """
    hidden = [name for name in packages if name not in sys.modules]
    for name in hidden:
        sys.modules[name] = None  # type: ignore[assignment]  # None lets an import fail
    try:
        yield
    finally:
        for name in hidden:
            del sys.modules[name]


def build_augmenter(lexicon: Lexicon) -> Any:
    """nlpaug's SynonymAug with our lexicon and a generator of random numbers per instance; spacing stays as it is."""
    with missing("torch", "transformers"):
        from nlpaug.augmenter.word import SynonymAug

    class Augmenter(SynonymAug):
        random = Random()

        @classmethod
        def get_model(cls, *_: Any) -> Lexicon:
            return lexicon

        def sample(self, items: list[Any], size: int) -> list[Any]:
            return self.random.sample(items, size)

    return Augmenter(tokenizer=TOKENS.findall, reverse_tokenizer="".join)


if __name__ == "__main__":
    main(run)
