"""Shared by the tests: a tiny real encoder with its tokenizer, tables of the row schema, and params to change."""

import os
import signal

# Set before torch is imported. The tests' models are so small that more threads make them slower.
os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
os.environ.setdefault("HF_HUB_OFFLINE", "1")

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import dvc  # noqa: F401  its log writes to the stderr of its first import, which must not be that of one test
import pandas as pd
import pytest

from flows import prefect_server as servers
from flows.server_address import ServerAddress, new_credentials
from pipeline.core import params as parameters
from pipeline.core import table
from pipeline.core.params import Params
from tests.support.vocabulary import vocabulary

# A shell starts background jobs with SIGINT ignored, and every command that a test interrupts would inherit that.
signal.signal(signal.SIGINT, signal.default_int_handler)

ROOT = Path(__file__).parent.parent
TOPICS = {
    "refund": ("money back", "refund", "charged twice", "return payment"),
    "delivery": ("parcel late", "courier", "tracking number", "package lost"),
    "account": ("password", "login", "locked out", "change email"),
}
OPENINGS = ("hello", "please help", "I need help", "good morning", "what now", "this is about")
ENDINGS = ("thanks", "today", "again", "as soon as possible", "for my order", "since yesterday", "twice this week")


def sentences() -> list[tuple[str, str]]:
    """126 distinct (text, label) pairs whose labels can be predicted from word counts."""
    return [
        (f"{opening} {topic[(i + j) % len(topic)]} {ending}", label)
        for i, opening in enumerate(OPENINGS)
        for j, ending in enumerate(ENDINGS)
        for label, topic in TOPICS.items()
    ]


@pytest.fixture(autouse=True)
def umask() -> Iterator[None]:
    """A night and a command restrict who reads the files of their process; other tests have the umask of before."""
    before = os.umask(0o022)
    os.umask(before)
    yield
    os.umask(before)


@pytest.fixture(scope="session")
def tiny_encoder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder of a random-weight BERT of width 32 with 2 layers, and a WordPiece tokenizer of the tests' sentences."""
    import torch
    from transformers import BertConfig, BertModel, BertTokenizer

    folder = tmp_path_factory.mktemp("tiny") / "encoder"
    words = vocabulary([text for text, _ in sentences()], 300)
    tokenizer = BertTokenizer(vocab=words, do_lower_case=True, model_max_length=32)
    torch.manual_seed(0)
    config = BertConfig(
        vocab_size=len(tokenizer),
        hidden_size=32,
        num_hidden_layers=2,
        num_attention_heads=2,
        intermediate_size=64,
        max_position_embeddings=64,
    )
    BertModel(config).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


@pytest.fixture(scope="session")
def rows() -> Callable[..., pd.DataFrame]:
    """``rows(pairs, origin=..., ...)``: a table of the schema from (text, label) pairs; the origin is in each id."""

    def make(pairs: list[tuple[str, str | None]], origin: str = "gold", **columns: Any) -> pd.DataFrame:
        texts = [text for text, _ in pairs]
        ids = [table.row_id(origin, text) for text in texts]
        columns = {"source_id": ids, "label": [label for _, label in pairs], **columns}
        return table.make(id=ids, text=texts, origin=origin, **columns)

    return make


@pytest.fixture(scope="session")
def pairs() -> list[tuple[str, str]]:
    """126 distinct (text, label) pairs, 42 of each of 3 classes."""
    return sentences()


@pytest.fixture(scope="session")
def params(tiny_encoder: Path) -> Callable[..., Params]:
    """``params({"finetune": {"lr": 0.1}})``: the project's params.yaml over the tiny encoder, with these changes."""
    sections = parameters.read_yaml(ROOT / "params.yaml")
    # torch: OpenVINO would export the tiny encoder in each project anew, which takes seconds.
    tiny = {"source": "path", "name": str(tiny_encoder), "sha256": None, "max_length": 32, "runtime": "torch"}

    def change(changes: dict[str, dict[str, Any]] | None = None) -> Params:
        content = dict(sections)
        trained = {"method": "full"}  # most tests of training need trained weights
        for section, values in [("encoder", tiny), ("finetune", trained), *(changes or {}).items()]:
            content[section] = content[section] | values
        return parameters.validate_params(content)

    return change


@pytest.fixture(scope="session")
def store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The file of an empty MLflow database, which tests copy: creating one takes seconds."""
    from tasks import registry

    folder = tmp_path_factory.mktemp("store")
    with pytest.MonkeyPatch.context() as patch:
        patch.delenv("MLFLOW_TRACKING_URI", raising=False)
        registry.connect(folder)
    return folder / "mlflow.db"


@pytest.fixture(scope="session")
def prefect_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of a Prefect server for the tests that run the flow more than once: each start takes seconds.

    Its password is in the environment, as PREFECT_API_AUTH_STRING.
    """
    with pytest.MonkeyPatch.context() as patch:
        for name, value in (servers.SETTINGS | {"PREFECT_HOME": str(tmp_path_factory.mktemp("prefect"))}).items():
            patch.setenv(name, value)
        server = ServerAddress(servers.api_url(servers.free_port()), new_credentials())
        patch.setenv("PREFECT_API_AUTH_STRING", str(server.credentials))
        process = servers.start_server(server)
        try:
            servers.wait_until_ready(process, server)
            yield server.url
        finally:
            servers.stop_server(process)
