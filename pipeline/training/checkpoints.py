"""The checkpoints of a training: where they are kept, what they are bound to, and which of them are whole.

They are in ``data/scratch/<stage>/<fingerprint>/``, so that a training with another parameter, input or line of code
never goes on from them.
"""

import hashlib
import json
import re
import shutil
import sys
from pathlib import Path

from pipeline.core.digests import file_sha256
from pipeline.core.params import Section
from pipeline.core.stage import Paths

PIPELINE = Path(__file__).parents[1]
CODE = (  # files below PIPELINE that every training depends on
    "compute/ray_cluster.py",
    "mitigation/group_codes.py",
    "mitigation/reweighing.py",
    "models/abstention.py",
    "models/adapters.py",
    "models/answers.py",
    "models/bundle_files.py",
    "models/bundle_settings.py",
    "models/classifier.py",
    "models/encoder.py",
    "models/encoder_graph.py",
    "models/heads.py",
    "models/model_folder.py",
    "models/model_graph.py",
    "models/network.py",
    "models/onnx_export.py",
    "models/onnx_file.py",
    "models/onnx_model.py",
    "models/onnxruntime_model.py",
    "models/openvino_model.py",
    "models/openvino_package.py",
    "models/runtime.py",
    "models/tokenizer_file.py",
    "text/scripts.py",
    "training/batches.py",
    "training/callbacks.py",
    "training/checkpoints.py",
    "training/early_stopping.py",
    "training/mlm_masking.py",
    "training/ray_training.py",
    "training/supervised.py",
    "training/trainer.py",
)
SEAL = "complete.json"  # the file in a checkpoint that holds the digests of all others


def fingerprint(sections: list[Section], files: list[Path]) -> str:
    """Hash of what a training depends on, 16 hexadecimal digits.

    That is ``sections`` of params.yaml and the content of ``files``: the training's inputs and the code of its stage.
    The code that all trainings share is added here.
    """
    total = hashlib.sha256(json.dumps([section.model_dump() for section in sections], sort_keys=True).encode())
    for path in (*files, *(PIPELINE / name for name in CODE)):
        total.update(bytes.fromhex(file_sha256(path)))
    return total.hexdigest()[:16]


def checkpoint_folder(paths: Paths, stage: str, key: str) -> Path:
    """The folder for the checkpoints of the training with the fingerprint ``key``, made where it is missing.

    Folders of other fingerprints are removed, because each takes gigabytes.
    """
    folder = paths.scratch(stage) / key
    folder.mkdir(parents=True, exist_ok=True)
    for sibling in folder.parent.iterdir():
        if sibling != folder and re.fullmatch("[0-9a-f]{16}", sibling.name):
            shutil.rmtree(sibling)
    return folder


def latest_checkpoint(folder: Path) -> Path | None:
    """The newest checkpoint in ``folder`` that is whole, or None; broken ones are removed and named on stderr."""
    for path in sorted(folder.glob("checkpoint-*"), key=lambda path: int(path.name.split("-")[1]), reverse=True):
        if is_sealed(path):
            return path
        print(f"{path.name} was not written to its end: skipped", file=sys.stderr)
        shutil.rmtree(path)
    return None


def remove_checkpoints(folder: Path) -> None:
    """Remove the checkpoints of a training whose outputs are written; the curves, which lie beside them, stay."""
    shutil.rmtree(folder)


def file_digests(folder: Path) -> dict[str, str]:
    """SHA-256 of every file of a checkpoint by the file's name, without the seal and hidden files."""
    return {
        path.name: file_sha256(path)
        for path in sorted(folder.iterdir())
        if path.is_file() and path.name != SEAL and not path.name.startswith(".")
    }


def is_sealed(folder: Path) -> bool:
    """Whether a checkpoint is whole: it has a seal, and every file is as it was when the seal was written."""
    try:
        return bool(json.loads((folder / SEAL).read_text()) == file_digests(folder))
    except (FileNotFoundError, ValueError):
        return False
