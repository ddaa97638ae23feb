"""What the methods ask of the model: each text once, at the served precision, and no more passes than needed."""

import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from captum.attr import LayerIntegratedGradients
from safetensors.torch import save_file

from pipeline import attribution
from pipeline.attribution.batches import batches, encoder_score
from pipeline.core.stage import write_json
from pipeline.models import classifier, network
from pipeline.models.classifier import Classifier
from pipeline.stages import export
from tests.support.explaining import LABELS, SETTINGS, directions, planted_texts, train_planted
from tests.support.word_bundle import build


@pytest.fixture(scope="module")
def planted(tiny_encoder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return train_planted(tiny_encoder, tmp_path_factory.mktemp("planted") / "model")


def test_a_text_that_reads_the_same_is_scored_once_and_every_answer_stands_in_its_place(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    bundle = build(tmp_path / "bundle", {"refund": [4, 0], "parcel": [0, 2], "money": [1, 0]}, LABELS)
    words = np.random.default_rng(0).choice(["refund", "parcel", "money", "please"], size=(150, 4))
    texts = [" ".join(row[: 1 + place % 4]) for place, row in enumerate(words)]
    texts += [text.replace(" ", "  ") for text in texts]
    expected = classifier.load(bundle).logits(texts)
    rows: list[int] = []
    plain = Classifier.batch_logits

    def counted(self: Classifier, tokens: list[Any]) -> np.ndarray:
        rows.append(len(tokens))
        return plain(self, tokens)

    monkeypatch.setattr(Classifier, "batch_logits", counted)
    found = attribution.load(bundle, inside=False).logits(texts)
    assert np.array_equal(found, expected)
    assert sum(rows) == len(set(texts[:150])) < 150 and max(rows) <= 32


def test_an_error_in_a_batch_is_raised(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    model = attribution.load(build(tmp_path / "bundle", {"refund": [4, 0]}, LABELS), inside=False)

    def broken(self: Classifier, tokens: list[Any]) -> np.ndarray:
        raise RuntimeError("no memory")

    monkeypatch.setattr(Classifier, "batch_logits", broken)
    with pytest.raises(RuntimeError, match="no memory"):
        model.logits(["refund"])


def test_integrated_gradients_are_captums_own_with_fewer_passes(planted: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    model = attribution.load(planted, inside=True)
    assert model.inside is not None
    net, texts = model.inside.network, [text for text, _ in planted_texts(3)]
    passes: list[int] = []
    plain = net.encoder.forward

    def counted(*args: Any, **kwargs: Any) -> Any:
        passes.append(len(kwargs["input_ids"]))
        return plain(*args, **kwargs)

    monkeypatch.setattr(net.encoder, "forward", counted)
    found = attribution.attribute("integrated_gradients", model, texts, directions(3), SETTINGS)
    assert sum(passes) == 3 * (SETTINGS.steps + 2)  # and the two ends, once each
    assert not net.encoder.get_input_embeddings()._forward_hooks

    (batch,) = batches(model.inside, model.inside.tokenizer.encode_batch(texts), 3)
    method = LayerIntegratedGradients(
        lambda ids, mask, wanted: encoder_score(net, ids, mask, wanted), net.encoder.get_input_embeddings()
    )
    start = torch.where(batch.special, batch.ids, model.inside.blank("mask"))
    wanted = torch.from_numpy(directions(3)[batch.rows])
    by_layer = method.attribute(
        batch.ids, start, additional_forward_args=(batch.mask, wanted), n_steps=SETTINGS.steps
    ).sum(2)
    for place, row in enumerate(batch.rows):
        words = len(found[row].words)
        assert found[row].words == pytest.approx(by_layer[place, 1 : words + 1].tolist(), abs=1e-5)


def test_what_is_explained_is_the_served_answer_with_its_class_offsets(
    planted: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    bundle = tmp_path / "bundle"
    shutil.copytree(planted, bundle)
    net, tokenizer, about = network.load(planted)
    net.shift([0.0, 50.0])  # as export does: the second class always wins
    save_file(net.heads(), bundle / "head.safetensors")
    tokenizer.backend_tokenizer.save(str(bundle / "tokenizer.json"))
    export.to_onnx(net, bundle / "model.onnx")
    write_json(about | {"temperature": 1.0, "pad_id": 0, "serve": "float32", "lineage": {}}, bundle / "classifier.json")
    classifier.seal(bundle)
    text = [planted_texts(1)[0][0]]  # of the first class
    served, before = attribution.load(bundle, inside=True), attribution.load(planted, inside=True)
    assert "not exported yet: labels and scores before calibration and class offsets" in capsys.readouterr().err
    assert (before.logits(text).argmax(), served.logits(text).argmax()) == (0, 1)
    (moved,) = attribution.attribute("integrated_gradients", served, text, -directions(1), SETTINGS)
    (plain,) = attribution.attribute("integrated_gradients", before, text, -directions(1), SETTINGS)
    assert moved.score == pytest.approx(float(served.logits(text)[0] @ -directions(1)[0]), abs=1e-4)
    assert moved.base - plain.base == pytest.approx(25, abs=1e-3)  # half of it: the score is less the mean
    assert moved.words == pytest.approx(plain.words.tolist(), abs=1e-4)
