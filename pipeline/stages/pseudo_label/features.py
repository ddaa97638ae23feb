"""The rows of the stage, and what a teacher reads of each: vector, words, and for weights only the groups.

The vectors are those of the student's encoder or of one fine-tuned on the seeds, or latent dimensions of the words.
"""

import hashlib
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from pipeline.core import table
from pipeline.core.errors import UserError
from pipeline.core.params import Encoder, PseudoLabel, Supervised
from pipeline.core.stage import Paths, read_json, write_atomically
from pipeline.models.embeddings import embed
from pipeline.models.open_encoder import open_reader
from pipeline.models.vector_runtime import choose_for_vectors
from pipeline.models.vector_table import empty_vectors
from pipeline.text.class_names import class_texts

TEXTS_AT_ONCE = 20_000  # tokens of so many texts are in memory as arrays of their own
MIN_DOCUMENT_FREQUENCY = 2  # texts: a token of a single text predicts nothing for other texts


@dataclass(frozen=True)
class Rows:
    """All rows in one table: seeds, pool rows that heads learn from, further pool rows, validation rows.

    A position is one in this table, everywhere in the stage.
    """

    table: pd.DataFrame  # in the row schema
    seeds: int  # number of seeds: they are the first rows
    learned: int  # the end of the pool rows that heads learn from
    pool: int  # the end of the pool


@dataclass(frozen=True)
class Texts:
    """Some texts as a teacher reads them."""

    vectors: np.ndarray  # (rows, width) float32, around the mean of seeds and pool
    words: Any = None  # sparse (rows, tokens that count) float32; None: words are not used
    groups: np.ndarray | None = None  # (rows, attributes) int, -1 if unknown; no head reads them

    def __len__(self) -> int:
        return len(self.vectors)

    def take(self, rows: np.ndarray) -> "Texts":
        """The texts at the positions ``rows``, (selected rows,) int."""
        words, groups = (None if part is None else part[rows] for part in (self.words, self.groups))
        return Texts(self.vectors[rows], words, groups)


def gather_rows(paths: Paths, params: PseudoLabel) -> tuple[Rows, list[str], list[str]]:
    """All rows, the labels, and what each class is called.

    Seeds are gold rows, augmented rows with the weight that they came with, and with ``params.class_names`` a row for
    each class: its description, or its name as words. The pool has swapped copies where there are any.
    """
    about = read_json(paths.data("ingest") / "labels.json")
    labels: list[str] = about["labels"]
    names = class_texts(labels, about["descriptions"])
    seeds = [
        table.read(paths.data(stage) / "train.parquet") for stage in ("ingest", "synonyms", "back_translate", "swaps")
    ]
    if params.class_names:
        ids = [table.row_id(f"class name {label}", text) for label, text in zip(labels, names, strict=True)]
        seeds.append(table.make(id=ids, source_id=ids, text=names, label=list(labels), origin="class_name", weight=1.0))
    checked_seeds = table.check(pd.concat(seeds, ignore_index=True), Path("data/pseudo_label"))
    pool = pd.concat([table.read(paths.data(stage) / "unlabelled.parquet") for stage in ("ingest", "swaps")])
    pool = pool if params.teacher != "none" else pool.iloc[:0]
    learned = draw_learned(len(pool), params)
    further = np.setdiff1d(np.arange(len(pool)), learned)
    validation = table.read(paths.data("ingest") / "validation.parquet")
    parts = [checked_seeds, pool.iloc[learned], pool.iloc[further], validation]
    ends = np.cumsum([len(part) for part in parts])
    return Rows(table.to_schema(pd.concat(parts, ignore_index=True)), *map(int, ends[:3])), labels, names


def class_numbers(rows: pd.DataFrame, labels: list[str]) -> np.ndarray:
    """The class number of each row, (rows,) int."""
    return rows["label"].map(labels.index).to_numpy(dtype=int)


def draw_learned(rows: int, params: PseudoLabel) -> np.ndarray:
    """Positions in the pool of the rows that heads learn from, (rows,) int, rising: all, or ``params.pool_limit``."""
    if params.pool_limit is None or rows <= params.pool_limit:
        return np.arange(rows)
    return np.sort(np.random.default_rng(params.seed).choice(rows, params.pool_limit, replace=False))


def embed_rows(rows: Rows, folder: Path, encoder: Encoder, paths: Paths) -> np.ndarray:
    """Unit vectors, (rows, width) float32, of all texts by the encoder in ``folder``.

    Held-out seeds and validation rows are what figures are reported from: ``encoder.precision: auto`` leaves them in
    float32. Raises ValueError without a text.
    """
    texts = rows.table["text"].tolist()
    joined: np.ndarray | None = None
    for start, end, is_pool in ((0, rows.seeds, False), (rows.seeds, rows.pool, True), (rows.pool, len(texts), False)):
        if start < end:
            vectors = embed(texts[start:end], folder, encoder, paths, pool=is_pool)
            joined = empty_vectors(len(texts), vectors.shape[1], paths) if joined is None else joined
            joined[start:end] = vectors
    if joined is None:
        raise ValueError("there is no text")
    return joined


