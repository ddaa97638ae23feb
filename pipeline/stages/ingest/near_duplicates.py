"""Near duplicates: MinHash finds texts that may be alike, their exact similarity decides, and groups join them."""

from collections.abc import Iterator

import numpy as np

from pipeline.core.params import Duplicates
from pipeline.core.stage import progress
from pipeline.core.table import normalise

HASH_MULTIPLIER = np.uint64(0x9E3779B97F4A7C15)  # 2^64 over the golden ratio, odd: it mixes the bits of a hash well
# The weights of false and missed candidates: a false one costs one exact check, a missed one stays missed.
LSH_WEIGHTS = (0.1, 0.9)
# Texts made from one template are candidates by the million. A candidate whose estimated similarity is further below
# the threshold than this many standard errors of MinHash's estimate is skipped without the exact check.
STANDARD_ERRORS = 3


def duplicate_key(text: str) -> str:
    """``text`` without differences of case and whitespace: texts with equal keys are exact duplicates."""
    return normalise(text).casefold()


def group_duplicates(keys: list[str], params: Duplicates) -> list[int]:
    """A group number for each key: the position of the first text that it duplicates, directly or by a chain.

    Texts with equal keys are duplicates; so are texts whose sets of character shingles have a Jaccard similarity of
    ``params.threshold`` (above 0, at most 1) or more. MinHash (Broder 1997) with locality-sensitive hashing (Indyk &
    Motwani 1998) finds the candidates and the exact similarity decides: a pair just above the threshold may be missed,
    and no pair below it is joined. Texts shorter than a shingle are compared exactly.
    """
    first: dict[str, int] = {}
    for position, key in enumerate(keys):
        first.setdefault(key, position)
    parent = {position: position for position in first.values()}

    def root(position: int) -> int:
        while parent[position] != position:
            parent[position] = position = parent[parent[position]]
        return position

    if params.threshold < 1:
        positions = [position for key, position in first.items() if len(key) >= params.shingle]
        for position, candidates, hashes in candidate_pairs(positions, keys, params):
            for candidate in candidates:
                low, high = sorted((root(position), root(candidate)))
                if low != high and jaccard(hashes, shingles(keys[candidate], params.shingle)) >= params.threshold:
                    parent[high] = low
    return [root(first[key]) for key in keys]


def candidate_pairs(
    positions: list[int], keys: list[str], params: Duplicates
) -> Iterator[tuple[int, list[int], np.ndarray]]:
    """For each text that has any: its position, the positions of earlier candidates, and its shingles.

    The shingles are an array (distinct shingles,) uint64, see ``shingles``.
    """
    from datasketch import MinHash, MinHashLSH

    index = MinHashLSH(params.threshold, params.permutations, weights=LSH_WEIGHTS)
    empty = MinHash(params.permutations, hashfunc=int)
    sketches = np.empty((len(positions), params.permutations), dtype=empty.hashvalues.dtype)
    error = (params.threshold * (1 - params.threshold) / params.permutations) ** 0.5
    for number, position in enumerate(progress(positions, "near duplicates", total=len(positions))):
        hashes = shingles(keys[position], params.shingle)
        sketch = empty.copy()
        sketch.update_batch((hashes >> np.uint64(32)).tolist())
        sketches[number] = sketch.hashvalues
        candidates = np.array(sorted(index.query(sketch)), dtype=np.int64)
        index.insert(number, sketch)
        similarity = (sketches[candidates] == sketch.hashvalues).mean(axis=1)
        candidates = candidates[similarity >= params.threshold - STANDARD_ERRORS * error]
        if len(candidates):
            yield position, [positions[candidate] for candidate in candidates], hashes


def shingles(text: str, size: int) -> np.ndarray:
    """The distinct shingles of ``size`` characters as hashes, sorted, (distinct shingles,) uint64.

    ``text`` has at least ``size`` characters.
    """
    codes = np.frombuffer(text.encode("utf-32-le"), dtype=np.uint32).astype(np.uint64)
    hashes = np.zeros(len(codes) - size + 1, dtype=np.uint64)
    for offset in range(size):
        hashes = (hashes ^ codes[offset : offset + len(hashes)]) * HASH_MULTIPLIER
        hashes ^= hashes >> np.uint64(29)
    return np.unique(hashes)


def jaccard(a: np.ndarray, b: np.ndarray) -> float:
    """Jaccard similarity of two sets, 0 to 1: the shared values over all values.

    ``a`` (values,) and ``b`` (values,) are sorted uint64 arrays of distinct values.
    """
    shared = len(np.intersect1d(a, b, assume_unique=True))
    return shared / (len(a) + len(b) - shared)
