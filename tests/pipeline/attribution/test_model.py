"""How methods use the model: each text is scored once, at the served precision, with no more passes than needed."""

import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from captum.attr import LayerIntegratedGradients
from safetensors.torch import save_file

from pipeline import attribution
from pipeline.attribution.batches import encoder_score, padded_batches
from pipeline.core.stage import write_json
from pipeline.models import classifier, network
from pipeline.models.classifier import Classifier
from pipeline.models.onnx_export import export_onnx
from pipeline.models.onnx_file import LOGITS
from tests.support.explaining import LABELS, SETTINGS, label_directions, planted_texts, train_planted
from tests.support.word_bundle import build


@pytest.fixture(scope="module")
def planted(tiny_encoder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return train_planted(tiny_encoder, tmp_path_factory.mktemp("planted") / "model")


def test_texts_with_the_same_tokens_are_scored_once_and_logits_keep_the_order_of_the_texts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    bundle = build(tmp_path / "bundle", {"refund": [4, 0], "parcel": [0, 2], "money": [1, 0]}, LABELS)
    words = np.random.default_rng(0).choice(["refund", "parcel", "money", "please"], size=(150, 4))
    texts = [" ".join(row[: 1 + i % 4]) for i, row in enumerate(words)]
    texts += [text.replace(" ", "  ") for text in texts]
    expected = classifier.load(bundle).logits(texts)
    batch_sizes: list[int] = []
    original = Classifier.pad

    def counted(self: Classifier, tokens: list[Any]) -> Any:
        batch_sizes.append(len(tokens))
        return original(self, tokens)

    monkeypatch.setattr(Classifier, "pad", counted)
    logits = attribution.load(bundle, with_internals=False).logits(texts)
    assert np.array_equal(logits, expected)
    assert sum(batch_sizes) == len(set(texts[:150])) < 150 and max(batch_sizes) <= 32


def test_an_error_in_a_batch_is_raised(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    model = attribution.load(build(tmp_path / "bundle", {"refund": [4, 0]}, LABELS), with_internals=False)

    def broken(self: Classifier, tokens: list[Any]) -> Any:
        raise RuntimeError("no memory")

    monkeypatch.setattr(Classifier, "pad", broken)
    with pytest.raises(RuntimeError, match="no memory"):
        model.logits(["refund"])


def test_integrated_gradients_equal_those_of_captum_for_layers_with_fewer_passes(
    planted: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = attribution.load(planted, with_internals=True)
    assert model.internals is not None
    net, texts = model.internals.network, [text for text, _ in planted_texts(3)]
    passes: list[int] = []
    original = net.encoder.forward

    def counted(*args: Any, **kwargs: Any) -> Any:
        passes.append(len(kwargs["input_ids"]))
        return original(*args, **kwargs)

    monkeypatch.setattr(net.encoder, "forward", counted)
    attributions = attribution.attribute("integrated_gradients", model, texts, label_directions(3), SETTINGS)
    assert sum(passes) == 3 * (SETTINGS.steps + 2)  # and both ends of the path, once each
    assert not net.encoder.get_input_embeddings()._forward_hooks

    (batch,) = padded_batches(model.internals, model.internals.tokenizer.encode_batch(texts), 3)
    method = LayerIntegratedGradients(
        lambda ids, mask, directions: encoder_score(net, ids, mask, directions), net.encoder.get_input_embeddings()
    )
    baseline = torch.where(batch.special, batch.ids, model.internals.blank("mask"))
    directions = torch.from_numpy(label_directions(3)[batch.rows])
    by_layer = method.attribute(
        batch.ids, baseline, additional_forward_args=(batch.mask, directions), n_steps=SETTINGS.steps
    ).sum(2)
    for i, row in enumerate(batch.rows):
        words = len(attributions[row].words)
        assert attributions[row].words == pytest.approx(by_layer[i, 1 : words + 1].tolist(), abs=1e-5)


def test_the_served_answer_is_explained_with_its_class_offsets(
    planted: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    bundle = tmp_path / "bundle"
    shutil.copytree(planted, bundle)
    net, tokenizer, about = network.load(planted)
    net.add_offsets([0.0, 50.0])  # as export does: the second class always wins
    save_file(net.heads(), bundle / "head.safetensors")
    tokenizer.backend_tokenizer.save(str(bundle / "tokenizer.json"))
    export_onnx(net, bundle / "model.onnx", LOGITS)
    write_json(about | {"temperature": 1.0, "pad_id": 0, "serve": "float32", "lineage": {}}, bundle / "classifier.json")
    classifier.seal(bundle)
    text = [planted_texts(1)[0][0]]  # of the first class
    served, unexported = attribution.load(bundle, with_internals=True), attribution.load(planted, with_internals=True)
    assert "not exported yet: labels and scores before calibration and class offsets" in capsys.readouterr().err
    assert (unexported.logits(text).argmax(), served.logits(text).argmax()) == (0, 1)
    (with_offsets,) = attribution.attribute("integrated_gradients", served, text, -label_directions(1), SETTINGS)
    (plain,) = attribution.attribute("integrated_gradients", unexported, text, -label_directions(1), SETTINGS)
    assert with_offsets.score == pytest.approx(float(served.logits(text)[0] @ -label_directions(1)[0]), abs=1e-4)
    assert with_offsets.base - plain.base == pytest.approx(
        25, abs=1e-3
    )  # half of the offset: the score is a logit less the mean of both
    assert with_offsets.words == pytest.approx(plain.words.tolist(), abs=1e-4)
