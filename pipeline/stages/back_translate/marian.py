"""A pair of Marian models as the engine: through Transformers, from the hub or from local folders.

Junczys-Dowmunt et al. (2018), "Marian: Fast Neural Machine Translation in C++"; the published models are OPUS-MT's.
"""

from importlib.util import find_spec
from pathlib import Path
from typing import Any

from pipeline.core.errors import UserError
from pipeline.core.params import BackTranslate
from pipeline.models import encoder

HUB_FILES = ["*.json", "*.safetensors", "*.spm"]
MAX_TOKENS = 512  # a Marian model has no more positions


class Marian:
    """The two models named in ``back_translate.marian``.

    Raises UserError if a model cannot be found, is not pinned, or has no safetensors weights.
    """

    def __init__(self, params: BackTranslate) -> None:
        self.folders = locate_models(params)
        self.max_ratio = params.max_ratio
        self.models = [load_model(folder) for folder in self.folders]

    @property
    def identity(self) -> str:
        """The digests of the weights, and ``max_ratio``, which limits the length of a translation."""
        return f"marian {[encoder.weights_digest(folder) for folder in self.folders]} {self.max_ratio}"

    def round_trip(self, texts: list[str]) -> list[str]:
        """The texts translated there and back."""
        for model, tokenizer in self.models:
            texts = translate(texts, model, tokenizer, self.max_ratio)
        return texts


def locate_models(params: BackTranslate) -> list[Path]:
    """The folders of the two models; a model that is no local folder is downloaded from the hub.

    Raises UserError if a hub model has no revision, or if a folder lacks config.json or safetensors weights.
    """
    hub = [name for name in params.marian if not Path(name).is_dir()]
    if len(hub) != len(params.marian_revisions):
        raise UserError(
            f"back_translate.marian_revisions: expected {len(hub)} commit hashes, one for each hub model "
            f"({', '.join(hub) or 'none'}), found {len(params.marian_revisions)}; pin the revisions, "
            "or correct the path if a local folder is meant"
        )
    revisions = dict(zip(hub, params.marian_revisions, strict=True))
    folders = [download_model(name, revisions[name]) if name in revisions else Path(name) for name in params.marian]
    for name, folder in zip(params.marian, folders, strict=True):
        if not (folder / "config.json").is_file() or not list(folder.glob("*.safetensors")):
            raise UserError(
                f"back_translate.marian: expected config.json and *.safetensors in {name}, found none; pin a revision "
                "that has safetensors, or convert the model with save_pretrained and name the folder"
            )
    return folders


def download_model(name: str, revision: str) -> Path:
    """The folder of a pinned model, from the hub or its local cache, without pickled weights.

    Raises UserError if the model is in neither.
    """
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import HfHubHTTPError, LocalEntryNotFoundError

    try:
        return Path(snapshot_download(name, revision=revision, allow_patterns=HUB_FILES))
    except (HfHubHTTPError, LocalEntryNotFoundError, OSError) as error:
        raise UserError(
            f"back_translate.marian: expected {name} at {revision} on the hub or in its cache, "
            f"found {type(error).__name__}; check name, revision and network, or name a local folder"
        ) from None


def load_model(folder: Path) -> tuple[Any, Any]:
    """Model and tokenizer of a folder. Raises UserError if the tokenizer needs sentencepiece and it is missing."""
    from transformers import AutoTokenizer, MarianMTModel
    from transformers.utils import logging

    if list(folder.glob("*.spm")) and find_spec("sentencepiece") is None:
        raise UserError(
            "back_translate.engine: expected the package sentencepiece, which this Marian tokenizer needs, found none; "
            "install it with `pip install sentencepiece -c constraints.txt`"
        )
    logging.disable_progress_bar()
    model = MarianMTModel.from_pretrained(folder, local_files_only=True, use_safetensors=True, trust_remote_code=False)
    return model.eval(), AutoTokenizer.from_pretrained(folder, local_files_only=True, trust_remote_code=False)


def translate(texts: list[str], model: Any, tokenizer: Any, max_ratio: float) -> list[str]:
    """The texts translated in one direction by greedy decoding, on the GPU if there is one.

    Decoding stops at ``max_ratio`` times the tokens of the longest text: a longer translation would be rejected.
    """
    import torch

    device = "cuda" if torch.cuda.is_available() else "cpu"
    model.to(device)
    inputs = tokenizer(texts, return_tensors="pt", padding=True, truncation=True, max_length=MAX_TOKENS).to(device)
    ids, mask = inputs["input_ids"], inputs["attention_mask"]
    max_new_tokens = min(MAX_TOKENS - 1, int(max_ratio * ids.shape[1]) + 1)
    greedily: dict[str, Any] = {"num_beams": 1, "do_sample": False, "max_new_tokens": max_new_tokens}
    with torch.inference_mode():
        tokens = model.generate(input_ids=ids, attention_mask=mask, **greedily)
    return [" ".join(text.split()) for text in tokenizer.batch_decode(tokens, skip_special_tokens=True)]
