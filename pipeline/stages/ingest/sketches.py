"""MinHash sketches of texts (Broder 1997), computed for many texts at once."""

from dataclasses import dataclass
from functools import cache

import numpy as np

from pipeline.core.params import Duplicates

HASH_MULTIPLIER = np.uint64(0x9E3779B97F4A7C15)  # 2^64 over the golden ratio, odd: it mixes the bits of a hash well
# The weights of false and missed candidates: a false one costs one exact check, a missed one stays missed.
FALSE_WEIGHT, MISSED_WEIGHT = 0.1, 0.9
SEED = 1  # of the permutations


@dataclass(frozen=True)
class Bands:
    """How a sketch is divided: texts that agree in one whole band are candidates (Indyk & Motwani 1998)."""

    count: int
    rows: int  # values a band


def bands_of(params: Duplicates) -> Bands:
    """The division of a sketch for these params; no band where only exact duplicates are looked for."""
    return choose_bands(params.threshold, params.permutations) if params.threshold < 1 else Bands(0, 0)


@cache
def choose_bands(threshold: float, permutations: int) -> Bands:
    """The division of a sketch with the least weighted share of false and missed candidates around the threshold.

    A pair of similarity s is a candidate with the probability 1 - (1 - s ** rows) ** count.
    """
    below = np.linspace(0, threshold, 1000)
    above = np.linspace(threshold, 1, 1000)

    def error(bands: Bands) -> float:
        false = np.trapezoid(1 - (1 - below**bands.rows) ** bands.count, below)
        missed = np.trapezoid((1 - above**bands.rows) ** bands.count, above)
        return float(FALSE_WEIGHT * false + MISSED_WEIGHT * missed)

    divisions = [
        Bands(count, rows) for count in range(1, permutations + 1) for rows in range(1, permutations // count + 1)
    ]
    return min(divisions, key=error)


def sketch_texts(texts: list[str], params: Duplicates) -> np.ndarray:
    """The sketches of some texts, (texts, permutations) uint32; each text has at least ``params.shingle`` characters.

    The share of the values that two sketches have in common estimates the Jaccard similarity of the texts' shingles.
    """
    from rensa import RMinHash

    if not texts:
        return np.empty((0, params.permutations), np.uint32)
    lengths = np.array([len(text) for text in texts])
    hashes = hash_shingles("".join(texts), params.shingle)
    starts = np.concatenate([[0], np.cumsum(lengths)[:-1]])
    counts = lengths - params.shingle + 1
    offsets = np.concatenate([[0], np.cumsum(counts)])
    places = np.arange(offsets[-1]) + np.repeat(starts - offsets[:-1], counts)  # no shingle spans two texts
    rows = RMinHash.digest_matrix_from_flat_token_hashes(
        hashes[places], offsets.astype(np.uint64), params.permutations, SEED
    ).to_rows()
    return np.array(rows, dtype=np.uint32)


def hash_bands(sketches: np.ndarray, bands: Bands) -> np.ndarray:
    """The hash of each band of each sketch, (sketches, bands) uint64; ``sketches`` is (sketches, values) uint32."""
    hashes = np.zeros((len(sketches), bands.count), dtype=np.uint64)
    used = sketches[:, : bands.count * bands.rows].astype(np.uint64)
    for row in range(bands.rows):
        hashes = (hashes ^ used[:, row :: bands.rows]) * HASH_MULTIPLIER
        hashes ^= hashes >> np.uint64(29)
    return hashes


def hash_shingles(text: str, size: int) -> np.ndarray:
    """The hash of the ``size`` characters that begin at each place of a text, (places,) uint64."""
    codes = np.frombuffer(text.encode("utf-32-le", "surrogatepass"), dtype=np.uint32).astype(np.uint64)
    hashes = np.zeros(max(0, len(codes) - size + 1), dtype=np.uint64)
    for offset in range(size):
        hashes = (hashes ^ codes[offset : offset + len(hashes)]) * HASH_MULTIPLIER
        hashes ^= hashes >> np.uint64(29)
    return hashes


def distinct_shingles(text: str, size: int) -> np.ndarray:
    """The distinct shingles of ``size`` characters as hashes, sorted, (distinct shingles,) uint64."""
    return np.unique(hash_shingles(text, size))


def jaccard(a: np.ndarray, b: np.ndarray) -> float:
    """Jaccard similarity of two sets, 0 to 1: the shared values over all values.

    ``a`` (values,) and ``b`` (values,) are sorted uint64 arrays of distinct values.
    """
    shared = len(np.intersect1d(a, b, assume_unique=True))
    return shared / (len(a) + len(b) - shared)
