"""params.yaml as a whole: checked and written. The models have no defaults, so the file holds every value.

All faults are reported at once, by the path that the user typed:
``finetune.lr: expected a number above 0, found "fast"``.
"""

from io import StringIO
from pathlib import Path
from typing import Any

from pydantic import ValidationError
from ruamel.yaml import YAML

from pipeline.core.errors import UserError, combine_errors
from pipeline.core.param_errors import describe_fault, fault_path, quote_value
from pipeline.core.params.augmentation import BackTranslate, Swaps, Synonyms
from pipeline.core.params.compute import Compute
from pipeline.core.params.encoder import Encoder
from pipeline.core.params.evaluation import Abstain, Evaluate, Export, Report
from pipeline.core.params.explain import Explain
from pipeline.core.params.fairness import Counterfactual, Fairness, Mitigation
from pipeline.core.params.finetune import Finetune
from pipeline.core.params.ingest import Ingest
from pipeline.core.params.monitor import Monitor
from pipeline.core.params.pretrain import Pretrain
from pipeline.core.params.promotion import Gate, Promotion, Registry
from pipeline.core.params.pseudo_label import PseudoLabel
from pipeline.core.params.retraining import Drift, Feedback, Notify, Refresh, Retrain
from pipeline.core.params.serve import Serve
from pipeline.core.params.types import Section
from pipeline.core.renamed_params import RENAMED
from pipeline.core.yaml_file import read_yaml


class Params(Section):
    """All sections of params.yaml."""

    compute: Compute
    encoder: Encoder
    ingest: Ingest
    pretrain: Pretrain
    synonyms: Synonyms
    back_translate: BackTranslate
    swaps: Swaps
    mitigation: Mitigation
    pseudo_label: PseudoLabel
    finetune: Finetune
    export: Export
    abstain: Abstain
    evaluate: Evaluate
    counterfactual: Counterfactual
    fairness: Fairness
    explain: Explain
    report: Report
    gate: Gate
    promotion: Promotion
    registry: Registry
    refresh: Refresh
    feedback: Feedback
    drift: Drift
    retrain: Retrain
    notify: Notify
    serve: Serve
    monitor: Monitor


def load_params(path: Path) -> Params:
    """Read and check params.yaml. Raises UserError with a line for each fault."""
    return validate_params(read_yaml(path))


def validate_params(content: Any) -> Params:
    """Check content that was loaded from params.yaml. Raises UserError with a line for each fault.

    A key under its old name is one fault, not two: the new key is not reported as missing beside it.
    """
    if not isinstance(content, dict):
        raise UserError(f"params.yaml: expected a section for each stage, found {quote_value(content)}")
    try:
        return Params.model_validate(content)
    except ValidationError as error:
        faults = error.errors()
        new_paths = {RENAMED[path] for path in map(fault_path, faults) if path in RENAMED}
        with_parents = {
            path[:end] for path in new_paths for end in range(len(path) + 1) if path[end : end + 1] in (".", "")
        }
        raise combine_errors(
            [
                describe_fault(fault)
                for fault in faults
                if not (fault["type"] == "missing" and fault_path(fault) in with_parents)
            ]
        ) from None


def to_yaml(content: dict[str, Any]) -> str:
    """Plain data as YAML text."""
    out = StringIO()
    YAML().dump(content, out)
    return out.getvalue()
