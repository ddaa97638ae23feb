"""Text vectors: each is computed once, stored, and the same whatever is computed with it."""

import shutil
import sqlite3
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from transformers import AutoTokenizer

from pipeline.core.errors import UserError
from pipeline.core.params import Params
from pipeline.core.stage import Paths
from pipeline.models import embeddings, openvino_package, vector_runtime, vector_table
from pipeline.models import encoder as encoders
from pipeline.models import runtime as runtimes
from tests.support.shared_graph import share_graph

Change = Callable[..., Params]
Embed = Callable[..., np.ndarray]
OPENVINO = {"encoder": {"runtime": "openvino"}}
TORCH = {"encoder": {"runtime": "torch"}}  # exports no graph, where the runtime does not matter


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the graphs of encoders are made that all tests of this file share."""
    return tmp_path_factory.mktemp("graphs")


@pytest.fixture
def embed(made: Path) -> Callable[..., np.ndarray]:
    """``embed(texts, folder, params, root, pool=...)``: the vectors by the encoder in a folder."""

    def compute(texts: list[str], folder: Path, params: Params, root: Path, **options: bool) -> np.ndarray:
        if params.encoder.runtime != "torch":
            share_graph(folder, params.encoder, made, root)
        return embeddings.embed(texts, folder, params.encoder, Paths(root), **options)

    return compute


def stores(root: Path) -> list[Path]:
    return sorted(Paths(root).scratch("embeddings").glob("*.sqlite"))


def test_vectors_have_unit_length_and_come_in_the_order_of_the_texts(
    embed: Embed, tiny_encoder: Path, params: Change, tmp_path: Path
) -> None:
    texts = ["hello refund today", "courier", "please help login as soon as possible", "courier"]
    vectors = embed(texts, tiny_encoder, params(OPENVINO), tmp_path)
    assert vectors.shape == (4, 32) and vectors.dtype == np.float32
    assert np.allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-5)
    assert np.array_equal(vectors[1], vectors[3]) and not np.allclose(vectors[0], vectors[1])
    assert np.array_equal(embed(texts[::-1], tiny_encoder, params(OPENVINO), tmp_path), vectors[::-1])


def test_a_text_has_the_same_vector_to_the_bit_whatever_the_other_texts(
    embed: Embed, tiny_encoder: Path, params: Change, tmp_path: Path, pairs: list[tuple[str, str]]
) -> None:
    texts = [text for text, _ in pairs]
    together = embed(texts, tiny_encoder, params(OPENVINO), tmp_path / "together")
    singly = np.concatenate([embed([text], tiny_encoder, params(OPENVINO), tmp_path / "singly") for text in texts[:5]])
    assert np.array_equal(singly, together[:5])


def test_vectors_of_many_texts_are_in_a_mapped_file_and_the_same(
    embed: Embed, tiny_encoder: Path, params: Change, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    texts = ["where is my parcel", "refund", "parcel", "refund", "my refund is late", "parcel", "late"]
    expected = embed(texts, tiny_encoder, params(TORCH), tmp_path / "few")
    monkeypatch.setattr(vector_table, "MAPPED_ROWS", 3)
    monkeypatch.setattr(embeddings, "TEXTS_AT_ONCE", 2)
    for _ in ("computed", "known"):
        mapped = embed(texts, tiny_encoder, params(TORCH), tmp_path / "many")
        assert type(mapped) is np.ndarray and isinstance(mapped.base, np.memmap)
        np.testing.assert_array_equal(mapped, expected)
    assert not [path for path in (tmp_path / "many").rglob("tmp*")]


def test_what_is_stored_is_not_computed_again(
    embed: Embed, tiny_encoder: Path, params: Change, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = embed(["refund", "courier"], tiny_encoder, params(OPENVINO), tmp_path)
    loads: list[Path] = []
    open_encoder = embeddings.open_encoder

    def count_and_open(folder: Path, *settings: Any) -> Any:
        loads.append(folder)
        return open_encoder(folder, *settings)

    monkeypatch.setattr(embeddings, "open_encoder", count_and_open)
    assert np.array_equal(embed(["courier", "refund"], tiny_encoder, params(OPENVINO), tmp_path), first[::-1])
    assert not loads
    embed(["courier", "login"], tiny_encoder, params(OPENVINO), tmp_path)
    assert len(loads) == 1


def test_an_older_encoder_without_tokenizer_json_has_a_store_by_its_vocabulary(
    embed: Embed, tiny_encoder: Path, params: Change, tmp_path: Path
) -> None:
    old = tmp_path / "old"
    shutil.copytree(tiny_encoder, old)
    words = sorted((vocabulary := AutoTokenizer.from_pretrained(old).get_vocab()), key=vocabulary.__getitem__)
    (old / "tokenizer.json").unlink()
    (old / "vocab.txt").write_text("\n".join(words) + "\n")
    assert np.array_equal(
        embed(["refund"], old, params(TORCH), tmp_path), embed(["refund"], tiny_encoder, params(TORCH), tmp_path)
    )
    (old / "vocab.txt").write_text("\n".join([*words[:-2], words[-1], words[-2]]) + "\n")
    embed(["refund"], old, params(TORCH), tmp_path)
    assert len(stores(tmp_path)) == 3


def test_a_kill_between_batches_loses_only_the_unfinished_batch(
    embed: Embed, tiny_encoder: Path, params: Change, tmp_path: Path, pairs: list[tuple[str, str]]
) -> None:
    texts = [text for text, _ in pairs]
    whole = embed(texts, tiny_encoder, params(OPENVINO), tmp_path)
    [store] = stores(tmp_path)
    with sqlite3.connect(store) as connection:
        connection.execute("DELETE FROM vector WHERE key IN (SELECT key FROM vector LIMIT 60)")
    assert np.array_equal(embed(texts, tiny_encoder, params(OPENVINO), tmp_path), whole)


def test_no_text_is_padded_beyond_the_positions_of_the_encoder(
    embed: Embed, tiny_encoder: Path, params: Change, tmp_path: Path
) -> None:
    short = tmp_path / "short"
    model, tokenizer = encoders.load(tiny_encoder, max_position_embeddings=13, ignore_mismatched_sizes=True)
    model.save_pretrained(short)
    tokenizer.save_pretrained(short)
    assert embed(
        ["refund " * 20], short, params({"encoder": {"max_length": 13, "runtime": "torch"}}), tmp_path
    ).shape == (1, 32)


@pytest.mark.parametrize("change", [{"pooling": "cls"}, {"max_length": 8}])
def test_another_pooling_or_length_has_another_store(
    embed: Embed, tiny_encoder: Path, params: Change, tmp_path: Path, change: dict[str, object]
) -> None:
    text = ["please help login as soon as possible for my order since yesterday"]
    first = embed(text, tiny_encoder, params(TORCH), tmp_path)
    changed = embed(text, tiny_encoder, params({"encoder": {"runtime": "torch"} | change}), tmp_path)
    assert not np.allclose(first, changed) and len(stores(tmp_path)) == 2


def test_vectors_by_torch_and_openvino_agree_and_have_stores_of_their_own(
    embed: Embed, tiny_encoder: Path, params: Change, tmp_path: Path
) -> None:
    texts = ["refund", "courier", "please help login as soon as possible"]
    vectors = [
        embed(texts, tiny_encoder, params({"encoder": {"runtime": runtime}}), tmp_path)
        for runtime in ("torch", "openvino", "onnxruntime")
    ]
    assert all(np.abs(ours - vectors[0]).max() < 1e-5 for ours in vectors) and len(stores(tmp_path)) == 3


def test_the_precision_auto_is_the_cpus_fastest_for_the_pool_and_float32_for_what_is_reported(
    embed: Embed, tiny_encoder: Path, params: Change, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    texts, auto = ["refund", "courier", "login"], params({"encoder": {"runtime": "openvino"}})
    set_cpu(monkeypatch, "float32", "bfloat16")
    reported = embed(texts, tiny_encoder, auto, tmp_path)
    pool = embed(texts, tiny_encoder, auto, tmp_path, pool=True)
    assert (pool * reported).sum(axis=1).min() > 0.999 and len(stores(tmp_path)) == 2
    exact = params({"encoder": {"runtime": "openvino", "precision": "float32"}})
    assert np.array_equal(embed(texts, tiny_encoder, exact, tmp_path, pool=True), reported)
    set_cpu(monkeypatch, "float32")
    assert np.array_equal(embed(texts, tiny_encoder, auto, tmp_path, pool=True), reported)
    half = params({"encoder": {"runtime": "openvino", "precision": "bfloat16"}})
    with pytest.raises(UserError, match="encoder.precision: expected a CPU that computes in bfloat16, found one"):
        embed(texts, tiny_encoder, half, tmp_path)


def set_cpu(monkeypatch: pytest.MonkeyPatch, *precisions: str) -> None:
    """Let the CPU compute in these precisions. OpenVINO converts where it does not, so that results are as they are."""
    monkeypatch.setattr(runtimes, "cpu_precisions", lambda: precisions)
    monkeypatch.setattr(vector_runtime, "is_faster_in_bfloat16", lambda: "bfloat16" in precisions)


@pytest.mark.parametrize(
    ("flags", "precisions", "faster"),
    [
        ("avx512_bf16 amx_tile amx_bf16", ("float32", "bfloat16"), True),
        ("avx512_bf16", ("float32", "bfloat16"), False),  # slower than float32 on some CPUs
        ("amx_bf16", ("float32",), False),
        (None, ("float32", "bfloat16"), False),
    ],
)
def test_only_a_unit_for_bfloat16_makes_a_cpu_faster_in_it(
    flags: str | None, precisions: tuple[str, ...], faster: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if flags is not None:
        (tmp_path / "cpuinfo").write_text(f"processor\t: 0\nflags\t\t: fpu {flags}\n")
    monkeypatch.setattr(openvino_package, "CPU_FLAGS", tmp_path / "cpuinfo")
    monkeypatch.setattr(openvino_package, "cpu_precisions", lambda: precisions)
    assert openvino_package.is_faster_in_bfloat16.__wrapped__() is faster


def test_what_a_version_recorded_takes_the_place_of_auto(
    tiny_encoder: Path, params: Change, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(runtimes.COMPUTE_LIKE, '{"vectors": "torch", "pool": "float32", "answers": "onnxruntime"}')
    auto = params({"encoder": {"runtime": "auto"}}).encoder
    choice = vector_runtime.choose_for_vectors(auto, pool=True)
    assert str(choice) == "torch float32" and runtimes.choose_for_answers(None, "float32").runtime == "onnxruntime"
    monkeypatch.setenv(runtimes.COMPUTE_LIKE, "torch")
    with pytest.raises(UserError, match="GLEANER_COMPUTE_LIKE: expected what a bundle"):
        vector_runtime.choose_for_vectors(auto, pool=True)


def test_a_rebuild_takes_what_was_recorded_or_says_in_a_line_that_the_cpu_cannot(
    params: Change, monkeypatch: pytest.MonkeyPatch
) -> None:
    set_cpu(monkeypatch, "float32", "bfloat16")
    auto = params({"encoder": {"runtime": "auto"}}).encoder
    made = {"vectors": "openvino", "pool": "float32", "reported": "float32", "answers": "openvino", "served": "float32"}
    with runtimes.compute_like(made, "model 3"):
        assert str(vector_runtime.choose_for_vectors(auto, pool=True)) == "openvino float32"
    assert runtimes.asked_for() == {}
    set_cpu(monkeypatch, "float32")
    message = r"^model 3: expected a machine that computes by openvino bfloat16, as it was made, found one that cannot"
    with pytest.raises(UserError, match=message), runtimes.compute_like(made | {"pool": "bfloat16"}, "model 3"):
        pass
    with runtimes.compute_like({}, "model 2"):  # of before there was a choice
        assert runtimes.asked_for() == {}


def test_with_a_known_graph_neither_torch_nor_transformers_nor_telemetry_is_imported(
    embed: Embed, tiny_encoder: Path, params: Change, tmp_path: Path
) -> None:
    first = embed(["refund"], tiny_encoder, openvino := params({"encoder": {"runtime": "openvino"}}), tmp_path)
    code = (
        "import sys; from pathlib import Path; from pipeline.core.params import Encoder; "
        "from pipeline.core.stage import Paths; from pipeline.models import embeddings; "
        "encoder = Encoder.model_validate_json(sys.argv[3]); "
        "print(embeddings.embed(['courier'], Path(sys.argv[1]), encoder, Paths(Path(sys.argv[2]))).shape); "
        "print({'torch', 'transformers', 'openvino_telemetry.main'} & sys.modules.keys())"
    )
    command = [sys.executable, "-c", code, str(tiny_encoder), str(tmp_path), openvino.encoder.model_dump_json()]
    process = subprocess.run(command, capture_output=True, text=True, check=True)
    assert process.stdout.splitlines() == [str(first.shape), "set()"]
