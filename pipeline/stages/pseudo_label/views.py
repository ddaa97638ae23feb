"""Where the teacher sees the texts: in the encoder's vectors as they are or after fine-tuning on the seeds, or in the
latent dimensions of their words.
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
from pipeline.core.stage import Paths, replace
from pipeline.models.embeddings import embed
from pipeline.stages.pseudo_label.spread import Spread, spread
from pipeline.stages.pseudo_label.teacher import Texts


@dataclass(frozen=True)
class View:
    """What a teacher sees of the seeds, the pool and the validation rows, and how labels spread over the first two."""

    seeds: Texts
    pool: Texts
    validation: Texts
    spread: Spread

    def among(self, kept: np.ndarray) -> "View":
        """The same view, with labels spreading over these seeds, by position, and the pool."""
        rows = np.concatenate([kept, np.arange(len(self.pool)) + len(self.seeds)])
        return replace_fields(self, spread=self.spread.among(rows))


# From the seeds that a teacher may learn from, by position, to what it sees of all rows. A fold hands over the seeds
# that it keeps, so that no label held out shapes a vector.
See = Callable[[np.ndarray], View]


def as_they_are(view: View) -> See:
    """The encoder is never trained: the same view for everyone."""
    return lambda kept: view


# Teachers that see other vectors than the student's encoder gives: the student's head is fitted on its own ones.
OTHER_VECTORS = ("latent", "finetuned")


def latent(own: View, classes: int, params: PseudoLabel) -> View:
    """The texts by latent semantic analysis of their words (Deerwester et al. 1990), as unit vectors.

    Directions in which the words of seeds and pool vary together, ``params.latent`` of them where there are as many
    words. Where no published encoder knows the language, they tell classes apart that a small one trained here mixes.
    UserError where the texts share no words.
    """
    from scipy.sparse import vstack
    from sklearn.decomposition import TruncatedSVD
    from sklearn.preprocessing import normalize

    known = vstack([own.seeds.features, own.pool.features])
    if min(known.shape) < 2:
        raise UserError(
            f"pseudo_label.teacher: latent: expected two words that several texts have, found {known.shape[1]}; give "
            "it more text, or set it to probe"
        )
    analysis = TruncatedSVD(min(params.latent, min(known.shape) - 1), random_state=params.seed).fit(known)
    vectors = analysis.transform(vstack([known, own.validation.features]))
    return look(normalize(vectors).astype(np.float32), own, classes, params)


def fine_tuned(
    own: View,
    seeds: pd.DataFrame,
    texts: list[str],
    start: Path,
    labels: list[str],
    encoder: Encoder,
    params: PseudoLabel,
    paths: Paths,
) -> See:
    """The encoder in ``start`` is first fine-tuned on the kept seeds, with a linear head that is then left behind.

    ``seeds`` has a column ``target``, the class number; ``texts`` are those of the seeds, the pool and the validation
    rows; the words are seen as in ``own``.
    """

    def see(kept: np.ndarray) -> View:
        folder = tune(seeds.iloc[kept], start, labels, encoder, params.finetuned, paths)
        return look(embed(texts, folder, encoder, paths), own, len(labels), params)

    return see


def look(vectors: np.ndarray, own: View, classes: int, params: PseudoLabel) -> View:
    """The view of other vectors, of seeds, pool and validation rows in this order, with the words as in ``own``."""
    ends = np.cumsum([len(own.seeds), len(own.pool)])
    parts = zip(np.split(vectors, ends), (own.seeds, own.pool, own.validation), strict=True)
    seeds, pool, validation = (Texts(part, before.features, before.groups) for part, before in parts)
    return View(seeds, pool, validation, spread(vectors[: ends[1]], classes, params))


def tune(
    rows: pd.DataFrame, start: Path, labels: list[str], encoder: Encoder, params: Supervised, paths: Paths
) -> Path:
    """Folder of the encoder fine-tuned on ``rows``; what a killed run made of the very same rows is used again."""
    from pipeline.models import network
    from pipeline.training import supervised, trainer

    learned = "".join(rows["id"] + rows["label"] + rows["weight"].astype(str))
    inputs = trainer.fingerprint([params, encoder], [*sorted(start.glob("*.safetensors")), Path(__file__)])
    folder = paths.scratch("pseudo_label") / f"teacher-{hashlib.sha256((inputs + learned).encode()).hexdigest()[:16]}"
    rows = rows[rows["weight"] > 0]
    folder.mkdir(parents=True, exist_ok=True)
    if not (folder / "model").exists():
        net, tokenizer = supervised.create(start, labels, encoder, params)
        none, key = rows.iloc[:0], "pseudo_label.finetuned"
        supervised.fit(net, tokenizer, rows, none, params, folder, evaluate_steps=1, patience=1, key=key)
        replace(folder / "model", lambda part: network.save(net, tokenizer, part))
    return folder / "model" / "encoder"


def clear(paths: Paths) -> None:
    """Remove the fine-tuned teachers, once the stage's outputs are made."""
    for folder in paths.scratch("pseudo_label").glob("teacher-*"):
        shutil.rmtree(folder)
