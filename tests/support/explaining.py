"""Models to explain: one trained to find a keyword, and random ones of several architectures."""

import random
from pathlib import Path
from typing import Any

import numpy as np
import torch

from pipeline.attribution import Settings, score_directions
from pipeline.models import network

LABELS = ["refund", "delivery"]
KEYWORDS = {"refund": "refund", "delivery": "courier"}  # label -> its word; each text has one of the two
FILLER_WORDS = (
    "hello please help I need good morning what now this is about thanks today again order since week".split()
)
SETTINGS = Settings(steps=16, baseline="mask", samples=100, seed=0)


def planted_texts(count: int, seed: int = 0) -> list[tuple[str, str]]:
    """Texts of random words with a keyword at a random position, and their labels."""
    rng = random.Random(seed)
    pairs = []
    for i in range(count):
        label = LABELS[i % 2]
        words = rng.choices(FILLER_WORDS, k=rng.randint(6, 10))
        words.insert(rng.randint(0, len(words)), KEYWORDS[label])
        pairs.append((" ".join(words), label))
    return pairs


def train_planted(tiny_encoder: Path, folder: Path, pooling: str = "mean") -> Path:
    """Train the tiny encoder on planted texts until it finds the keyword; write what finetune would write."""
    torch.manual_seed(0)
    net, tokenizer = network.create(tiny_encoder, LABELS, pooling=pooling, max_length=32, encoder_dropout=0.0)
    groups = [{"params": net.encoder.parameters(), "lr": 2e-3}, {"params": net.head.parameters(), "lr": 0.05}]
    optimizer = torch.optim.AdamW(groups)
    for step in range(150):
        pairs = planted_texts(32, seed=step + 1)
        neither = [" ".join(word for word in text.split() if word not in KEYWORDS.values()) for text, _ in pairs[:16]]
        texts = [*(text for text, _ in pairs), *neither]  # else the model could learn one keyword and its absence
        inputs = tokenizer(texts, padding=True, return_tensors="pt", return_token_type_ids=False)
        targets = torch.eye(2)[[LABELS.index(label) for _, label in pairs]]
        loss = net(**inputs, targets=torch.cat([targets, torch.full((16, 2), 0.5)]))["loss"]
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    assert loss.item() < 0.35  # the third without a keyword has a loss of 0.69 at best: 0.23 of the mean
    network.save(net.eval(), tokenizer, folder)
    return folder


def add_word_head(folder: Path, scale: float = 1.0) -> Path:
    """Give the network in a folder a word head with random weights."""
    from safetensors.torch import load_file, save_file

    torch.manual_seed(0)
    heads = load_file(folder / "head.safetensors")
    vocabulary = network.load(folder)[0].encoder.get_input_embeddings().weight.shape[0]
    idf = torch.rand(vocabulary) + 1
    idf[:5] = 0  # the special tokens
    save_file(heads | {"words": scale * torch.randn(vocabulary, len(LABELS)), "idf": idf}, folder / "head.safetensors")
    return folder


def random_network(encoder: Any, words: list[str], folder: Path, pooling: str = "mean") -> Path:
    """A network over a random encoder, with a word-level tokenizer that knows ``words``."""
    from tokenizers import Tokenizer, models, pre_tokenizers, processors
    from transformers import PreTrainedTokenizerFast

    vocabulary = {word: i for i, word in enumerate(["[UNK]", "[PAD]", "[CLS]", "[SEP]", "[MASK]", *words])}
    backend = Tokenizer(models.WordLevel(vocabulary, unk_token="[UNK]"))
    backend.pre_tokenizer = pre_tokenizers.Whitespace()
    backend.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]", special_tokens=[("[CLS]", 2), ("[SEP]", 3)]
    )
    names = {"unk_token": "[UNK]", "pad_token": "[PAD]", "cls_token": "[CLS]", "sep_token": "[SEP]"}
    tokenizer = PreTrainedTokenizerFast(tokenizer_object=backend, mask_token="[MASK]", **names)
    torch.manual_seed(0)
    net = network.Network(encoder, LABELS, pooling, 32, 0.0, 0.0)
    network.save(net.eval(), tokenizer, folder)
    return folder


def label_directions(count: int, label: int = 0) -> np.ndarray:
    """The score direction of one label for each of ``count`` texts, (texts, classes), float32."""
    return score_directions(len(LABELS), np.full(count, label))
