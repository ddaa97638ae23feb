"""Export makes a bundle that abstains, where rows that its encoder has not learned from can set the threshold."""

import numpy as np
import pytest

from pipeline.core import table
from pipeline.core.errors import UserError
from pipeline.models import classifier
from tests.pipeline.stages import test_export as exporting

GRAPH = exporting.ABSTAIN.model_copy(update={"method": "graph"})


def test_the_bundle_abstains_by_vectors_that_its_model_gives(tmp_path):
    """Threshold and scores belong to the served model; the file is part of the manifest, so that a change is found."""
    paths = exporting.project(tmp_path)
    metrics = exporting.run(exporting.FLOAT32, paths, abstain=GRAPH)["abstention"]
    assert metrics["method"] == "graph" and metrics["promised_coverage"] == 0.9 and metrics["pool_rows"] == 30
    model = classifier.load(exporting.bundle(paths))
    validation = table.read(paths.data("ingest") / "validation.parquet")
    texts = validation["text"].tolist()
    answers = model.answers(texts)
    kept = [answer.label is not None for answer in answers]
    assert metrics["rows"] == len(texts), "the network learned from the gold rows, so that only validation rows count"
    assert np.mean(kept) >= 0.9 and not all(kept)
    for answer, probabilities in zip(answers, model.predict(texts), strict=True):
        assert answer.abstained == (answer.score > model.abstention.threshold) == (answer.label is None)
        assert answer.reason == ("unlike every class" if answer.abstained else None)
        assert answer.confidence == pytest.approx(float(probabilities.max()))
    assert [answer.label for answer in model.answers(texts, abstain=False)] == [
        model.labels[best] for best in model.predict(texts).argmax(axis=1)
    ]
    (exporting.bundle(paths) / "abstention.safetensors").write_bytes(b"another threshold")
    with pytest.raises(UserError, match="abstention.safetensors: expected the digest in MANIFEST.json"):
        classifier.load(exporting.bundle(paths))


def test_without_rows_that_the_encoder_has_not_learned_from_nothing_is_refused(tmp_path):
    paths = exporting.project(tmp_path, validation=0)
    metrics = exporting.run(exporting.FLOAT32, paths, abstain=GRAPH)["abstention"]
    assert metrics["method"] == "none" and "labelled rows that the encoder has not learned from" in metrics["reason"]
    assert classifier.load(exporting.bundle(paths)).abstention is None
