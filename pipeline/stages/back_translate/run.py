"""The back-translation stage from end to end: translate the gold rows there and back, and write the usable results.

Sennrich, Haddow & Birch (2016), "Improving Neural Machine Translation Models with Monolingual Data", introduced
back-translation; here it augments the rows of a classifier.
"""

import socket
import sys
from collections.abc import Callable, Iterable
from functools import cache, partial
from pathlib import Path
from typing import Protocol

import pandas as pd

from pipeline.compute.ray_cluster import iterate_each, read_compute
from pipeline.core import table
from pipeline.core.errors import UserError
from pipeline.core.params import BackTranslate
from pipeline.core.stage import Metrics, Paths, progress, write_atomically
from pipeline.stages.back_translate import apertium, marian
from pipeline.stages.back_translate.store import TranslationStore


class Engine(Protocol):
    """A translator of two directions, there and back."""

    @property
    def identity(self) -> str:
        """Everything that a translation depends on besides its batch; stored translations belong to one identity."""

    def round_trip(self, texts: list[str]) -> list[str]:
        """The texts translated there and back, as many, in the same order; empty if there is no translation."""


ENGINES: dict[str, Callable[[BackTranslate], Engine]] = {"apertium": apertium.Apertium, "marian": marian.Marian}
REASONS = ("empty", "identical", "too_long", "too_short")


def run(params: BackTranslate, paths: Paths) -> Metrics:
    """Write the accepted translation of each gold row, and the rejected ones with their reason.

    Finished batches are stored, so a killed run goes on with the next one. Raises UserError if the engine or a language
    pair is not installed.
    """
    gold = table.read(paths.data("ingest") / "train.parquet")
    translations = {} if params.engine == "none" else translate(gold["text"].tolist(), params, paths)
    rows, rejected = select_translations(gold, translations, params)
    folder = paths.data("back_translate")
    write_atomically(folder / "rejected.parquet", lambda part: rejected.to_parquet(part, index=False))
    table.write(rows, folder / "train.parquet")
    reasons = {f"rejected_{reason}": int((rejected["reason"] == reason).sum()) for reason in REASONS}
    return {
        "engine": params.engine,
        "rows": len(rows),
        "gold_rows": len(gold),
        "rejected": len(rejected),
        **reasons,
    }


def translate(texts: list[str], params: BackTranslate, paths: Paths) -> dict[str, str]:
    """The translation of each distinct normalised text, there and back, by text."""
    engine = ENGINES[params.engine](params)
    store = TranslationStore(paths.scratch("back_translate"), engine.identity)
    batches = in_batches(texts, params.batch_size)
    known = [(batch, results) for batch in batches if (results := store.get(batch)) is not None]
    translations = {text: result for batch, results in known for text, result in zip(batch, results, strict=True)}
    if known:
        unique = sum(map(len, batches))
        print(f"back-translate: {len(translations)} of {unique} texts were translated before", file=sys.stderr)
    missing = [batch for batch in batches if batch[0] not in translations]
    results_by_batch = round_trips(missing, engine, params, paths)
    for batch, results in zip(missing, progress(results_by_batch, "back-translate", total=len(missing)), strict=True):
        store.put(batch, results)
        translations.update(zip(batch, results, strict=True))
    store.close()
    return translations


def round_trips(batches: list[list[str]], engine: Engine, params: BackTranslate, paths: Paths) -> Iterable[list[str]]:
    """The translations of each batch, by ``engine`` or, where `compute` of params.yaml says so, on a Ray cluster."""
    compute = read_compute(paths.root)
    if compute.engine == "ray" and batches:
        folders = [str(Path(name).resolve()) if Path(name).is_dir() else name for name in params.marian]
        section = params.model_copy(update={"marian": folders})  # workers run in a folder of their own
        return iterate_each(partial(translate_batch, section.model_dump_json(), engine.identity), batches, compute)
    return map(engine.round_trip, batches)


def translate_batch(params: str, expected: str, batch: list[str]) -> list[str]:
    """The translation of each text in a worker, which opens its engine once; ``params`` is BackTranslate as JSON.

    ``expected`` is the identity of the driver's engine, under which the translations are stored. Raises UserError if
    that of this worker translates otherwise.
    """
    return open_engine(params, expected).round_trip(batch)


@cache
def open_engine(params: str, expected: str) -> Engine:
    """The engine of BackTranslate, which is given as JSON. Raises UserError if its identity is not as expected."""
    section = BackTranslate.model_validate_json(params)
    engine = ENGINES[section.engine](section)
    if engine.identity != expected:
        raise UserError(
            f"back_translate.engine: expected workers with the same {section.engine} as here, found another on "
            f"{socket.gethostname()}; install the same programs and files on every node"
        )
    return engine


def in_batches(texts: list[str], batch_size: int) -> list[list[str]]:
    """The distinct normalised texts in batches of texts of similar length, so that little time is spent on padding."""
    unique = sorted({table.normalise(text) for text in texts}, key=lambda text: (len(text), text))
    return [unique[start : start + batch_size] for start in range(0, len(unique), batch_size)]


def select_translations(
    gold: pd.DataFrame, translations: dict[str, str], params: BackTranslate
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Accepted translations as rows of the schema; rejected ones as ``id, source_id, text, reason``.

    ``translations`` are by normalised text; both tables are empty if there are none.
    """
    source = gold.iloc[: len(gold) if translations else 0]
    texts = [translations[table.normalise(text)] for text in source["text"]]
    pairs = zip(source["text"], texts, strict=True)
    reasons = pd.Series([rejection_reason(original, text, params.max_ratio) for original, text in pairs])
    is_rejected = reasons.notna().to_numpy(dtype=bool)
    rejected = pd.DataFrame({"id": source["id"], "source_id": source["source_id"], "text": texts})
    rejected["reason"] = reasons.to_numpy()
    accepted = source[~is_rejected]
    accepted_texts = [text for text, bad in zip(texts, is_rejected, strict=True) if not bad]
    rows = table.make(
        id=[
            table.row_id(f"back_translate/{id}", text) for id, text in zip(accepted["id"], accepted_texts, strict=True)
        ],
        source_id=accepted["source_id"].tolist(),
        text=accepted_texts,
        label=accepted["label"].tolist(),
        origin="back_translation",
        weight=params.weight,
        groups=accepted,
    )
    return rows, rejected[is_rejected].astype("str").reset_index(drop=True)


def rejection_reason(original: str, translation: str, max_ratio: float) -> str | None:
    """Why a translation cannot be used, one of REASONS; None if it can.

    A translation may have up to ``max_ratio`` times the characters of the original, and the reverse; both texts are
    normalised first.
    """
    old, new = table.normalise(original).casefold(), table.normalise(translation).casefold()
    if not new:
        return "empty"
    if new == old:
        return "identical"
    if len(new) > max_ratio * len(old):
        return "too_long"
    return "too_short" if len(old) > max_ratio * len(new) else None