def read_words(texts: list[str], counted: int, folder: Path, encoder: Encoder, paths: Paths) -> tuple[np.ndarray, Any]:
    """Smoothed inverse document frequencies, (vocabulary,) float32, and sparse words, (texts, tokens that count).

    The words of a text are the frequencies of its distinct tokens, scaled to unit length, float32. Only the
    first ``counted`` texts count in the frequencies. Special tokens, and tokens of fewer than
    `MIN_DOCUMENT_FREQUENCY` texts, have the frequency 0 and no column.
    """
    from scipy.sparse import csr_matrix
    from sklearn.preprocessing import normalize

    reader = open_reader(folder, encoder, choose_for_vectors(encoder, pool=True), paths)
    columns, ends = distinct_tokens(texts, reader)
    found = np.bincount(columns[: ends[counted]], minlength=reader.tokens)
    idf = np.log((1 + counted) / (1 + found)) + 1
    idf[found < MIN_DOCUMENT_FREQUENCY] = 0
    idf[reader.special_ids] = 0
    idf = idf.astype(np.float32)
    rows = csr_matrix((idf[columns], columns, ends), shape=(len(texts), len(idf)))
    rows.eliminate_zeros()
    return idf, normalize(rows[:, np.flatnonzero(idf)], copy=False)


def distinct_tokens(texts: list[str], reader: Any) -> tuple[np.ndarray, np.ndarray]:
    """The distinct tokens of all texts in one row, int32, those of each text sorted; and where those of each text end.

    The ends are (texts + 1,), int64, the first of them 0. As lists, the tokens of a million texts take some gigabytes.
    """
    parts, lengths = [np.zeros(0, dtype=np.int32)], [0]
    for start in range(0, len(texts), TEXTS_AT_ONCE):
        rows = [np.unique(ids) for ids in reader.tokenise(texts[start : start + TEXTS_AT_ONCE])]
        parts.append(np.concatenate(rows).astype(np.int32))
        lengths += map(len, rows)
    return np.concatenate(parts), np.cumsum(lengths, dtype=np.int64)


def latent_vectors(words: Any, seen: int, params: PseudoLabel) -> np.ndarray:
    """Unit vectors, (texts, dimensions) float32, by latent semantic analysis of the words (Deerwester et al. 1990).

    ``words`` is sparse, (texts, tokens that count), float32. Only the first ``seen`` texts are learned from. Where
    no published encoder knows the language, these vectors separate classes that a small encoder trained here confuses.
    Raises UserError if the texts share fewer than two words.
    """
    from sklearn.decomposition import TruncatedSVD
    from sklearn.preprocessing import normalize

    smallest = min(seen, words.shape[1])
    if smallest < 2:
        raise UserError(
            f"pseudo_label.teacher: latent: expected two words that several texts have, found {words.shape[1]}; "
            "give it more text, or set it to probe"
        )
    analysis = TruncatedSVD(min(params.latent, smallest - 1), random_state=params.seed).fit(words[:seen])
    return normalize(analysis.transform(words)).astype(np.float32)


def fine_tune_encoder(
    rows: pd.DataFrame, start: Path, labels: list[str], encoder: Encoder, params: Supervised, paths: Paths
) -> Path:
    """The folder of the encoder in ``start`` after it was fine-tuned on ``rows``.

    It is trained with a linear head, which is not used afterwards. An encoder that a killed run fine-tuned on the very
    same rows is used again.
    """
    from pipeline.models import network
    from pipeline.training import supervised
    from pipeline.training.checkpoints import fingerprint

    row_keys = "".join(rows["id"] + rows["label"] + rows["weight"].astype(str))
    inputs = fingerprint([params, encoder], [*sorted(start.glob("*.safetensors")), Path(__file__)])
    folder = paths.scratch("pseudo_label") / f"teacher-{hashlib.sha256((inputs + row_keys).encode()).hexdigest()[:16]}"
    rows = rows[rows["weight"] > 0].assign(target=lambda kept: class_numbers(kept, labels))
    folder.mkdir(parents=True, exist_ok=True)
    if not (folder / "model").exists():
        net, tokenizer = supervised.create_network(start, labels, encoder, params)
        no_validation, section = rows.iloc[:0], "pseudo_label.finetuned"
        supervised.fit(
            net, tokenizer, rows, no_validation, params, folder, evaluate_steps=1, patience=1, section=section
        )
        write_atomically(folder / "model", lambda part: network.save(net, tokenizer, part))
    return folder / "model" / "encoder"


def remove_fine_tuned_encoders(paths: Paths) -> None:
    """Remove the fine-tuned encoders from the scratch folder, once the outputs of the stage are written."""
    for folder in paths.scratch("pseudo_label").glob("teacher-*"):
        shutil.rmtree(folder)
