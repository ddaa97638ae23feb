"""Translate the gold rows there and back, judge what came out, and write the rows worth training on.

The method is that of Sennrich, Haddow & Birch (2016), "Improving Neural Machine Translation Models with Monolingual
Data", used here to augment a classifier's rows.
"""

import sys
from collections.abc import Callable
from typing import Protocol

import pandas as pd

from pipeline.core import table
from pipeline.core.params import BackTranslate
from pipeline.core.stage import Metrics, Paths, progress, replace
from pipeline.stages.back_translate import apertium, marian
from pipeline.stages.back_translate.store import Store


class Engine(Protocol):
    """Two directions of a translator."""

    @property
    def identity(self) -> str:
        """What a translation depends on besides its batch: another identity never shares stored translations."""

    def round_trip(self, texts: list[str]) -> list[str]:
        """The texts translated there and back, as many, in the same order; empty where nothing came out."""


ENGINES: dict[str, Callable[[BackTranslate], Engine]] = {"apertium": apertium.Apertium, "marian": marian.Marian}
REASONS = ("empty", "identical", "too_long", "too_short")


def run(params: BackTranslate, paths: Paths) -> Metrics:
    """Write the accepted translation of each gold row, and the rejected ones with their reason.

    Resumable: a batch of texts that was translated before a kill is not translated again. Raises UserError when the
    engine or a language pair is not installed.
    """
    gold = table.read(paths.data("ingest") / "train.parquet")
    done = {} if params.engine == "none" else translate(gold["text"].tolist(), params, paths)
    rows, rejected = judge(gold, done, params)
    replace(paths.data("back_translate") / "rejected.parquet", lambda part: rejected.to_parquet(part, index=False))
    table.write(rows, paths.data("back_translate") / "train.parquet")
    reasons = {f"rejected_{reason}": int((rejected["reason"] == reason).sum()) for reason in REASONS}
    return {
        "engine": params.engine,
        "rows": len(rows),
        "gold_rows": len(gold),
        "rejected": len(rejected),
        **reasons,
    }


def translate(texts: list[str], params: BackTranslate, paths: Paths) -> dict[str, str]:
    """Each distinct text there and back, batch by batch, short texts first so that little is spent on padding."""
    engine = ENGINES[params.engine](params)
    store = Store(paths.scratch("back_translate"), engine.identity)
    unique = sorted({table.normalise(text) for text in texts}, key=lambda text: (len(text), text))
    batches = [unique[start : start + params.batch_size] for start in range(0, len(unique), params.batch_size)]
    done: dict[str, str] = {}
    stored = 0
    for batch in progress(batches, "back-translate", total=len(batches)):
        results = store.get(batch)
        if results is None:
            results = engine.round_trip(batch)
            store.put(batch, results)
        else:
            stored += len(batch)
        done.update(zip(batch, results, strict=True))
    store.close()
    if stored:
        print(f"back-translate: {stored} of {len(unique)} texts were translated before", file=sys.stderr)
    return done


def judge(gold: pd.DataFrame, done: dict[str, str], params: BackTranslate) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Accepted translations as rows of the schema; rejected ones as ``id, source_id, text, reason``."""
    source = gold.iloc[: len(gold) if done else 0]
    texts = [done[table.normalise(text)] for text in source["text"]]
    reasons = pd.Series([reason(old, new, params.max_ratio) for old, new in zip(source["text"], texts, strict=True)])
    bad = reasons.notna().to_numpy(dtype=bool)
    rejected = pd.DataFrame({"id": source["id"], "source_id": source["source_id"], "text": texts})
    rejected["reason"] = reasons.to_numpy()
    kept = source[~bad]
    new = [text for text, fault in zip(texts, bad, strict=True) if not fault]
    rows = table.make(
        id=[table.row_id(f"back_translate/{id}", text) for id, text in zip(kept["id"], new, strict=True)],
        source_id=kept["source_id"].tolist(),
        text=new,
        label=kept["label"].tolist(),
        origin="back_translation",
        weight=params.weight,
        groups=kept,
    )
    return rows, rejected[bad].astype("str").reset_index(drop=True)


def reason(original: str, translation: str, max_ratio: float) -> str | None:
    """Why a translation is no use, or None. Lengths are in characters, of normalised text."""
    old, new = table.normalise(original).casefold(), table.normalise(translation).casefold()
    if not new:
        return "empty"
    if new == old:
        return "identical"
    if len(new) > max_ratio * len(old):
        return "too_long"
    return "too_short" if len(old) > max_ratio * len(new) else None
