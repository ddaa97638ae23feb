"""Which heavy libraries a stage has imported when it ends, in a process of its own."""

import os
import subprocess
import sys
from pathlib import Path

from tests.support.flow_project import ROOT

HEAVY = (
    *("torch", "transformers", "peft", "captum", "sklearn", "scipy", "openvino", "onnxruntime", "onnx", "matplotlib"),
    *("nlpaug", "nltk", "fairlearn", "faiss", "datasets", "spacy", "presidio_analyzer", "mlflow", "prefect", "dvc"),
)
REPORT = f"""
import atexit, sys
atexit.register(lambda: print("loaded:", *(name for name in {HEAVY!r} if sys.modules.get(name) is not None)))
"""


def loaded_by(root: Path, *words: str) -> set[str]:
    """The modules of HEAVY that `python` with these words has imported when it ends, run in ``root``."""
    folder = root / ".loaded"
    folder.mkdir(exist_ok=True)
    (folder / "sitecustomize.py").write_text(REPORT)
    path = os.pathsep.join([str(folder), str(ROOT)])
    environment = os.environ | {"PYTHONPATH": path, "COVERAGE_PROCESS_START": ""}
    done = subprocess.run(
        [sys.executable, *words], cwd=root, env=environment, capture_output=True, text=True, timeout=300, check=False
    )
    assert done.returncode == 0, done.stderr
    last = done.stdout.splitlines()[-1].split()
    assert last[0] == "loaded:"
    return set(last[1:])
