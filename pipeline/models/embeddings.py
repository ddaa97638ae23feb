"""Text vectors of an encoder: each is computed once, stored by encoder and text, and shared by stages and benchmarks.

The store is no second cache beside DVC: it holds no result of a stage, and a text's vector does not depend on the
other texts that are computed with it. Under torch every batch has the same number of rows and one of a few lengths, so
that the same arithmetic runs for a text whatever else is in the batch; under OpenVINO it does so in a batch of any
number of rows. A result from an empty store is equal bit for bit.
"""

import hashlib
import sqlite3
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from pipeline.core.params import Encoder
from pipeline.core.stage import Paths, progress
from pipeline.models import encoder as encoders
from pipeline.models.open_encoder import open_encoder
from pipeline.models.runtime import Batch, Choice
from pipeline.models.vector_runtime import choose_for_vectors, identity
from pipeline.models.vector_table import VectorTable

LENGTH_STEP = 8  # lengths are padded up to a multiple of this, or to the longest that params allow
TEXTS_AT_ONCE = 20_000  # as tokens in memory; within them, texts of one length share batches
KEYS_AT_ONCE = 500  # of one query: old versions of SQLite take at most 999 variables


def embed(texts: list[str], folder: Path, encoder: Encoder, paths: Paths, *, pool: bool = False) -> np.ndarray:
    """Unit vectors of the texts, (texts, width), float32, by the encoder in ``folder``.

    ``pool`` says that no figure is reported from them: ``encoder.precision: auto`` may then take bfloat16. A killed run
    loses only the batch that it was computing: every batch before is in the store. Raises UserError if this machine
    lacks the runtime or the precision that params ask for.
    """
    choice = choose_for_vectors(encoder, pool=pool)
    store = open_store(folder, encoder, choice, paths)
    places: dict[bytes, int] = {}  # of the first text of each key
    firsts = [places.setdefault(text_key(text), place) for place, text in enumerate(texts)]
    vectors = VectorTable(len(texts), paths)
    for known in read_vectors(store, list(places)):
        vectors.put([places[key] for key, _ in known], [np.frombuffer(value, np.float32) for _, value in known])
    fresh = {key: texts[place] for key, place in places.items() if not vectors.is_filled[place]}
    print(f"embed: {len(places)} texts, {len(places) - len(fresh)} of them known", file=sys.stderr)
    if fresh:
        for batch in compute_vectors(fresh, folder, encoder, choice, paths):
            with store:
                store.executemany("INSERT OR IGNORE INTO vector VALUES (?, ?)", ((k, v.tobytes()) for k, v in batch))
            vectors.put([places[key] for key, _ in batch], [vector for _, vector in batch])
    store.close()
    return vectors.finish(np.array(firsts, dtype=np.int64))


def text_key(text: str) -> bytes:
    """What the store calls a text by."""
    return hashlib.sha256(text.encode()).digest()[:16]


def open_store(folder: Path, encoder: Encoder, choice: Choice, paths: Paths) -> sqlite3.Connection:
    """The store of the encoder in ``folder``; each pooling, length, runtime and precision has another one."""
    settings = (encoder.pooling, encoder.max_length, encoder.batch_size)
    made_of = (encoders.weights_digest(folder), encoders.tokenizer_digest(folder), *settings, identity(choice))
    key = hashlib.sha256(repr(made_of).encode()).hexdigest()[:16]
    stores = paths.scratch("embeddings")
    stores.mkdir(parents=True, exist_ok=True)
    store = sqlite3.connect(stores / f"{key}.sqlite", timeout=60)
    store.execute("PRAGMA journal_mode=WAL")
    store.execute("CREATE TABLE IF NOT EXISTS vector (key BLOB PRIMARY KEY, value BLOB) WITHOUT ROWID")
    return store


def read_vectors(store: sqlite3.Connection, keys: list[bytes]) -> Iterator[list[tuple[bytes, bytes]]]:
    """The keys that the store holds, some at a time, each with its vector as the bytes of its float32 values."""
    for start in range(0, len(keys), KEYS_AT_ONCE):
        part = keys[start : start + KEYS_AT_ONCE]
        marks = ",".join("?" * len(part))
        yield store.execute(f"SELECT key, value FROM vector WHERE key IN ({marks})", part).fetchall()


def compute_vectors(
    texts: dict[bytes, str], folder: Path, encoder: Encoder, choice: Choice, paths: Paths
) -> Iterator[list[tuple[bytes, np.ndarray]]]:
    """Each batch's keys with the unit vectors of their texts, (width,), float32, by the encoder in ``folder``.

    ``choice`` is that of `choose_for_vectors`. ``paths`` say where the exported graph of the encoder is kept.
    """
    model, read = open_encoder(folder, encoder, choice, paths)
    keys = list(texts)
    for start in range(0, len(keys), TEXTS_AT_ONCE):
        part = keys[start : start + TEXTS_AT_ONCE]
        tokens = read.tokenise([texts[key] for key in part])
        batches = batches_by_length(dict(zip(part, tokens, strict=True)), encoder)
        fewest = fewest_rows(choice, encoder)
        outputs = model.run(pad(rows, length, fewest, read.pad_id) for length, rows in batches)
        name = f"embed from text {start:,}" if start else "embed"
        for (_, rows), vectors in zip(progress(batches, name, total=len(batches)), outputs, strict=True):
            yield [(key, vectors[i]) for i, (key, _) in enumerate(rows)]


def fewest_rows(choice: Choice, encoder: Encoder) -> int:
    """How many rows each batch has at least; fewer texts are filled up with rows that nobody reads."""
    return 1 if choice.runtime == "openvino" else encoder.batch_size


def pad(rows: list[tuple[bytes, Any]], length: int, fewest: int, pad_id: int) -> Batch:
    """Ids and mask of a batch, both (``fewest`` rows or more, ``length``), int64.

    ``rows`` are keys with their token ids.
    """
    ids = np.full((max(fewest, len(rows)), length), pad_id, dtype=np.int64)
    mask = np.zeros_like(ids)
    for i, (_, row) in enumerate(rows):
        ids[i, : len(row)] = row
        mask[i, : len(row)] = 1
    mask[len(rows) :, 0] = 1  # rows that only fill the batch still need one token to attend to
    return ids, mask


def batches_by_length(tokens: dict[bytes, Any], encoder: Encoder) -> list[tuple[int, list[tuple[bytes, Any]]]]:
    """Batches of keys and token ids, each with its padded length; short texts come first to save padding."""
    by_length: dict[int, list[tuple[bytes, Any]]] = {}
    for key, ids in tokens.items():
        length = min(-(-len(ids) // LENGTH_STEP) * LENGTH_STEP, encoder.max_length)
        by_length.setdefault(length, []).append((key, ids))
    return [
        (length, rows[start : start + encoder.batch_size])
        for length, rows in sorted(by_length.items())
        for start in range(0, len(rows), encoder.batch_size)
    ]
