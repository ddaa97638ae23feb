"""Text vectors of an encoder, each computed once: kept by (encoder, text) and shared by stages and benchmarks.

The store is no second cache beside DVC: it holds no result of a stage, and a text's vector does not depend on the
company it was computed in. Every batch has the same number of rows and a length out of a few, so the same arithmetic
runs for a text whatever else is in the batch, and a result rebuilt from an empty store is equal bit for bit.
"""

import hashlib
import sqlite3
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from pipeline.core.params import Encoder
from pipeline.core.stage import Paths, progress
from pipeline.models import encoder as encoders

STEP = 8  # lengths are padded up to a multiple of this, or to the longest that params allow


def embed(texts: list[str], folder: Path, encoder: Encoder, paths: Paths) -> np.ndarray:
    """Unit vectors of the texts, (len(texts), width) float32, by the encoder in ``folder``.

    Resumable: what was computed before a kill is read back.
    """
    store = open_store(folder, encoder, paths)
    keys = [hashlib.sha256(text.encode()).digest()[:16] for text in texts]
    known = stored(store, keys)
    fresh = {key: text for key, text in zip(keys, texts, strict=True) if key not in known}
    print(f"embed: {len(known) + len(fresh)} texts, {len(known)} of them known", file=sys.stderr)
    if fresh:
        for batch in compute(fresh, folder, encoder):
            with store:
                store.executemany("INSERT OR IGNORE INTO vector VALUES (?, ?)", ((k, v.tobytes()) for k, v in batch))
        known |= stored(store, list(fresh))
    store.close()
    return np.stack([np.frombuffer(known[key], dtype=np.float32) for key in keys])


def open_store(folder: Path, encoder: Encoder, paths: Paths) -> sqlite3.Connection:
    """The store of this encoder: none other, nor another pooling, length, precision or device, shares its vectors."""
    import torch

    tokenizer = encoders.tokenizer_digest(folder)
    how = (encoder.pooling, encoder.max_length, encoder.batch_size, encoder.precision)
    what = (encoders.digest(folder), tokenizer, *how)
    device = "cuda" if torch.cuda.is_available() else "cpu"
    key = hashlib.sha256(repr((*what, device, torch.__version__)).encode()).hexdigest()[:16]
    place = paths.scratch("embeddings")
    place.mkdir(parents=True, exist_ok=True)
    store = sqlite3.connect(place / f"{key}.sqlite", timeout=60)
    store.execute("PRAGMA journal_mode=WAL")
    store.execute("CREATE TABLE IF NOT EXISTS vector (key BLOB PRIMARY KEY, value BLOB) WITHOUT ROWID")
    return store


def stored(store: sqlite3.Connection, keys: list[bytes]) -> dict[bytes, bytes]:
    """Those of the keys that are in the store."""
    found: dict[bytes, bytes] = {}
    for start in range(0, len(keys), 500):
        part = keys[start : start + 500]
        marks = ",".join("?" * len(part))
        found.update(store.execute(f"SELECT key, value FROM vector WHERE key IN ({marks})", part))
    return found


def compute(texts: dict[bytes, str], folder: Path, encoder: Encoder) -> Iterator[list[tuple[bytes, np.ndarray]]]:
    """Vectors of the texts, batch by batch, short texts first so that little is spent on padding."""
    import torch

    model, tokenizer = encoders.load(folder, dtype=getattr(torch, encoder.precision))
    device = "cuda" if torch.cuda.is_available() else "cpu"
    model.to(device).eval()
    tokens = tokenizer(list(texts.values()), truncation=True, max_length=encoder.max_length)["input_ids"]
    buckets: dict[int, list[tuple[bytes, list[int]]]] = {}
    for key, ids in zip(texts, tokens, strict=True):
        length = min(-(-len(ids) // STEP) * STEP, encoder.max_length)
        buckets.setdefault(length, []).append((key, ids))
    batches = [
        (length, rows[start : start + encoder.batch_size])
        for length, rows in sorted(buckets.items())
        for start in range(0, len(rows), encoder.batch_size)
    ]
    for length, rows in progress(batches, "embed", total=len(batches)):
        ids = torch.full((encoder.batch_size, length), tokenizer.pad_token_id or 0)
        mask = torch.zeros_like(ids)
        for i, (_, row) in enumerate(rows):
            ids[i, : len(row)] = torch.tensor(row)
            mask[i, : len(row)] = 1
        mask[len(rows) :, 0] = 1  # rows that only fill the batch still need one token to look at
        with torch.inference_mode():
            hidden = model(input_ids=ids.to(device), attention_mask=mask.to(device)).last_hidden_state
            vectors = encoders.pool(hidden.float(), mask.to(device), encoder.pooling).cpu().numpy()
        yield [(key, vectors[i]) for i, (key, _) in enumerate(rows)]
