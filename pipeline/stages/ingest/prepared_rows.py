"""All rows of the sources and the arrivals, prepared: what is decided by in memory, texts and sketches on disk."""

import shutil
from collections.abc import Generator, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path

import numpy as np
import pandas as pd

from pipeline.core.params import Ingest
from pipeline.core.stage import Paths, progress
from pipeline.sources import arrival_files, columns
from pipeline.sources.source import SPLITS, Source
from pipeline.stages.ingest.near_duplicates import Sketches
from pipeline.stages.ingest.prepare import BLOCK_ROWS, Block, PreparedBlock, prepare_blocks
from pipeline.stages.ingest.row_files import NumberFile, TextFile
from pipeline.stages.ingest.sketches import bands_of


@dataclass(frozen=True)
class PreparedRows:
    """The rows in the order of the sources; the index of ``rows`` is the position of their texts."""

    rows: pd.DataFrame
    texts: TextFile
    raws: TextFile  # empty where the text is as it was read
    is_as_read: np.ndarray  # (rows,) bool
    sketches: Sketches | None  # None if near duplicates are not looked for

    def raw_texts(self, positions: np.ndarray) -> list[str]:
        """The texts at ``positions``, (n,) int64, as they were read."""
        pairs = zip(
            self.texts.take(positions), self.raws.take(positions), self.is_as_read[positions].tolist(), strict=True
        )
        return [text if same else raw for text, raw, same in pairs]


@contextmanager
def prepare_rows(sources: list[Source], params: Ingest, paths: Paths) -> Iterator[PreparedRows]:
    """The rows of the sources, then those of the arrival files; ``arrived`` is true for the latter.

    Their files are in data/scratch, and go when the block ends.
    """
    folder = paths.scratch("ingest") / "rows"
    shutil.rmtree(folder, ignore_errors=True)  # of a run that was killed
    folder.mkdir(parents=True)
    try:
        with ExitStack() as stack:
            collector = Collector(folder, params, stack)
            for source in sources:
                stack.callback(close_records, source)
            blocks = prepare_blocks(read_blocks(sources, params, paths))
            for block in progress(blocks, f"blocks of {BLOCK_ROWS:,} rows"):
                collector.add(block)
            yield collector.finish()
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def read_blocks(sources: list[Source], params: Ingest, paths: Paths) -> Iterator[Block]:
    """The records of the sources in blocks, at least one of each source, then those of the arrival files.

    Raises UserError if a source lacks a column: before its rows are read, or after them where only they tell.
    """
    for source in sources:
        columns.check_columns(source, params)
    for source in sources:
        records = iter(source.records)
        while len(block := list(islice(records, BLOCK_ROWS))) == BLOCK_ROWS:
            yield Block(replace(source, columns=[], records=block), params)
        columns.check_columns(source, params)
        yield Block(replace(source, columns=[], records=block), params)
    arrivals = arrival_files.read_all(params, paths.root)
    for start in range(0, len(arrivals), BLOCK_ROWS):
        yield Block(arrivals.iloc[start : start + BLOCK_ROWS], params)


def close_records(source: Source) -> None:
    """Close what a source still reads, such as the connection to a database, if an error ended the reading."""
    if isinstance(source.records, Generator):
        source.records.close()


class Collector:
    """What the blocks hold, gathered: tables in memory, texts and sketches in files."""

    def __init__(self, folder: Path, params: Ingest, stack: ExitStack) -> None:
        self._has_sketches = params.duplicates.threshold < 1
        self._texts, self._raws = TextFile(folder / "texts"), TextFile(folder / "raw_texts")
        self._values = NumberFile(folder / "sketches", params.duplicates.permutations, np.uint32)
        count = bands_of(params.duplicates).count
        self._bands = [NumberFile(folder / f"band_{number}", 1, np.uint64) for number in range(count)]
        self._tables: list[pd.DataFrame] = []
        self._is_sketched: list[np.ndarray] = []
        self._is_as_read: list[np.ndarray] = []
        self._files: list[TextFile | NumberFile] = [self._texts, self._raws, self._values, *self._bands]
        for file in self._files:
            stack.callback(file.close)

    def add(self, block: PreparedBlock) -> None:
        """Add the rows of the next block."""
        self._tables.append(block.rows)
        self._texts.append(block.texts, block.text_lengths)
        self._raws.append(block.raws, block.raw_lengths)
        self._is_as_read.append(block.is_as_read)
        self._is_sketched.append(block.is_sketched)
        if self._has_sketches:
            self._values.append(block.sketches)
            for number, band in enumerate(self._bands):
                band.append(block.bands[:, number])

    def finish(self) -> PreparedRows:
        """All rows that were added."""
        for file in self._files:
            file.finish()
        sketches = Sketches(np.concatenate(self._is_sketched), self._values, self._bands)
        return PreparedRows(
            join_tables(self._tables),
            self._texts,
            self._raws,
            np.concatenate(self._is_as_read),
            sketches if self._has_sketches else None,
        )


def join_tables(tables: list[pd.DataFrame]) -> pd.DataFrame:
    """The tables as one, column by column, which are taken out of ``tables``; few names stand for the files."""
    joined = {}
    for name in tables[0].columns:
        parts = [table.pop(name) for table in tables]
        if name == "file":
            joined[name] = pd.Series(pd.api.types.union_categoricals([part.array for part in parts]))
        elif name == "split":
            codes = np.concatenate([part.cat.codes.to_numpy() for part in parts])
            joined[name] = pd.Series(pd.Categorical.from_codes(codes, categories=pd.Index(SPLITS)))
        else:
            joined[name] = pd.concat(parts, ignore_index=True)
    return pd.DataFrame(joined)
