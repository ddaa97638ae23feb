"""Exact and near duplicates: found by MinHash, joined into groups, and kept out of each other's splits."""

from collections.abc import Iterator

import numpy as np
import pandas as pd

from pipeline.core import annotation_fields
from pipeline.core.params import Duplicates
from pipeline.core.stage import progress
from pipeline.core.table import normalise, row_id
from pipeline.sources.clean import reject

SPREAD = np.uint64(0x9E3779B97F4A7C15)  # an odd number with well mixed bits, for the hash of a shingle


def key(text: str) -> str:
    """What two texts that differ in case and whitespace alone have in common."""
    return normalise(text).casefold()


def join(keys: list[str], params: Duplicates) -> list[int]:
    """A group number for each text key: the position of the first text that it duplicates, directly or by a chain.

    Texts with equal keys are duplicates; so are texts whose sets of character shingles have a Jaccard similarity of
    ``params.threshold`` or more. MinHash (Broder 1997) with locality-sensitive hashing finds the candidates and the
    exact similarity decides: a pair near the threshold may be missed, but none is joined that is below it. Texts
    shorter than a shingle are compared exactly.
    """
    first: dict[str, int] = {}
    for place, text in enumerate(keys):
        first.setdefault(text, place)
    parent = {place: place for place in first.values()}

    def root(place: int) -> int:
        while parent[place] != place:
            parent[place] = place = parent[parent[place]]
        return place

    if params.threshold < 1:
        places = [place for text, place in first.items() if len(text) >= params.shingle]
        for place, others, hashes in candidates(places, keys, params):
            for other in others:
                low, high = sorted((root(place), root(other)))
                if low != high and jaccard(hashes, shingles(keys[other], params.shingle)) >= params.threshold:
                    parent[high] = low
    return [root(first[text]) for text in keys]


def candidates(places: list[int], keys: list[str], params: Duplicates) -> Iterator[tuple[int, list[int], np.ndarray]]:
    """Each text's place, the earlier ones that may be its near duplicates, and its shingles."""
    from datasketch import MinHash, MinHashLSH

    # Candidates are checked, so a false one costs little and a missed one stays missed: hence the weights.
    index = MinHashLSH(params.threshold, params.permutations, weights=(0.1, 0.9))
    blank = MinHash(params.permutations, hashfunc=int)
    sketches = np.empty((len(places), params.permutations), dtype=blank.hashvalues.dtype)
    # Texts made from one template are candidates by the million: those whose sketches differ by more than three
    # standard errors of MinHash's estimate are passed over without the exact check.
    error = (params.threshold * (1 - params.threshold) / params.permutations) ** 0.5
    for number, place in enumerate(progress(places, "near duplicates", total=len(places))):
        hashes = shingles(keys[place], params.shingle)
        sketch = blank.copy()
        sketch.update_batch((hashes >> np.uint64(32)).tolist())
        sketches[number] = sketch.hashvalues
        others = np.array(sorted(index.query(sketch)), dtype=np.int64)
        index.insert(number, sketch)
        alike = (sketches[others] == sketch.hashvalues).mean(axis=1)
        others = others[alike >= params.threshold - 3 * error]
        if len(others):
            yield place, [places[other] for other in others], hashes


def shingles(text: str, size: int) -> np.ndarray:
    """The distinct shingles of ``size`` characters as 64-bit hashes, sorted."""
    codes = np.frombuffer(text.encode("utf-32-le"), dtype=np.uint32).astype(np.uint64)
    hashes = np.zeros(len(codes) - size + 1, dtype=np.uint64)
    for offset in range(size):
        hashes = (hashes ^ codes[offset : offset + len(hashes)]) * SPREAD
        hashes ^= hashes >> np.uint64(29)
    return np.unique(hashes)


def jaccard(a: np.ndarray, b: np.ndarray) -> float:
    """Similarity of two sets, as sorted arrays of distinct values: shared over all."""
    shared = len(np.intersect1d(a, b, assume_unique=True))
    return shared / (len(a) + len(b) - shared)


def separate(rows: pd.DataFrame, source: str, whole_test: bool) -> pd.DataFrame:
    """Reject the rows that duplicate one of another split, contradict a duplicate, or repeat one of their own.

    With ``whole_test`` all test rows stay, so that figures on published test sets compare; a repeated text there gets
    an id of its own. ``rows`` has the columns key, group, id and answers; of rows that repeat each other an answer is
    kept before the row that it is about, then a labelled one before an unlabelled one.
    """
    for held_out in ("test", "validation"):
        of = rows["split"].eq(held_out)
        groups = rows.loc[of & rows["reason"].isna(), "group"]
        earlier = ["test", held_out]
        rows = reject(rows, rows["group"].isin(groups) & ~rows["split"].isin(earlier), f"duplicates a {held_out} row")
    kept = rows["split"].eq("test") & whole_test
    labels = rows[rows["reason"].isna() & ~kept].groupby(["split", "key"])["label"].transform("nunique")
    contradicted = labels.reindex(rows.index, fill_value=0).gt(1) & rows["label"].notna()
    rows = reject(rows, contradicted, annotation_fields.CONFLICT)
    usable = rows[rows["reason"].isna() & ~kept]
    order = usable["label"].isna() * 2 + usable["answers"].isna().eq(usable["label"].notna())
    repeated = usable.loc[order.sort_values(kind="stable").index, "id"].duplicated()
    rows = reject(rows, repeated.reindex(rows.index, fill_value=False), "exact duplicate")
    return tell_apart(rows, source)


def tell_apart(rows: pd.DataFrame, source: str) -> pd.DataFrame:
    """Give every usable row whose id is taken one that counts the occurrence in."""
    usable = rows[rows["reason"].isna()]
    number = usable.groupby("id").cumcount()
    again = number[number > 0]
    ids = [row_id(f"{source}\0{n}", text) for n, text in zip(again, rows.loc[again.index, "text"], strict=True)]
    return rows.assign(id=rows["id"].mask(rows.index.isin(again.index), pd.Series(ids, again.index, dtype="str")))


def source_ids(rows: pd.DataFrame) -> "pd.Series[str]":
    """For each row, the id of the first row of its group; gold rows come first. ``rows`` are the usable ones."""
    ordered = rows.sort_values("origin", key=lambda origin: origin.ne("gold"), kind="stable")
    return ordered.groupby("group")["id"].transform("first").reindex(rows.index)
