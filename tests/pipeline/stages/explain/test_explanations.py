"""Rows explained by every method that can explain the model."""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from pipeline import attribution
from pipeline.models import network
from pipeline.stages.explain import explanations, tables, vectors
from tests.support.explaining import LABELS, planted_texts
from tests.support.finetuning import Change

pytestmark = pytest.mark.slow
QUICK: dict[str, Any] = {"errors": 4, "sample": 24, "lime_samples": 60, "bootstrap": 200, "steps": 8}


def test_a_method_that_does_not_apply_is_named_and_the_others_go_on(
    tiny_encoder: Path, tmp_path: Path, params: Change
) -> None:
    net, tokenizer = network.create(tiny_encoder, LABELS, pooling="mean", max_length=32)
    net.add_adapters("prefix", 4)
    network.save(net.eval(), tokenizer, tmp_path / "model")
    model = attribution.load(tmp_path / "model", with_internals=True)
    pairs = planted_texts(4)
    test = pd.DataFrame(
        {"id": list("abcd"), "text": [text for text, _ in pairs], "label": [label for _, label in pairs]}
    )
    test = test.assign(predicted="refund", confidence=0.6)
    quick = params({"explain": QUICK}).explain
    explained = explanations.explain_rows(model, test[test["label"].ne("refund")], test, quick)
    assert explained.not_applicable == {
        "rollout": "the encoder also attends to what is no token of the text, such as a prefix"
    }
    assert list(explained.sample_attributions) == ["integrated_gradients", "lime"]
    unexplained = explanations.explain_rows(
        model, test.head(0), test, params({"explain": QUICK | {"methods": ["rollout"]}}).explain
    )
    assert tables.word_table(unexplained).empty
    assert tables.error_table(
        unexplained, None, vectors.nearest_rows(unexplained.errors, np.zeros((0, 2)), test, np.zeros((4, 2)), 2)
    ).empty
