"""Attributions: they add up to the score, both views are in them, and they find what the model looks for."""

from pathlib import Path

import numpy as np
import pytest
import torch

from pipeline import attribution
from pipeline.attribution import METHODS, NotApplicable, Settings, between, of
from pipeline.attribution.words import spans
from pipeline.core.errors import UserError
from pipeline.models import network
from tests.pipeline.models.test_adapters import ARCHITECTURES, random_encoder
from tests.support.explaining import (
    KEYWORDS,
    LABELS,
    SETTINGS,
    add_words,
    directions,
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
def both_views(tiny_encoder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return add_words(train_planted(tiny_encoder, tmp_path_factory.mktemp("both") / "model"))


@pytest.mark.parametrize("method", ["integrated_gradients", "rollout"])
def test_words_rest_and_base_add_up_to_the_models_own_score(both_views: Path, method: str) -> None:
    model = attribution.load(both_views, inside=True)
    texts = [*AWKWARD, *(text for text, _ in planted_texts(6))]
    found = attribution.attribute(method, model, texts, directions(len(texts)), SETTINGS)
    for text, one, logits in zip(texts, found, model.logits(texts), strict=True):
        assert one.score == pytest.approx(float(logits @ directions(1)[0]), abs=1e-5)
        assert one.base + one.words.sum() + one.rest + one.delta == pytest.approx(one.score, abs=1e-9)
        assert abs(one.delta) < 0.02 * max(1.0, abs(one.score - one.base))
        assert abs(one.rest) < 1e-6 or method == "rollout"  # special tokens stand in the baseline too
        assert len(one.words) == len(spans(text))


def test_more_steps_leave_less_unexplained(planted: Path) -> None:
    model = attribution.load(planted, inside=True)
    texts = [text for text, _ in planted_texts(8)]

    def missed(steps: int) -> float:
        settings = Settings(steps, "mask", 10, 0)
        found = attribution.attribute("integrated_gradients", model, texts, directions(8), settings)
        return float(np.mean([abs(one.delta) for one in found]))

    assert missed(2) > 10 * missed(32)


def test_the_words_table_is_added_exactly(planted: Path, both_views: Path) -> None:
    text = ["hello refund hello courier"]
    net = network.load(both_views)[0]
    model = attribution.load(both_views, inside=True)
    (one,) = attribution.attribute("integrated_gradients", model, text, directions(1), SETTINGS)
    assert net.words is not None and model.inside is not None
    ids = torch.tensor([model.inside.tokenizer.encode(text[0]).ids])
    with torch.no_grad():
        whole = float(net.words(ids, torch.ones_like(ids))[0] @ torch.from_numpy(directions(1)[0]))
    assert one.table.sum() == pytest.approx(whole, abs=1e-6)
    assert one.table[0] == pytest.approx(one.table[2])  # a word that stands twice shares what it counts once
    (plain,) = attribution.attribute(
        "integrated_gradients", attribution.load(planted, inside=True), text, directions(1), SETTINGS
    )
    assert plain.table.tolist() == [0, 0, 0, 0]
    assert (one.words - one.table).tolist() == pytest.approx(plain.words.tolist(), abs=1e-5)


@pytest.fixture(scope="module")
def by_attention(tiny_encoder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One that sees the first token alone, which only attention tells of the others: rollout knows nothing else."""
    return train_planted(tiny_encoder, tmp_path_factory.mktemp("cls") / "model", pooling="cls")


@pytest.mark.parametrize("method", METHODS)
def test_the_planted_keyword_is_found_and_chance_does_not_find_it(by_attention: Path, method: str) -> None:
    pairs = planted_texts(30)
    model = attribution.load(by_attention, inside=True)
    texts = [text for text, _ in pairs]
    assert [LABELS[one] for one in model.logits(texts).argmax(1)] == [label for _, label in pairs]
    wanted = of(2, np.array([LABELS.index(label) for _, label in pairs]))
    found = attribution.attribute(method, model, texts, wanted, SETTINGS)
    keys = [text.split().index(KEYWORDS[label]) for text, label in pairs]
    hits = np.mean([one.words.argmax() == key for one, key in zip(found, keys, strict=True)])
    rng = np.random.default_rng(0)
    chance = np.mean([rng.integers(len(one.words)) == key for one, key in zip(found, keys, strict=True)])
    assert hits >= 0.9
    assert chance < 0.4


def test_the_other_labels_direction_turns_every_sign(planted: Path) -> None:
    model = attribution.load(planted, inside=True)
    text = [planted_texts(1)[0][0]]
    one, other = (
        attribution.attribute(
            "integrated_gradients", model, text, between(2, np.array([i]), np.array([1 - i])), SETTINGS
        )[0]
        for i in (0, 1)
    )
    assert one.words.tolist() == pytest.approx((-other.words).tolist(), abs=1e-6)


def test_lime_finds_the_weights_of_a_model_that_is_linear_in_its_words(tmp_path: Path) -> None:
    weights = {"refund": [4.0, 0.0], "parcel": [0.0, 2.0], "money": [1.0, 0.0]}
    model = attribution.load(build(tmp_path / "bundle", weights, LABELS), inside=False)
    settings = Settings(steps=2, baseline="pad", samples=400, seed=0)
    texts = ["my refund money the parcel", "parcel"]
    found = attribution.attribute("lime", model, texts, directions(2), settings)
    assert found[0].words.tolist() == pytest.approx([0, 2, 0.5, 0, -1], abs=0.1)
    assert found[0].base == pytest.approx(0, abs=0.1)
    assert found[1].shares().tolist() == [-1]


def test_lime_of_a_text_does_not_depend_on_the_texts_beside_it(tmp_path: Path) -> None:
    model = attribution.load(build(tmp_path / "bundle", {"refund": [4, 0]}, LABELS), inside=False)
    both = attribution.attribute("lime", model, ["a refund now", "the parcel is late"], directions(2), SETTINGS)
    alone = attribution.attribute("lime", model, ["the parcel is late"], directions(1), SETTINGS)
    assert both[1].words.tolist() == alone[0].words.tolist()


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_every_architecture_is_explained(architecture: str, tmp_path: Path) -> None:
    folder = random_network(random_encoder(architecture), "where is my parcel refund".split(), tmp_path / "model")
    model = attribution.load(folder, inside=True)
    texts = ["where is my parcel", "refund"]
    for method in ("integrated_gradients", "rollout"):
        for one in attribution.attribute(method, model, texts, directions(2), SETTINGS):
            assert np.abs(one.words).sum() > 0
            assert abs(one.delta) < 0.05 * abs(one.score - one.base) + 1e-5


@pytest.mark.parametrize("kind", ["prefix", "bottleneck"])
def test_adapters_are_explained_where_a_method_can(tiny_encoder: Path, tmp_path: Path, kind: str) -> None:
    torch.manual_seed(0)
    net, tokenizer = network.create(tiny_encoder, LABELS, pooling="cls", max_length=32)
    net.adapt(kind, 4)
    for weight in (weight for name, weight in net.encoder.named_parameters() if "bottleneck" in name):
        torch.nn.init.normal_(weight, std=0.3)  # they start as nothing
    network.save(net.eval(), tokenizer, tmp_path / "model")
    model = attribution.load(tmp_path / "model", inside=True)
    texts = ["please refund", "courier"]
    for method in ("integrated_gradients", "lime"):
        for one, logits in zip(
            attribution.attribute(method, model, texts, directions(2), SETTINGS), model.logits(texts), strict=True
        ):
            assert one.score == pytest.approx(float(logits @ directions(1)[0]), abs=1e-5)
            assert abs(one.delta) < 0.02 or method == "lime"
    if kind == "prefix":
        with pytest.raises(NotApplicable, match="prefix"):
            attribution.attribute("rollout", model, texts, directions(2), SETTINGS)
    else:
        assert len(attribution.attribute("rollout", model, texts, directions(2), SETTINGS)) == 2


def test_a_network_answers_as_it_does_in_the_pipeline(both_views: Path) -> None:
    net, tokenizer, _ = network.load(both_views)
    texts = [text for text, _ in planted_texts(5)]
    inputs = tokenizer(texts, padding=True, return_tensors="pt", return_token_type_ids=False)
    with torch.no_grad():
        expected = net(**inputs)["logits"].numpy()
    assert np.allclose(attribution.load(both_views, inside=True).logits(texts), expected, atol=1e-5)


def test_what_is_lacking_is_told_in_one_line(tmp_path: Path, planted: Path) -> None:
    bundle = build(tmp_path / "bundle", {"refund": [4, 0]}, LABELS)
    with pytest.raises(UserError, match=r"expected the weights as safetensors .* found none; use --method lime"):
        attribution.load(bundle, inside=True)
    with pytest.raises(UserError, match="expected a sealed model bundle, found none"):
        attribution.load(tmp_path / "nothing", inside=True)
    (bundle / "model.onnx").write_bytes((bundle / "model.onnx").read_bytes()[:-1] + b"x")
    with pytest.raises(UserError, match=r"model\.onnx: expected the digest"):
        attribution.load(bundle, inside=False)


def test_a_tokenizer_without_a_mask_is_told_of(tmp_path: Path, planted: Path) -> None:
    from dataclasses import replace

    model = attribution.load(planted, inside=True)
    assert model.inside is not None
    bare = replace(model, inside=replace(model.inside, mask=None))
    with pytest.raises(UserError, match="baseline: expected pad, .* no mask token"):
        attribution.attribute("integrated_gradients", bare, ["refund"], directions(1), SETTINGS)
    settings = replace(SETTINGS, baseline="pad")
    assert attribution.attribute("integrated_gradients", bare, ["refund"], directions(1), settings)
