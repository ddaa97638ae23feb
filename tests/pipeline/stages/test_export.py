"""Export on tiny random encoders of several architectures: real ONNX files, compared with torch on real batches."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from safetensors.torch import load_file, save_file

from pipeline.core import table
from pipeline.core.digests import file_sha256
from pipeline.core.errors import UserError
from pipeline.core.params import Encoder, Evaluate, Export, Fairness, Mitigation, Offsets, Swaps
from pipeline.core.stage import Paths, write_json
from pipeline.models import classifier
from pipeline.stages import export

LABELS = ["card", "loan", "other"]
WORDS = ["where", "is", "my", "card", "the", "loan", "was", "refused", "please", "help", "now", "thanks", "money"]
PARAMS = Export(candidates=[], int8=True, serve="float32", runtime="auto", tolerance=1e-4)
FLOAT32 = PARAMS.model_copy(update={"int8": False})
EVALUATE = Evaluate(bootstrap=100, interval=0.95, baseline_inverse_l2=10.0, seed=0)
SWAPS = Swaps(variants=0, pool=False, axes=[], weight=1.0, seed=0)
FAIRNESS = Fairness(min_group_size=30, auc_class=None, bootstrap=100, interval=0.95, seed=0)
OFF = Mitigation(attributes=[], reweighing=False, penalty=0.0, offsets=Offsets(budget=None))


def tokenizer() -> Any:
    """A word-level tokenizer with [CLS] and [SEP]; padding is not token 0, so that a wrong guess would show."""
    from tokenizers import Tokenizer, models, pre_tokenizers, processors
    from transformers import PreTrainedTokenizerFast

    vocabulary = {word: i for i, word in enumerate(["[UNK]", "[PAD]", "[CLS]", "[SEP]", *sorted(set(WORDS))])}
    backend = Tokenizer(models.WordLevel(vocabulary, unk_token="[UNK]"))
    backend.pre_tokenizer = pre_tokenizers.Whitespace()
    backend.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]", special_tokens=[("[CLS]", 2), ("[SEP]", 3)]
    )
    return PreTrainedTokenizerFast(
        tokenizer_object=backend, unk_token="[UNK]", pad_token="[PAD]", cls_token="[CLS]", sep_token="[SEP]"
    )


def encoder(architecture: str) -> Any:
    """A random encoder of hidden size 32."""
    import torch
    from transformers import AutoConfig, AutoModel

    sizes = {"vocab_size": 40, "hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 4, "pad_token_id": 1}
    if architecture == "distilbert":
        sizes = {"vocab_size": 40, "dim": 32, "hidden_dim": 64, "n_layers": 2, "n_heads": 4, "pad_token_id": 1}
    elif architecture == "modernbert":
        sizes |= {"local_attention": 8, "global_attn_every_n_layers": 2, "bos_token_id": 2, "eos_token_id": 3}
        sizes |= {"cls_token_id": 2, "sep_token_id": 3}
    sizes |= {} if architecture == "distilbert" else {"intermediate_size": 64}
    torch.manual_seed(0)
    return AutoModel.from_config(AutoConfig.for_model(architecture, **sizes))


def rows(count: int, origin: str = "gold", seed: int = 0) -> pd.DataFrame:
    """Texts of 1 to 40 words with random labels."""
    rng = np.random.default_rng(seed)
    texts = [" ".join(rng.choice(WORDS, rng.integers(1, 40))) for _ in range(count)]
    ids = [f"{origin}{seed}-{i}" for i in range(count)]
    labels = None if origin == "unlabelled" else list(rng.choice(LABELS, count))
    return table.make(id=ids, source_id=ids, text=texts, label=labels, origin=origin)


def project(
    root: Path, architecture: str = "bert", validation: int = 60, pooling: str = "mean", teacher_metrics: Any = None
) -> Paths:
    """The outputs of ingest and finetune, with a random head whose scores differ from text to text."""
    import torch

    paths = Paths(root)
    model = paths.data("finetune") / "model"
    encoder(architecture).save_pretrained(model / "encoder")
    tokenizer().save_pretrained(model / "encoder")
    generator = torch.Generator().manual_seed(1)
    head = {"weight": torch.randn(len(LABELS), 32, generator=generator) * 5, "bias": torch.zeros(len(LABELS))}
    save_file(head, model / "head.safetensors")
    about = {"labels": LABELS, "pooling": pooling, "max_length": 32}
    (model / "classifier.json").write_text(json.dumps(about))
    write_json(
        {"held_out_rows": 0, "ships_teacher": False} | (teacher_metrics or {}),
        paths.data("pseudo_label") / "metrics.json",
    )
    for name, part in {
        "train": rows(20),
        "validation": rows(validation, seed=1) if validation else table.empty_like(rows(1)),
        "unlabelled": rows(30, "unlabelled"),
    }.items():
        table.write(part, paths.data("ingest") / f"{name}.parquet")
    return paths


def encoder_params(paths: Paths) -> Encoder:
    """The encoder that finetune started from, as the untouched one."""
    folder = str(paths.data("finetune") / "model" / "encoder")
    named: dict[str, Any] = {"source": "path", "name": folder, "revision": None, "sha256": None}
    sizes: dict[str, Any] = {"pooling": "mean", "max_length": 32, "batch_size": 8}
    sizes |= {"runtime": "torch", "precision": "float32"}
    return Encoder(**named, **sizes)


def run(params: Export, paths: Paths, mitigation: Mitigation = OFF) -> dict[str, Any]:
    """Run the stage with the other params as they are above."""
    return export.run(params, encoder_params(paths), EVALUATE, SWAPS, FAIRNESS, mitigation, paths)


@pytest.fixture(scope="module")
def exported(tmp_path_factory: pytest.TempPathFactory) -> tuple[Paths, dict]:
    paths = project(tmp_path_factory.mktemp("exported"))
    return paths, run(PARAMS, paths)


def bundle(paths: Paths) -> Path:
    return paths.data("export") / "bundle"


def test_the_bundle_holds_exactly_its_files_and_no_digest_is_wrong(exported):
    paths, _ = exported
    names = set(classifier.bundle_files(bundle(paths)))
    assert {name for name in names if "/" not in name} == {
        "classifier.json",
        "head.safetensors",
        "model.int8.onnx",
        "model.onnx",
        "tokenizer.json",
    }
    assert {"encoder/config.json", "encoder/model.safetensors"} <= names
    classifier.verify(bundle(paths))


def test_safetensors_in_the_bundle_are_the_fine_tuned_ones(exported):
    paths, _ = exported
    for name in ("head.safetensors", "encoder/model.safetensors"):
        before, after = (load_file(folder / name) for folder in (paths.data("finetune") / "model", bundle(paths)))
        assert before.keys() == after.keys()
        assert all(before[key].equal(after[key]) for key in before)


def test_lineage_names_the_digest_of_every_input(exported):
    paths, _ = exported
    lineage = json.loads((bundle(paths) / "classifier.json").read_text())["lineage"]
    assert {"data/finetune/model/encoder/model.safetensors", "data/ingest/train.parquet"} <= lineage.keys()
    assert all(file_sha256(paths.root / name) == digest for name, digest in lineage.items())


def test_onnx_holds_no_path_of_the_machine_that_wrote_it(exported):
    paths, _ = exported
    source = str(Path(export.__file__).parent).encode()
    for name in ("model.onnx", "model.int8.onnx"):
        content = (bundle(paths) / name).read_bytes()
        assert source not in content
        assert b"site-packages" not in content


@pytest.mark.slow
def test_two_exports_are_equal_byte_for_byte(exported, tmp_path):
    paths, _ = exported
    second = project(tmp_path)
    run(PARAMS, second)
    assert (bundle(second) / "MANIFEST.json").read_text() == (bundle(paths) / "MANIFEST.json").read_text()


@pytest.mark.slow
@pytest.mark.parametrize(
    ("architecture", "pooling"), [("bert", "cls"), ("roberta", "mean"), ("distilbert", "mean"), ("modernbert", "cls")]
)
def test_onnx_agrees_with_torch_whatever_the_architecture(tmp_path, architecture, pooling):
    import torch

    from pipeline.models import network

    paths = project(tmp_path, architecture, pooling=pooling, validation=0)
    metrics = run(FLOAT32, paths)
    assert metrics["onnx_max_difference"] < 1e-4

    net, _, _ = network.load(paths.data("finetune") / "model")
    model = classifier.load(bundle(paths))
    texts = rows(20, seed=7)["text"].tolist()
    with torch.inference_mode():  # one text at a time, so without any padding
        unpadded = [
            net(torch.from_numpy(ids)[None], torch.ones(1, len(ids)))["logits"] for ids in model.tokenise(texts)
        ]
    assert np.abs(model.logits(texts, batch_size=20) - torch.cat(unpadded).numpy()).max() < 1e-4


@pytest.mark.slow
def test_a_difference_beyond_the_tolerance_is_an_error_and_leaves_no_bundle(tmp_path):
    paths = project(tmp_path)
    with pytest.raises(UserError, match="export.tolerance: expected ONNX logits within 1e-12"):
        run(FLOAT32.model_copy(update={"tolerance": 1e-12}), paths)
    assert not bundle(paths).exists()


def test_int8_is_measured_on_validation(exported):
    _, metrics = exported
    drop = metrics["float32_validation_accuracy"] - metrics["int8_validation_accuracy"]
    assert metrics["int8_accuracy_drop"] == pytest.approx(drop)
    assert "int8_agreement" not in metrics


@pytest.mark.slow
def test_without_validation_rows_int8_agreement_is_reported_under_its_own_name_and_nothing_is_calibrated(tmp_path):
    paths = project(tmp_path, validation=0)
    metrics = run(PARAMS.model_copy(update={"serve": "int8"}), paths)
    assert metrics["int8_agreement_rows"] == 50
    assert 0.5 < metrics["int8_agreement"] <= 1
    assert "int8_accuracy_drop" not in metrics
    assert metrics["temperature"] == 1.0
    assert metrics["temperature_from"] == "none: 0 validation rows, 0 gold rows held out, 30 pool rows"
    assert classifier.load(bundle(paths)).precision == "int8"


@pytest.mark.slow
def test_without_validation_rows_confidence_is_matched_to_the_precision_on_held_out_gold_rows(tmp_path):
    paths = project(tmp_path, validation=0, teacher_metrics={"held_out_rows": 64, "precision": 0.6})
    metrics = run(FLOAT32, paths)
    pool = table.read(paths.data("ingest") / "unlabelled.parquet")["text"].tolist()
    assert classifier.load(bundle(paths)).predict(pool).max(axis=1).mean() == pytest.approx(0.6, abs=0.01)
    assert metrics["temperature_from"] == "precision on 64 held-out gold rows"


def test_the_bundle_predicts_with_the_fitted_temperature(exported):
    paths, metrics = exported
    model = classifier.load(bundle(paths))
    assert model.temperature == metrics["temperature"] != 1.0
    assert metrics["temperature_from"] == "60 validation rows, float32"
