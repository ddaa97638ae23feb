"""What a teacher reads of texts: words, latent dimensions, and an encoder that is fine-tuned on the seeds."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import load_file
from scipy.sparse import csr_matrix

from pipeline.core import table
from pipeline.core.errors import UserError
from pipeline.core.params import Params
from pipeline.core.stage import Paths
from pipeline.stages.pseudo_label import features
from tests.support.pseudo_stage import RunStage


def test_rare_special_and_held_out_tokens_have_no_column(
    tiny_encoder: Path, params: Callable[..., Params], tmp_path: Path
) -> None:
    texts = ["refund refund please", "refund now", "parcel parcel"]
    idf, words = features.read_words(texts, 2, tiny_encoder, params().encoder, Paths(tmp_path))
    assert words.shape[1] == np.count_nonzero(idf) and words.shape[0] == 3
    lengths = np.sqrt(np.asarray(words.multiply(words).sum(axis=1)).ravel())
    assert lengths[:2] == pytest.approx([1, 1], abs=1e-6)


def test_words_do_not_depend_on_how_many_texts_are_read_at_once(
    tmp_path: Path, tiny_encoder: Path, params: Callable[..., Params], monkeypatch: pytest.MonkeyPatch
) -> None:
    texts = ["refund refund please", "refund now", "parcel parcel", "now please", "refund please"]
    idf, words = features.read_words(texts, 4, tiny_encoder, params().encoder, Paths(tmp_path))
    monkeypatch.setattr(features, "TEXTS_AT_ONCE", 2)
    again, same = features.read_words(texts, 4, tiny_encoder, params().encoder, Paths(tmp_path))
    assert np.array_equal(idf, again) and (words != same).nnz == 0 and words.nnz > 5
    assert words.dtype == np.float32


@pytest.mark.parametrize("word_view", [True, False])
def test_a_latent_teacher_labels_the_pool_by_words_and_the_head_fits_the_students_encoder(
    stage: RunStage, pairs: list[tuple[str, str]], word_view: bool
) -> None:
    """The encoder is random; the words of a class occur together in the texts."""
    paths, metrics = stage(gold=12, teacher="latent", latent=12, word_view=word_view, class_names=False)
    assert not metrics["ships_teacher"]
    accepted = table.read(paths.data("pseudo_label") / "train.parquet").query("origin == 'pseudo'")
    assert (accepted["label"] == accepted["text"].map(dict(pairs))).mean() > 0.5
    head = load_file(paths.data("pseudo_label") / "head.safetensors")
    assert head["weight"].shape == (3, 32) and ("words" in head) == word_view


def test_a_latent_teacher_of_texts_that_share_no_words_raises_a_user_error(params: Callable[..., Params]) -> None:
    with pytest.raises(
        UserError, match="latent: expected two words that several texts have, found 0; give it more text"
    ):
        features.latent_vectors(csr_matrix((3, 0)), 1, params().pseudo_label)


@pytest.mark.slow
def test_a_fine_tuned_teacher_labels_the_pool_and_the_head_fits_the_students_encoder(stage: RunStage) -> None:
    training: dict[str, object] = {"head_lr": 0.01, "lr": 1e-3, "dropout": 0.0, "label_smoothing": 0.0, "epochs": 2}
    training |= {"max_steps": None, "batch_size": 8, "gradient_accumulation": 1, "weight_decay": 0.0, "warmup": 0.0}
    training |= {"precision": "float32", "compile": False, "checkpoint_steps": 100, "trackers": [], "seed": 0}
    paths, metrics = stage(gold=12, teacher="finetuned", finetuned=training)
    assert metrics["judged_by"] == "folds"
    assert metrics["accepted"] > 0
    assert load_file(paths.data("pseudo_label") / "head.safetensors")["weight"].shape == (3, 32)
    assert not list(paths.scratch("pseudo_label").glob("teacher-*"))
