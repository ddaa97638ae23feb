"""Marian: models of a few parameters translate every row; unpinned and pickled models are refused."""

from pathlib import Path

import pandas as pd
import pytest

from pipeline.core.errors import UserError
from pipeline.core.params import read_yaml, to_yaml
from pipeline.core.stage import Paths
from pipeline.stages.back_translate.run import run
from tests.support.translating import TEXTS, params, read_output, write_gold
from tests.support.two_nodes import two_nodes

ROOT = Path(__file__).parents[4]

SIZES = {"layers": 1, "attention_heads": 2, "ffn_dim": 16}


@pytest.fixture(scope="module")
def marian_folder(tmp_path_factory):
    """A Marian model of a few thousand random weights, with a tokenizer of whole words."""
    import torch
    from tokenizers import Tokenizer, models, pre_tokenizers
    from transformers import MarianConfig, MarianMTModel, PreTrainedTokenizerFast

    folder = tmp_path_factory.mktemp("marian")
    words = ["</s>", "<unk>", "<pad>", *"i lost my card who won the game yes no".split()]
    tokenizer = Tokenizer(models.WordLevel({word: i for i, word in enumerate(words)}, unk_token="<unk>"))
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, eos_token="</s>", unk_token="<unk>", pad_token="<pad>"
    ).save_pretrained(folder)
    torch.manual_seed(0)
    layers = {f"{side}_{key}": size for side in ("encoder", "decoder") for key, size in SIZES.items()}
    config = MarianConfig(
        vocab_size=len(words), d_model=16, pad_token_id=2, eos_token_id=0, decoder_start_token_id=2, **layers
    )
    MarianMTModel(config).save_pretrained(folder)
    return folder


@pytest.mark.slow
def test_marian_folders_translate_every_row_and_resume(tmp_path, marian_folder, capfd):
    write_gold(tmp_path, ["i lost my card", "who won", "the game", "yes no yes no yes no"])
    folders = [str(marian_folder)] * 2
    first = run(params(engine="marian", marian=folders), Paths(tmp_path))
    before = read_output(tmp_path)
    again = run(params(engine="marian", marian=folders), Paths(tmp_path))
    assert first["rows"] + first["rejected"] == 4 and again == first
    assert "4 of 4 texts were translated before" in capfd.readouterr().err
    for table, expected in zip(before, read_output(tmp_path), strict=True):
        pd.testing.assert_frame_equal(table, expected)


def test_a_hub_model_without_a_revision_is_refused(tmp_path):
    write_gold(tmp_path, TEXTS)
    with pytest.raises(UserError, match=r"marian_revisions: expected 2 commit hashes"):
        run(params(engine="marian", marian=["someone/there", "someone/back"]), Paths(tmp_path))


def test_a_folder_with_pickled_weights_only_is_refused(tmp_path):
    write_gold(tmp_path, TEXTS)
    folder = tmp_path / "model"
    folder.mkdir()
    (folder / "config.json").write_text("{}")
    (folder / "pytorch_model.bin").write_bytes(b"")
    with pytest.raises(UserError, match=r"expected config.json and \*.safetensors"):
        run(params(engine="marian", marian=[str(folder)] * 2), Paths(tmp_path))


@pytest.mark.slow
def test_a_cluster_translates_as_one_process(tmp_path, marian_folder):
    texts = [
        f"{first} {second} my card {third}" for first in ("i", "who") for second in ("lost", "won") for third in "ab"
    ]
    settings = params(engine="marian", marian=[str(marian_folder)] * 2)
    content = read_yaml(ROOT / "params.yaml")
    content["compute"] |= {"engine": "ray"}
    outputs = []
    with two_nodes():
        for name in ("near", "far"):
            root = tmp_path / name
            write_gold(root, texts)
            if name == "far":
                (root / "params.yaml").write_text(to_yaml(content))
            run(settings, Paths(root))
            outputs.append(read_output(root))
    for near, far in zip(*outputs, strict=True):
        pd.testing.assert_frame_equal(near, far)
    assert sum(map(len, outputs[0])) == len(texts)
