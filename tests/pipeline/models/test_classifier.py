"""A sealed bundle predicts without torch, whatever the order of the texts; a changed one is refused."""

import subprocess
import sys
from itertools import product
from pathlib import Path

import numpy as np
import pytest

from pipeline.core.errors import UserError
from pipeline.models import classifier
from tests.support import word_bundle

WORDS = {"good": [2.0, 0.0], "bad": [0.0, 2.0], "very": [0.0, 1.0]}


@pytest.fixture
def bundle(tmp_path: Path) -> Path:
    return word_bundle.build(tmp_path / "bundle", WORDS, ["up", "down"], max_length=4)


def sigmoid(value: float) -> float:
    return 1 / (1 + np.exp(-value))


def test_probabilities_are_the_softmax_of_the_logits_and_padding_counts_nothing(bundle):
    scores = classifier.load(bundle).predict(["good", "bad very bad", ""])
    assert scores.dtype == np.float32
    np.testing.assert_allclose(scores[:, 0], [sigmoid(2), sigmoid(-5), 0.5], rtol=1e-5)
    np.testing.assert_allclose(scores.sum(axis=1), 1, rtol=1e-6)


def test_temperature_divides_the_logits(tmp_path):
    folder = word_bundle.build(tmp_path / "soft", WORDS, ["up", "down"], temperature=4.0)
    model = classifier.load(folder)
    assert model.predict(["good"])[0, 0] == pytest.approx(sigmoid(0.5))
    assert model.logits(["good"]).tolist() == [[2.0, 0.0]]


def test_rows_keep_their_order_whatever_the_batches(bundle):
    texts = [" ".join(["good"] * (i % 4) + ["bad"] * (i % 3)) for i in range(50)]
    model = classifier.load(bundle)
    whole = model.predict(texts)
    np.testing.assert_array_equal(whole, model.predict(texts, batch_size=7))
    np.testing.assert_array_equal(whole, np.concatenate([model.predict([text]) for text in texts]))


def test_texts_are_cut_at_the_maximum_length(bundle):
    model = classifier.load(bundle)
    assert model.logits(["good good good good bad bad"]).tolist() == [[8.0, 0.0]]


def test_no_texts_give_no_rows(bundle):
    assert classifier.load(bundle).predict([]).shape == (0, 2)


def test_extreme_logits_do_not_overflow(tmp_path):
    folder = word_bundle.build(tmp_path / "sure", {"good": [9e4, 0.0]}, ["up", "down"])
    assert classifier.load(folder).predict(["good"]).tolist() == [[1.0, 0.0]]


def test_many_batches_show_progress(bundle, capfd):
    texts = [" ".join(words) for words in product(["good", "bad", "very", "so"], repeat=4)]
    classifier.load(bundle).predict([*texts, *texts], batch_size=2)
    assert "predict: 0/128" in capfd.readouterr().err


def test_prediction_imports_neither_torch_nor_transformers(bundle):
    code = (
        "import sys, pathlib; from pipeline.models import classifier; "
        "classifier.load(pathlib.Path(sys.argv[1])).predict(['good']); "
        "print({'torch', 'transformers', 'onnxruntime', 'openvino_telemetry.main'} & sys.modules.keys())"
    )
    process = subprocess.run([sys.executable, "-c", code, bundle], capture_output=True, text=True, check=True)
    assert process.stdout.strip() == "set()"


def test_a_changed_byte_is_refused(bundle):
    path = bundle / "classifier.json"
    path.write_bytes(path.read_bytes().replace(b'"up"', b'"UP"'))
    with pytest.raises(UserError, match=r"classifier\.json: expected the digest"):
        classifier.load(bundle)


def test_a_missing_file_is_refused(bundle):
    (bundle / "model.onnx").unlink()
    with pytest.raises(UserError, match=r"model\.onnx: expected this file"):
        classifier.load(bundle)


def test_a_file_that_the_manifest_does_not_know_is_refused(bundle):
    (bundle / "encoder").mkdir()
    (bundle / "encoder" / "extra.json").write_text("{}")
    with pytest.raises(UserError, match=r"encoder/extra\.json: expected only the files in MANIFEST"):
        classifier.load(bundle)


@pytest.mark.parametrize("name", ["weights.pkl", "pytorch_model.bin", "head.joblib", "model.pt", "code.py"])
def test_a_pickle_is_refused_even_when_the_manifest_lists_it(bundle, name):
    (bundle / name).write_bytes(b"\x80\x04.")
    classifier.seal(bundle)
    with pytest.raises(UserError, match=f"{name}: expected only .*never load weights from a pickle"):
        classifier.load(bundle)


def test_a_folder_without_manifest_is_no_bundle(tmp_path):
    with pytest.raises(UserError, match="expected a sealed model bundle"):
        classifier.load(tmp_path)


def test_a_precision_that_was_not_built_is_refused(bundle):
    with pytest.raises(UserError, match=r"model\.int8\.onnx: expected an int8 model.*export\.int8"):
        classifier.load(bundle, "int8")
