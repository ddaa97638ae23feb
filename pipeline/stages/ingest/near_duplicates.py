"""Near duplicates: sketches find texts that may be alike, their exact similarity decides, and groups join them."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from pipeline.core.params import Duplicates
from pipeline.core.table import normalise
from pipeline.stages.ingest.row_files import NumberFile, TextFile
from pipeline.stages.ingest.sketches import distinct_shingles, jaccard

# Texts made from one template are candidates by the million. A candidate whose estimated similarity is further below
# the threshold than this many standard errors of MinHash's estimate is skipped without the exact check.
STANDARD_ERRORS = 3
# Of the texts that agree in a band, each is compared by its sketch with so many before it, and exactly with the most
# similar of them: the time stays linear in the rows. Texts that are all alike are joined by a chain anyway.
MOST_CANDIDATES, MOST_CHECKED = 1000, 50
MOST_REMEMBERED = 1_000_000  # pairs that are not alike; a pair may agree in several bands


def duplicate_key(text: str) -> str:
    """``text`` without differences of case and whitespace: texts with equal keys are exact duplicates."""
    return normalise(text).casefold()


class Groups:
    """Rows joined into groups; the number of a group is the position of its first row."""

    def __init__(self) -> None:
        self._parents: dict[int, int] = {}

    def root(self, position: int) -> int:
        """The number of the group of a row."""
        parents = self._parents
        while (parent := parents.get(position)) is not None:
            if (grandparent := parents.get(parent)) is None:
                return parent
            parents[position] = position = grandparent
        return position

    def join(self, a: int, b: int) -> None:
        """Make the groups of two rows one."""
        low, high = sorted((self.root(a), self.root(b)))
        if low != high:
            self._parents[high] = low

    def resolve(self, numbers: np.ndarray) -> np.ndarray:
        """The number of the group, (n,) int64, of each of ``numbers``, (n,) int64, first rows of exact duplicates."""
        resolved = np.arange(numbers.max(initial=-1) + 1)
        for position in self._parents:
            resolved[position] = self.root(position)
        return resolved[numbers]


def group_rows(
    usable: np.ndarray,
    keys: np.ndarray,
    texts: TextFile,
    sketches: "Sketches | None",
    params: Duplicates,
) -> np.ndarray:
    """The group of each usable row: the position of the first row that it duplicates, directly or by a chain.

    ``usable`` are positions, (n,) int64, ascending. ``keys`` are the hashes of the keys of all rows, (rows,) uint64:
    rows with equal ones are duplicates. So are texts whose sets of character shingles have a Jaccard similarity of
    ``params.threshold`` (above 0, at most 1) or more: `candidate_pairs` finds them and the exact similarity decides. A
    pair just above the threshold may be missed, and no pair below it is joined. Texts shorter than a shingle have no
    sketch, and are compared exactly.
    """
    _, first, inverse = np.unique(keys[usable], return_index=True, return_inverse=True)
    first = usable[first]
    groups = Groups()
    if sketches is not None and params.threshold < 1:
        distinct = np.sort(first)
        join_similar(distinct[sketches.is_sketched[distinct]], texts, sketches, groups, params)
    return groups.resolve(first)[inverse]


def join_similar(
    positions: np.ndarray, texts: TextFile, sketches: "Sketches", groups: Groups, params: Duplicates
) -> None:
    """Join the rows at ``positions``, (n,) int64, whose similarity is the threshold or more."""
    unlike: set[tuple[int, int]] = set()
    for members in alike_in_a_band(positions, sketches):
        for start in range(0, len(members), MOST_CANDIDATES):
            window = members[max(0, start - MOST_CANDIDATES) : start + MOST_CANDIDATES]
            if len({groups.root(number) for number in window.tolist()}) == 1:
                continue
            shingles: dict[int, np.ndarray] = {}
            for pair in candidate_pairs(window, min(start, MOST_CANDIDATES), sketches, params):
                if groups.root(pair[0]) == groups.root(pair[1]) or pair in unlike:
                    continue
                for number in pair:
                    if number not in shingles:
                        key = duplicate_key(texts.take(np.array([number]))[0])
                        shingles[number] = distinct_shingles(key, params.shingle)
                if jaccard(shingles[pair[0]], shingles[pair[1]]) >= params.threshold:
                    groups.join(*pair)
                elif len(unlike) < MOST_REMEMBERED:
                    unlike.add(pair)


def candidate_pairs(
    window: np.ndarray, first: int, sketches: "Sketches", params: Duplicates
) -> Iterator[tuple[int, int]]:
    """Pairs of each row of ``window``, (n,) int64, from the place ``first`` on, with earlier rows of like sketches.

    The most similar ones come first.
    """
    error = (params.threshold * (1 - params.threshold) / params.permutations) ** 0.5
    least = params.threshold - STANDARD_ERRORS * error
    values, numbers = sketches.values.take(window), window.tolist()
    for place in range(max(1, first), len(numbers)):
        similarity = (values[max(0, place - MOST_CANDIDATES) : place] == values[place]).mean(axis=1)
        alike = np.flatnonzero(similarity >= least)
        if len(alike) > 1:
            alike = alike[np.argsort(-similarity[alike], kind="stable")][:MOST_CHECKED]
        for other in (alike + max(0, place - MOST_CANDIDATES)).tolist():
            yield numbers[other], numbers[place]


def alike_in_a_band(positions: np.ndarray, sketches: "Sketches") -> Iterator[np.ndarray]:
    """For each band and each value of it that several of ``positions``, (n,) int64, share: those, in their order."""
    for band in sketches.bands:
        hashes = band.take(np.arange(len(sketches.is_sketched)))[positions, 0]
        order = np.argsort(hashes, kind="stable")
        ordered = hashes[order]
        starts = np.flatnonzero(np.concatenate([[True], ordered[1:] != ordered[:-1], [True]]))
        sizes = np.diff(starts)
        for run in np.flatnonzero(sizes > 1).tolist():
            yield positions[order[starts[run] : starts[run + 1]]]


@dataclass
class Sketches:
    """The sketches of all rows on disk, by position; zeros where a row has none."""

    is_sketched: np.ndarray  # (rows,) bool
    values: NumberFile  # (rows, permutations) uint32
    bands: list[NumberFile]  # for each band (rows, 1) uint64
