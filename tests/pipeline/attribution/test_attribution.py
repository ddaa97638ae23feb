"""Attributions add up to the score, cover encoder and word head, and find the words that the model uses."""

from pathlib import Path

import numpy as np
import pytest
import torch

from pipeline import attribution
from pipeline.attribution import METHODS, NotApplicable, Settings, contrast_directions, score_directions
from pipeline.attribution.words import word_spans
from pipeline.core.errors import UserError
from pipeline.models import network
from tests.pipeline.models.test_adapters import ARCHITECTURES, random_encoder
from tests.support.explaining import (
    KEYWORDS,
    LABELS,
    SETTINGS,
    add_word_head,
    label_directions,
    planted_texts,
    random_network,
    train_planted,
)
from tests.support.word_bundle import build

AWKWARD = ["Café réfund, 我的包裹 👨‍👩‍👧 thanks", "courier", "please " * 60 + "refund"]


@pytest.fixture(scope="module")
def planted(tiny_encoder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return train_planted(tiny_encoder, tmp_path_factory.mktemp("planted") / "model")


@pytest.fixture(scope="module")
def with_word_head(tiny_encoder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return add_word_head(train_planted(tiny_encoder, tmp_path_factory.mktemp("both") / "model"))


@pytest.mark.parametrize("method", ["integrated_gradients", "rollout"])
def test_words_rest_and_base_add_up_to_the_models_score(with_word_head: Path, method: str) -> None:
    model = attribution.load(with_word_head, with_internals=True)
    texts = [*AWKWARD, *(text for text, _ in planted_texts(6))]
    attributions = attribution.attribute(method, model, texts, label_directions(len(texts)), SETTINGS)
    for text, explained, logits in zip(texts, attributions, model.logits(texts), strict=True):
        assert explained.score == pytest.approx(float(logits @ label_directions(1)[0]), abs=1e-5)
        total = explained.base + explained.words.sum() + explained.rest + explained.unexplained
        assert total == pytest.approx(explained.score, abs=1e-9)
        assert abs(explained.unexplained) < 0.02 * max(1.0, abs(explained.score - explained.base))
        assert abs(explained.rest) < 1e-6 or method == "rollout"  # special tokens are in the baseline too
        assert len(explained.words) == len(word_spans(text))


def test_more_steps_leave_less_unexplained(planted: Path) -> None:
    model = attribution.load(planted, with_internals=True)
    texts = [text for text, _ in planted_texts(8)]

    def mean_unexplained(steps: int) -> float:
        settings = Settings(steps, "mask", 10, 0)
        attributions = attribution.attribute("integrated_gradients", model, texts, label_directions(8), settings)
        return float(np.mean([abs(explained.unexplained) for explained in attributions]))

    assert mean_unexplained(2) > 10 * mean_unexplained(32)


def test_the_word_heads_part_is_added_exactly(planted: Path, with_word_head: Path) -> None:
    text = ["hello refund hello courier"]
    net = network.load(with_word_head)[0]
    model = attribution.load(with_word_head, with_internals=True)
    (explained,) = attribution.attribute("integrated_gradients", model, text, label_directions(1), SETTINGS)
    assert net.words is not None and model.internals is not None
    ids = torch.tensor([model.internals.tokenizer.encode(text[0]).ids])
    with torch.no_grad():
        whole = float(net.words(ids, torch.ones_like(ids))[0] @ torch.from_numpy(label_directions(1)[0]))
    assert explained.table.sum() == pytest.approx(whole, abs=1e-6)
    assert explained.table[0] == pytest.approx(explained.table[2])  # a repeated word counts once, shared by both
    (plain,) = attribution.attribute(
        "integrated_gradients", attribution.load(planted, with_internals=True), text, label_directions(1), SETTINGS
    )
    assert plain.table.tolist() == [0, 0, 0, 0]
    assert (explained.words - explained.table).tolist() == pytest.approx(plain.words.tolist(), abs=1e-5)


@pytest.fixture(scope="module")
def reads_first_token(tiny_encoder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model that reads only the first token's vector: the other tokens reach it by attention, as rollout assumes."""
    return train_planted(tiny_encoder, tmp_path_factory.mktemp("cls") / "model", pooling="cls")


@pytest.mark.parametrize("method", METHODS)
def test_the_planted_keyword_is_found_and_not_by_chance(reads_first_token: Path, method: str) -> None:
    pairs = planted_texts(30)
    model = attribution.load(reads_first_token, with_internals=True)
    texts = [text for text, _ in pairs]
    assert [LABELS[index] for index in model.logits(texts).argmax(1)] == [label for _, label in pairs]
    directions = score_directions(2, np.array([LABELS.index(label) for _, label in pairs]))
    attributions = attribution.attribute(method, model, texts, directions, SETTINGS)
    keys = [text.split().index(KEYWORDS[label]) for text, label in pairs]
    hit_rate = np.mean([explained.words.argmax() == key for explained, key in zip(attributions, keys, strict=True)])
    rng = np.random.default_rng(0)
    chance = np.mean(
        [rng.integers(len(explained.words)) == key for explained, key in zip(attributions, keys, strict=True)]
    )
    assert hit_rate >= 0.9
    assert chance < 0.4


def test_contrasting_the_other_way_round_turns_every_sign(planted: Path) -> None:
    model = attribution.load(planted, with_internals=True)
    text = [planted_texts(1)[0][0]]
    forward, backward = (
        attribution.attribute(
            "integrated_gradients", model, text, contrast_directions(2, np.array([i]), np.array([1 - i])), SETTINGS
        )[0]
        for i in (0, 1)
    )
    assert forward.words.tolist() == pytest.approx((-backward.words).tolist(), abs=1e-6)


def test_lime_finds_the_weights_of_a_model_that_is_linear_in_its_words(tmp_path: Path) -> None:
    weights = {"refund": [4.0, 0.0], "parcel": [0.0, 2.0], "money": [1.0, 0.0]}
    model = attribution.load(build(tmp_path / "bundle", weights, LABELS), with_internals=False)
    settings = Settings(steps=2, baseline="pad", samples=400, seed=0)
    texts = ["my refund money the parcel", "parcel"]
    sentence, word = attribution.attribute("lime", model, texts, label_directions(2), settings)
    assert sentence.words.tolist() == pytest.approx([0, 2, 0.5, 0, -1], abs=0.1)
    assert sentence.base == pytest.approx(0, abs=0.1)
    assert word.shares().tolist() == [-1]


def test_lime_of_a_text_does_not_depend_on_the_texts_beside_it(tmp_path: Path) -> None:
    model = attribution.load(build(tmp_path / "bundle", {"refund": [4, 0]}, LABELS), with_internals=False)
    both = attribution.attribute("lime", model, ["a refund now", "the parcel is late"], label_directions(2), SETTINGS)
    single = attribution.attribute("lime", model, ["the parcel is late"], label_directions(1), SETTINGS)
    assert both[1].words.tolist() == single[0].words.tolist()


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_every_architecture_is_explained(architecture: str, tmp_path: Path) -> None:
    folder = random_network(random_encoder(architecture), "where is my parcel refund".split(), tmp_path / "model")
    model = attribution.load(folder, with_internals=True)
    texts = ["where is my parcel", "refund"]
    for method in ("integrated_gradients", "rollout"):
        for explained in attribution.attribute(method, model, texts, label_directions(2), SETTINGS):
            assert np.abs(explained.words).sum() > 0
            assert abs(explained.unexplained) < 0.05 * abs(explained.score - explained.base) + 1e-5


@pytest.mark.parametrize("kind", ["prefix", "bottleneck"])
def test_networks_with_adapters_are_explained_where_the_method_applies(
    tiny_encoder: Path, tmp_path: Path, kind: str
) -> None:
    torch.manual_seed(0)
    net, tokenizer = network.create(tiny_encoder, LABELS, pooling="cls", max_length=32)
    net.add_adapters(kind, 4)
    for weight in (weight for name, weight in net.encoder.named_parameters() if "bottleneck" in name):
        torch.nn.init.normal_(weight, std=0.3)  # new adapters change nothing
    network.save(net.eval(), tokenizer, tmp_path / "model")
    model = attribution.load(tmp_path / "model", with_internals=True)
    texts = ["please refund", "courier"]
    for method in ("integrated_gradients", "lime"):
        for explained, logits in zip(
            attribution.attribute(method, model, texts, label_directions(2), SETTINGS), model.logits(texts), strict=True
        ):
            assert explained.score == pytest.approx(float(logits @ label_directions(1)[0]), abs=1e-5)
            assert abs(explained.unexplained) < 0.02 or method == "lime"
    if kind == "prefix":
        with pytest.raises(NotApplicable, match="prefix"):
            attribution.attribute("rollout", model, texts, label_directions(2), SETTINGS)
    else:
        assert len(attribution.attribute("rollout", model, texts, label_directions(2), SETTINGS)) == 2


def test_the_logits_of_a_network_are_those_of_its_forward_pass(with_word_head: Path) -> None:
    net, tokenizer, _ = network.load(with_word_head)
    texts = [text for text, _ in planted_texts(5)]
    inputs = tokenizer(texts, padding=True, return_tensors="pt", return_token_type_ids=False)
    with torch.no_grad():
        expected = net(**inputs)["logits"].numpy()
    assert np.allclose(attribution.load(with_word_head, with_internals=True).logits(texts), expected, atol=1e-5)


def test_a_folder_without_weights_bundle_or_right_digest_is_an_error(tmp_path: Path, planted: Path) -> None:
    bundle = build(tmp_path / "bundle", {"refund": [4, 0]}, LABELS)
    with pytest.raises(UserError, match=r"expected the weights as safetensors .* found none; use --method lime"):
        attribution.load(bundle, with_internals=True)
    with pytest.raises(UserError, match="expected a sealed model bundle, found none"):
        attribution.load(tmp_path / "nothing", with_internals=True)
    (bundle / "model.onnx").write_bytes((bundle / "model.onnx").read_bytes()[:-1] + b"x")
    with pytest.raises(UserError, match=r"model\.onnx: expected the digest"):
        attribution.load(bundle, with_internals=False)


def test_a_tokenizer_without_a_mask_token_needs_the_pad_baseline(tmp_path: Path, planted: Path) -> None:
    from dataclasses import replace

    model = attribution.load(planted, with_internals=True)
    assert model.internals is not None
    without_mask = replace(model, internals=replace(model.internals, mask=None))
    with pytest.raises(UserError, match="baseline: expected pad, .* no mask token"):
        attribution.attribute("integrated_gradients", without_mask, ["refund"], label_directions(1), SETTINGS)
    settings = replace(SETTINGS, baseline="pad")
    assert attribution.attribute("integrated_gradients", without_mask, ["refund"], label_directions(1), settings)
