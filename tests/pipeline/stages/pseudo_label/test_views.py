"""Teachers that see other vectors than those of the student's encoder: latent and fine-tuned ones."""

import shutil
from collections.abc import Callable

import numpy as np
import pytest
from safetensors.numpy import load_file
from scipy.sparse import csr_matrix

from pipeline.core import table
from pipeline.core.errors import UserError
from pipeline.core.params import Params
from pipeline.stages.pseudo_label.spread import NoSpreading
from pipeline.stages.pseudo_label.teacher import Texts
from pipeline.stages.pseudo_label.views import View, latent_view
from tests.support.pseudo_stage import RunStage


@pytest.mark.usefixtures("last_round")
@pytest.mark.parametrize("mix_weights", [[], [0.5]])
def test_a_latent_teacher_labels_the_pool_by_words_and_the_head_fits_the_students_encoder(
    stage: RunStage, pairs: list[tuple[str, str]], mix_weights: list[float]
) -> None:
    """The encoder is random; the words of a class occur together in the texts."""
    words = {"mix_weights": mix_weights, "inverse_l2": 1.0, "naive_bayes_alpha": 0.1}
    paths, metrics = stage(gold=12, teacher="latent", latent=12, words=words)
    assert not metrics["ships_teacher"]
    accepted = table.read(paths.data("pseudo_label") / "train.parquet")
    accepted = accepted[accepted["origin"] == "pseudo"]
    truth = dict(pairs)
    precision_by_words = (accepted["label"] == accepted["text"].map(truth)).mean()
    assert load_file(paths.data("pseudo_label") / "head.safetensors")["weight"].shape == (3, 32)
    shutil.rmtree(paths.root / "data")
    paths, _ = stage(gold=12, teacher="probe", words={**words, "mix_weights": []})
    accepted = table.read(paths.data("pseudo_label") / "train.parquet")
    accepted = accepted[accepted["origin"] == "pseudo"]
    assert precision_by_words > (accepted["label"] == accepted["text"].map(truth)).mean()


def test_a_latent_teacher_of_texts_that_share_no_words_raises_a_user_error(params: Callable[..., Params]) -> None:
    no_words = Texts(np.zeros((3, 0), np.float32), csr_matrix((3, 0)))
    with pytest.raises(
        UserError, match="latent: expected two words that several texts have, found 0; give it more text"
    ):
        latent_view(View(no_words, no_words, no_words, NoSpreading()), 2, params().pseudo_label)


@pytest.mark.slow
@pytest.mark.usefixtures("last_round")
def test_a_fine_tuned_teacher_labels_the_pool_and_the_head_fits_the_students_encoder(stage: RunStage) -> None:
    training: dict[str, object] = {
        "head_lr": 0.01,
        "lr": 1e-3,
        "dropout": 0.0,
        "label_smoothing": 0.0,
        "epochs": 2,
        "max_steps": None,
    }
    training |= {
        "batch_size": 8,
        "gradient_accumulation": 1,
        "weight_decay": 0.0,
        "warmup": 0.0,
        "precision": "float32",
    }
    training |= {"compile": False, "checkpoint_steps": 100, "trackers": [], "seed": 0}
    paths, metrics = stage(gold=12, teacher="finetuned", finetuned=training)
    assert metrics["judged_by"] == "folds"
    assert metrics["accepted"] > 0
    assert load_file(paths.data("pseudo_label") / "head.safetensors")["weight"].shape == (3, 32)
    assert not list(paths.scratch("pseudo_label").glob("teacher-*"))
