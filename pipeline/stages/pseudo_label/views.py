"""The view in which a teacher sees the texts, by kind of teacher.

The vectors are those of the student's encoder, those of an encoder that is fine-tuned on the seeds, or the latent
dimensions of the words.
"""

import hashlib
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from dataclasses import replace as replace_fields
from pathlib import Path

import numpy as np
import pandas as pd

from pipeline.core.errors import UserError
from pipeline.core.params import Encoder, PseudoLabel, Supervised
from pipeline.core.stage import Paths, write_atomically
from pipeline.models.embeddings import embed
from pipeline.stages.pseudo_label.spread import Spread, build_spread
from pipeline.stages.pseudo_label.teacher import Texts

# Kinds of teacher whose vectors are not those of the student's encoder. The student cannot use the probe of such a
# teacher, so a head is fitted for it on the vectors of the student's encoder.
TEACHERS_WITH_OTHER_VECTORS = ("latent", "finetuned")


@dataclass(frozen=True)
class View:
    """The seeds, the pool and the validation rows as a teacher sees them, and the spread over the first two."""

    seeds: Texts
    pool: Texts
    validation: Texts
    spread: Spread

    def restrict_spread(self, kept: np.ndarray) -> "View":
        """The view with a spread over the pool and the seeds at the positions ``kept``, (kept seeds,) int, only."""
        rows = np.concatenate([kept, np.arange(len(self.pool)) + len(self.seeds)])
        return replace_fields(self, spread=self.spread.restrict(rows))


# Builds the view of a teacher that learns from the seeds at these positions, (kept seeds,) int. A fold passes the
# seeds that it keeps, so that no held-out label shapes a vector.
ViewBuilder = Callable[[np.ndarray], View]


def fixed_view(view: View) -> ViewBuilder:
    """A builder that returns ``view`` for any seeds, for teachers whose vectors do not depend on labels."""
    return lambda kept: view


def latent_view(student_view: View, classes: int, params: PseudoLabel) -> View:
    """The view by latent semantic analysis of the words (Deerwester et al. 1990), as unit vectors.

    The dimensions are ``params.latent`` directions in which the words of seeds and pool vary together, or fewer where
    there are not as many words. Where no published encoder knows the language, they separate classes that a small
    encoder trained here confuses. Raises UserError if the texts share fewer than two words.
    """
    from scipy.sparse import vstack
    from sklearn.decomposition import TruncatedSVD
    from sklearn.preprocessing import normalize

    features = vstack([student_view.seeds.features, student_view.pool.features])
    if min(features.shape) < 2:
        raise UserError(
            f"pseudo_label.teacher: latent: expected two words that several texts have, found {features.shape[1]}; "
            "give it more text, or set it to probe"
        )
    analysis = TruncatedSVD(min(params.latent, min(features.shape) - 1), random_state=params.seed).fit(features)
    vectors = analysis.transform(vstack([features, student_view.validation.features]))
    return view_of_vectors(normalize(vectors).astype(np.float32), student_view, classes, params)


def fine_tuned_views(
    student_view: View,
    tables: list[pd.DataFrame],
    start: Path,
    labels: list[str],
    encoder: Encoder,
    params: PseudoLabel,
    paths: Paths,
) -> ViewBuilder:
    """A builder that fine-tunes the encoder in ``start`` on the kept seeds, and embeds all texts with it.

    ``tables`` are the seeds, with a column ``target``, the class number, the pool and the validation rows. The word
    features are those of ``student_view``.
    """
    parts = [rows["text"].tolist() for rows in tables]

    def build_view(kept: np.ndarray) -> View:
        folder = fine_tune_encoder(tables[0].iloc[kept], start, labels, encoder, params.finetuned, paths)
        return view_of_vectors(embed_parts(parts, folder, encoder, paths), student_view, len(labels), params)

    return build_view


def embed_parts(parts: list[list[str]], folder: Path, encoder: Encoder, paths: Paths) -> np.ndarray:
    """Unit vectors, (rows, width), float32, of the texts of the seeds, the pool and the validation rows, in this order.

    Held-out seeds and validation rows are what figures are reported from: ``encoder.precision: auto`` leaves them in
    float32.
    """
    seeds, pool, validation = parts
    return np.concatenate(
        [
            embed(texts, folder, encoder, paths, pool=is_pool)
            for texts, is_pool in ((seeds, False), (pool, True), (validation, False))
            if texts
        ]
    )


def view_of_vectors(vectors: np.ndarray, template: View, classes: int, params: PseudoLabel) -> View:
    """The view with these ``vectors``, and with the word features and groups of ``template``.

    ``vectors`` is (rows, width), float32, of unit length: those of seeds, pool and validation rows in this order.
    """
    ends = np.cumsum([len(template.seeds), len(template.pool)])
    parts = zip(np.split(vectors, ends), (template.seeds, template.pool, template.validation), strict=True)
    seeds, pool, validation = (Texts(part, texts.features, texts.groups) for part, texts in parts)
    return View(seeds, pool, validation, build_spread(vectors[: ends[1]], classes, params))


def fine_tune_encoder(
    rows: pd.DataFrame, start: Path, labels: list[str], encoder: Encoder, params: Supervised, paths: Paths
) -> Path:
    """The folder of the encoder that is fine-tuned on ``rows``.

    It is trained with a linear head, which is not used afterwards. An encoder that a killed run fine-tuned on the very
    same rows is used again.
    """
    from pipeline.models import network
    from pipeline.training import supervised
    from pipeline.training.checkpoints import fingerprint

    row_keys = "".join(rows["id"] + rows["label"] + rows["weight"].astype(str))
    inputs = fingerprint([params, encoder], [*sorted(start.glob("*.safetensors")), Path(__file__)])
    folder = paths.scratch("pseudo_label") / f"teacher-{hashlib.sha256((inputs + row_keys).encode()).hexdigest()[:16]}"
    rows = rows[rows["weight"] > 0]
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
