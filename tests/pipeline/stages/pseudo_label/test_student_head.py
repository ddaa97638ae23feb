"""The student's network takes over the teacher's heads: it gives the same logits, also as a served bundle."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from pipeline.core.params import Params
from pipeline.core.stage import Paths, write_json
from pipeline.models import classifier, network
from pipeline.models import encoder as encoders
from pipeline.models.onnx_export import export_onnx
from pipeline.models.onnx_file import LOGITS
from pipeline.stages import export
from pipeline.stages.pseudo_label import words
from pipeline.stages.pseudo_label.probe import Probe
from pipeline.stages.pseudo_label.run import word_features, write_head
from pipeline.stages.pseudo_label.teacher import Teacher, Texts
from tests.conftest import TOPICS

LABELS = sorted(TOPICS)


LONG = "please help refund refund tracking number " * 12  # several times what the encoder reads


UNKNOWN = "\u2603 \u2603"  # no token of it is in any other text


Shipped = tuple[Teacher, network.Network, Any, np.ndarray]


@pytest.fixture
def shipped(tiny_encoder: Path, pairs: list[tuple[str, str]], tmp_path: Path, params: Callable[..., Params]) -> Shipped:
    """A teacher of both views, the network that took over its heads, the tokenizer and the words' frequencies."""
    net, tokenizer = network.create(tiny_encoder, LABELS, pooling="mean", max_length=32)
    idf, rows = word_features([text for text, _ in pairs], 0, tiny_encoder, params().encoder, Paths(tmp_path))
    training = (rows, np.array([LABELS.index(label) for _, label in pairs]), np.ones(len(pairs)), 3)
    bayes, regression = (
        words.fit_naive_bayes(*training, alpha=0.1),
        words.fit_logistic_regression(*training, inverse_l2=10.0),
    )
    both = words.WordClassifier(bayes.table + regression.table, bayes.bias + regression.bias)
    weight = np.random.default_rng(0).normal(size=(3, 32)).astype(np.float32)
    teacher = Teacher(Probe(weight, np.array([0.1, -0.2, 0.3], np.float32)), both, mix_weight=0.7)
    write_head(teacher, idf, tmp_path / "head.safetensors")
    net.load_heads(load_file(tmp_path / "head.safetensors"))
    return teacher, net.eval(), tokenizer, idf


def varied_texts(pairs: list[tuple[str, str]]) -> list[str]:
    """Texts of many lengths: repeated words, one longer than the encoder reads, one of unknown words only."""
    texts = [text for text, _ in pairs[::9]]
    return [*texts, "refund refund refund courier refund", "refund", LONG, UNKNOWN, f"{texts[0]} {texts[1]} {texts[2]}"]


def teacher_logits(
    teacher: Teacher, net: network.Network, tokenizer: Any, idf: np.ndarray, texts: list[str]
) -> np.ndarray:
    """The teacher's logits, from vectors of single texts without padding and from word features in numpy."""
    tokens = tokenizer(texts, truncation=True, max_length=32)["input_ids"]
    vectors = []
    with torch.inference_mode():
        for ids in tokens:
            inputs, mask = torch.tensor([ids]), torch.ones(1, len(ids), dtype=torch.long)
            hidden = net.encoder(input_ids=inputs, attention_mask=mask).last_hidden_state
            vectors.append(encoders.pool(hidden, mask, "mean").numpy())
    return teacher.logits(Texts(np.concatenate(vectors), words.token_features(tokens, idf)))


def network_logits(net: network.Network, tokenizer: Any, texts: list[str]) -> np.ndarray:
    """The network's logits of all texts in one padded batch."""
    inputs = tokenizer(texts, padding=True, truncation=True, max_length=32, return_tensors="pt")
    with torch.inference_mode():
        return np.asarray(net(inputs["input_ids"], inputs["attention_mask"])["logits"].numpy())


def test_the_network_gives_the_logits_of_the_teacher(shipped: Shipped, pairs: list[tuple[str, str]]) -> None:
    teacher, net, tokenizer, idf = shipped
    texts = varied_texts(pairs)
    assert len({len(ids) for ids in tokenizer(texts, truncation=True, max_length=32)["input_ids"]}) > 4
    assert (
        np.abs(network_logits(net, tokenizer, texts) - teacher_logits(teacher, net, tokenizer, idf, texts)).max() < 1e-4
    )


def test_a_text_without_known_words_gets_its_logits_from_the_vector_only(shipped: Shipped) -> None:
    _, net, tokenizer, _ = shipped
    assert net.words is not None
    inputs = tokenizer([UNKNOWN, "hello refund"], padding=True, return_tensors="pt")
    word_logits = net.words(inputs["input_ids"], inputs["attention_mask"])
    assert torch.equal(word_logits[0], torch.zeros(3))
    assert word_logits[1].abs().min() > 0
    assert torch.isfinite(net(inputs["input_ids"], inputs["attention_mask"])["logits"]).all()


def test_a_saved_network_keeps_its_words_which_are_not_trained(shipped: Shipped, tmp_path: Path) -> None:
    _, net, tokenizer, _ = shipped
    assert not [name for name, _ in net.named_parameters() if name.startswith("words")]
    network.save(net, tokenizer, tmp_path / "model")
    loaded, _, _ = network.load(tmp_path / "model")
    texts = ["hello refund today", "courier"]
    assert np.array_equal(network_logits(loaded, tokenizer, texts), network_logits(net, tokenizer, texts))


def export_bundle(shipped: Shipped, folder: Path) -> Path:
    """Export the network as an unsealed bundle of both precisions; return its folder."""
    _, net, tokenizer, _ = shipped
    tokenizer.backend_tokenizer.save(str(folder / "tokenizer.json"))
    export_onnx(net, folder / "model.onnx", LOGITS)
    export.quantise_to_int8(folder / "model.onnx", folder / "model.int8.onnx")
    about = {"labels": LABELS, "temperature": 1.0, "pad_id": tokenizer.pad_token_id, "max_length": 32}
    write_json(about | {"serve": "float32"}, folder / "classifier.json")
    return folder


@pytest.mark.slow
def test_onnx_agrees_with_torch_on_padded_batches_and_int8_nearly(
    shipped: Shipped, pairs: list[tuple[str, str]], tmp_path: Path
) -> None:
    _, net, tokenizer, _ = shipped
    bundle = export_bundle(shipped, tmp_path)
    texts = varied_texts(pairs)
    expected = network_logits(net, tokenizer, texts)
    exact = classifier.load_unverified(bundle, "float32")
    assert np.abs(exact.token_logits(exact.tokenise(texts)) - expected).max() < 1e-4
    assert np.abs(exact.logits(texts, batch_size=3) - expected).max() < 1e-4
    texts = [text for text, _ in pairs]
    same = classifier.load_unverified(bundle, "int8").logits(texts).argmax(axis=1) == exact.logits(texts).argmax(axis=1)
    assert same.mean() > 0.95
