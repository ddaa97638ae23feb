"""Masks of what Presidio finds: persons and places by a spaCy pipeline, national ids and much else by patterns."""

import re
from collections.abc import Iterable
from itertools import groupby
from threading import Lock
from typing import Any

from pipeline.core.errors import UserError
from pipeline.core.params import Presidio
from pipeline.sources.presidio_engine import load_analyzer

BATCH_TEXTS = 256  # whose tokens are in memory at a time
LOCK = Lock()  # spaCy's vocabulary changes while it reads, and the service masks in several threads


def mask_entities(texts: list[str], presidio: Presidio, masks: Iterable[str]) -> list[str]:
    """The texts with [ENTITY] in place of each of ``presidio.entities`` that Presidio finds; ``masks`` stay.

    Where two findings overlap, the one with the higher score comes first, then the longer one; what is left of the
    other is masked as well. Raises UserError for params that this machine cannot follow.
    """
    kept = re.compile(rf"\[({'|'.join(map(re.escape, {*masks, *presidio.entities}))})\]")
    found: list[list[Any]] = []
    for start in range(0, len(texts), BATCH_TEXTS):
        found += find_entities(texts[start : start + BATCH_TEXTS], presidio)
    return [replace_found(text, results, kept) for text, results in zip(texts, found, strict=True)]


def find_entities(texts: list[str], presidio: Presidio) -> list[list[Any]]:
    """What Presidio finds in each text, as its RecognizerResults. Raises UserError if it cannot read one of them."""
    fault = ""
    with LOCK:
        engine = load_analyzer(presidio.model, presidio.language, tuple(presidio.entities))
        from presidio_analyzer import BatchAnalyzerEngine

        # The words of the texts leave the vocabulary with the block; an error that left it would damage the vocabulary.
        with engine.nlp_engine.get_nlp(presidio.language).memory_zone():
            try:
                found: list[list[Any]] = BatchAnalyzerEngine(engine).analyze_iterator(
                    texts,
                    presidio.language,
                    batch_size=len(texts),
                    entities=presidio.entities,
                    score_threshold=presidio.min_score,
                )
            except ValueError as error:  # its message may quote a text
                fault = type(error).__name__
    if fault:
        raise UserError(
            f"ingest.presidio: expected texts that Presidio can read, found a {fault} among {len(texts)} texts; lower "
            "ingest.max_chars if they are long, or set ingest.presidio.entities: []"
        )
    return found


def replace_found(text: str, results: list[Any], kept: "re.Pattern[str]") -> str:
    """``text`` with [ENTITY] in place of what ``results`` (RecognizerResults) name, but for what ``kept`` matches."""
    if not results:
        return text
    owners: list[str | None] = [None] * len(text)  # the entity of each character; empty: it stays
    for match in kept.finditer(text):
        owners[slice(*match.span())] = [""] * len(match[0])
    for result in sorted(results, key=lambda result: (-result.score, result.start - result.end, result.start)):
        for place in range(result.start, result.end):
            if owners[place] is None:
                owners[place] = result.entity_type
    pieces, start = [], 0
    for entity, places in groupby(owners):
        end = start + len(list(places))
        pieces.append(mask_piece(text[start:end], entity) if entity else text[start:end])
        start = end
    return "".join(pieces)


def mask_piece(piece: str, entity: str) -> str:
    """[``entity``] with the whitespace around ``piece``; ``piece`` itself if it holds no letter or digit."""
    words = piece.strip()
    return piece.replace(words, f"[{entity}]") if any(map(str.isalnum, words)) else piece
