"""Text vectors: each is computed once, stored, and the same whatever is computed with it."""

import shutil
import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from transformers import AutoTokenizer

from pipeline.core.params import Params
from pipeline.core.stage import Paths
from pipeline.models import embeddings

Change = Callable[..., Params]


def embed(texts: list[str], tiny_encoder: Path, params: Params, root: Path) -> np.ndarray:
    return embeddings.embed(texts, tiny_encoder, params.encoder, Paths(root))


def stores(root: Path) -> list[Path]:
    return sorted(Paths(root).scratch("embeddings").glob("*.sqlite"))


def test_vectors_have_unit_length_and_come_in_the_order_of_the_texts(
    tiny_encoder: Path, params: Change, tmp_path: Path
) -> None:
    texts = ["hello refund today", "courier", "please help login as soon as possible", "courier"]
    vectors = embed(texts, tiny_encoder, params(), tmp_path)
    assert vectors.shape == (4, 32) and vectors.dtype == np.float32
    assert np.allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-5)
    assert np.array_equal(vectors[1], vectors[3]) and not np.allclose(vectors[0], vectors[1])
    assert np.array_equal(embed(texts[::-1], tiny_encoder, params(), tmp_path), vectors[::-1])


def test_a_text_has_the_same_vector_to_the_bit_whatever_the_other_texts(
    tiny_encoder: Path, params: Change, tmp_path: Path, pairs: list[tuple[str, str]]
) -> None:
    texts = [text for text, _ in pairs]
    together = embed(texts, tiny_encoder, params(), tmp_path / "together")
    singly = np.concatenate([embed([text], tiny_encoder, params(), tmp_path / "singly") for text in texts[:5]])
    assert np.array_equal(singly, together[:5])


def test_what_is_stored_is_not_computed_again(
    tiny_encoder: Path, params: Change, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = embed(["refund", "courier"], tiny_encoder, params(), tmp_path)
    loads: list[Path] = []
    load = embeddings.encoders.load

    def count_and_load(folder: Path, **config: Any) -> tuple[Any, Any]:
        loads.append(folder)
        return load(folder, **config)

    monkeypatch.setattr(embeddings.encoders, "load", count_and_load)
    assert np.array_equal(embed(["courier", "refund"], tiny_encoder, params(), tmp_path), first[::-1])
    assert not loads
    embed(["courier", "login"], tiny_encoder, params(), tmp_path)
    assert len(loads) == 1


def test_an_older_encoder_without_tokenizer_json_has_a_store_by_its_vocabulary(
    tiny_encoder: Path, params: Change, tmp_path: Path
) -> None:
    old = tmp_path / "old"
    shutil.copytree(tiny_encoder, old)
    words = sorted((vocabulary := AutoTokenizer.from_pretrained(old).get_vocab()), key=vocabulary.__getitem__)
    (old / "tokenizer.json").unlink()
    (old / "vocab.txt").write_text("\n".join(words) + "\n")
    assert np.array_equal(
        embed(["refund"], old, params(), tmp_path), embed(["refund"], tiny_encoder, params(), tmp_path)
    )
    (old / "vocab.txt").write_text("\n".join([*words[:-2], words[-1], words[-2]]) + "\n")
    embed(["refund"], old, params(), tmp_path)
    assert len(stores(tmp_path)) == 3


def test_a_kill_between_batches_loses_only_the_unfinished_batch(
    tiny_encoder: Path, params: Change, tmp_path: Path, pairs: list[tuple[str, str]]
) -> None:
    texts = [text for text, _ in pairs]
    whole = embed(texts, tiny_encoder, params(), tmp_path)
    [store] = stores(tmp_path)
    with sqlite3.connect(store) as connection:
        connection.execute("DELETE FROM vector WHERE key IN (SELECT key FROM vector LIMIT 60)")
    assert np.array_equal(embed(texts, tiny_encoder, params(), tmp_path), whole)


def test_no_text_is_padded_beyond_the_positions_of_the_encoder(
    tiny_encoder: Path, params: Change, tmp_path: Path
) -> None:
    short = tmp_path / "short"
    model, tokenizer = embeddings.encoders.load(tiny_encoder, max_position_embeddings=13, ignore_mismatched_sizes=True)
    model.save_pretrained(short)
    tokenizer.save_pretrained(short)
    assert embed(["refund " * 20], short, params({"encoder": {"max_length": 13}}), tmp_path).shape == (1, 32)


@pytest.mark.parametrize("change", [{"pooling": "cls"}, {"max_length": 8}])
def test_another_pooling_or_length_has_another_store(
    tiny_encoder: Path, params: Change, tmp_path: Path, change: dict[str, object]
) -> None:
    text = ["please help login as soon as possible for my order since yesterday"]
    first = embed(text, tiny_encoder, params(), tmp_path)
    changed = embed(text, tiny_encoder, params({"encoder": change}), tmp_path)
    assert not np.allclose(first, changed) and len(stores(tmp_path)) == 2


def test_vectors_of_half_precision_are_nearly_the_same_and_have_another_store(
    tiny_encoder: Path, params: Change, tmp_path: Path
) -> None:
    texts = ["refund", "courier", "login"]
    exact = embed(texts, tiny_encoder, params(), tmp_path)
    half = embed(texts, tiny_encoder, params({"encoder": {"precision": "bfloat16"}}), tmp_path)
    assert not np.array_equal(half, exact)
    assert (half * exact).sum(axis=1).min() > 0.999
    assert np.array_equal(embed(texts, tiny_encoder, params(), tmp_path), exact)
