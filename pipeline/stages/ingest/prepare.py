"""What is done with each row by itself, block by block and on all cores: mapped, cleaned, masked, hashed, sketched."""

import os
from collections import deque
from collections.abc import Iterable, Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from hashlib import blake2b
from itertools import chain, islice
from multiprocessing import get_context, parent_process
from multiprocessing.connection import wait
from threading import Thread

import numpy as np
import pandas as pd

from pipeline.core import table
from pipeline.core.params import Ingest
from pipeline.sources import columns
from pipeline.sources.cleaning import clean_rows
from pipeline.sources.source import SPLITS, Source
from pipeline.sources.source_name import source_name
from pipeline.stages.ingest import returned_answers
from pipeline.stages.ingest.near_duplicates import duplicate_key
from pipeline.stages.ingest.sketches import bands_of, hash_bands, sketch_texts

BLOCK_ROWS = 10_000
BLOCKS_ALONE = 4  # so many are done in this process: others take a second to start


@dataclass(frozen=True)
class Block:
    """Some rows of one source: its records, or rows of arrivals that are mapped already."""

    rows: Source | pd.DataFrame
    params: Ingest


@dataclass(frozen=True)
class PreparedBlock:
    """The rows of a block: what is decided by in memory, texts as bytes, and sketches."""

    rows: pd.DataFrame  # split, file, row, label, answers, reason, group.*, arrived, id and key as uint64
    texts: bytes
    text_lengths: np.ndarray  # (rows,) uint32
    raws: bytes  # as they were read, where that differs
    raw_lengths: np.ndarray  # (rows,) uint32
    is_as_read: np.ndarray  # (rows,) bool; where true, the text is as it was read
    is_sketched: np.ndarray  # (rows,) bool
    sketches: np.ndarray  # (rows, permutations) uint32; zeros where there is none
    bands: np.ndarray  # (rows, bands) uint64


def prepare_block(block: Block) -> PreparedBlock:
    """The rows of a block, prepared."""
    params = block.params
    arrived = isinstance(block.rows, pd.DataFrame)
    rows = block.rows if isinstance(block.rows, pd.DataFrame) else columns.map_columns([block.rows], params)
    name = source_name(params)
    rows = returned_answers.unescape_answers(clean_rows(rows, params), name)
    texts, raws = rows["text"].tolist(), rows["raw"].tolist()
    keys = [duplicate_key(text) for text in texts]
    rows = rows.drop(columns=["text", "raw"]).assign(
        split=pd.Categorical(rows["split"], categories=SPLITS),
        file=rows["file"].astype("category"),
        arrived=arrived,
        id=id_numbers([table.row_id(name, text or raw) for text, raw in zip(texts, raws, strict=True)]),
        key=key_numbers(keys),
    )
    is_as_read = np.array([text == raw for text, raw in zip(texts, raws, strict=True)], dtype=bool)
    changed = ["" if same else raw for raw, same in zip(raws, is_as_read, strict=True)]
    is_sketched, sketches = sketch_rows(rows["reason"].isna().to_numpy(), keys, params)
    bands = hash_bands(sketches, bands_of(params.duplicates))
    return PreparedBlock(rows, *encode(texts), *encode(changed), is_as_read, is_sketched, sketches, bands)


def sketch_rows(is_usable: np.ndarray, keys: list[str], params: Ingest) -> tuple[np.ndarray, np.ndarray]:
    """Whether each row has a sketch, (rows,) bool, and the sketches, (rows, permutations) uint32, or zeros.

    ``is_usable`` is (rows,) bool; a short text has no sketch.
    """
    duplicates = params.duplicates
    sketches = np.zeros((len(keys), duplicates.permutations), dtype=np.uint32)
    is_long = np.array([len(key) >= duplicates.shingle for key in keys], dtype=bool)
    is_sketched = is_usable & is_long & (duplicates.threshold < 1)
    sketches[is_sketched] = sketch_texts(
        [key for key, has_sketch in zip(keys, is_sketched, strict=True) if has_sketch], duplicates
    )
    return is_sketched, sketches


def encode(texts: list[str]) -> tuple[bytes, np.ndarray]:
    """The texts as UTF-8, one after the other, and the number of bytes of each, (texts,) uint32."""
    encoded = [text.encode() for text in texts]
    return b"".join(encoded), np.fromiter(map(len, encoded), dtype=np.uint32, count=len(encoded))


def id_numbers(ids: list[str]) -> np.ndarray:
    """Row ids of 16 hexadecimal digits as numbers, (ids,) uint64."""
    return np.frombuffer(bytes.fromhex("".join(ids)), dtype=">u8").astype(np.uint64)


def id_texts(numbers: np.ndarray) -> list[str]:
    """Row ids as they are written; ``numbers`` is (ids,) uint64."""
    digits = numbers.astype(">u8").tobytes().hex()
    return [digits[place : place + 16] for place in range(0, len(digits), 16)]


def key_numbers(keys: list[str]) -> np.ndarray:
    """A hash of each key, (keys,) uint64: as long as a row id, so that equal ones are as certainly equal texts."""
    return np.frombuffer(b"".join(blake2b(key.encode(), digest_size=8).digest() for key in keys), dtype=np.uint64)


def prepare_blocks(blocks: Iterable[Block]) -> Iterator[PreparedBlock]:
    """The blocks, prepared, in their order; many of them are prepared by as many processes as there are cores."""
    blocks = iter(blocks)
    yield from map(prepare_block, islice(blocks, BLOCKS_ALONE))
    following = next(blocks, None)
    if following is None:
        return
    cores = len(os.sched_getaffinity(0))
    with worker_processes(cores) as pool:
        pending: deque[Future[PreparedBlock]] = deque()
        for block in chain([following], blocks):
            pending.append(pool.submit(prepare_block, block))
            if len(pending) > 2 * cores:
                yield pending.popleft().result()
        while pending:
            yield pending.popleft().result()


@contextmanager
def worker_processes(count: int) -> Iterator[ProcessPoolExecutor]:
    """Processes that end with this one; what is not begun is given up when the block fails."""
    pool = ProcessPoolExecutor(count, get_context("spawn"), initializer=end_with_parent)
    try:
        yield pool
    finally:
        pool.shutdown(cancel_futures=True)


def end_with_parent() -> None:
    """End this process as soon as the one that started it is gone, however that ended."""
    parent = parent_process()

    def watch() -> None:
        if parent is not None:
            wait([parent.sentinel])
            os._exit(1)

    Thread(target=watch, daemon=True).start()
