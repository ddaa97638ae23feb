"""params.yaml as a whole: read, checked and written. No defaults here, so that the file holds every value.

All faults are reported at once, by the path that the user typed:
``finetune.lr: expected a number above 0, found "fast"``.
"""

from io import StringIO
from pathlib import Path
from typing import Any

from pydantic import ValidationError
from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError

from pipeline.core.errors import UserError, many
from pipeline.core.param_errors import describe, found, path_of
from pipeline.core.params.data import BackTranslate, Ingest, Synonyms
from pipeline.core.params.equity import Counterfactual, Mitigation, Swaps
from pipeline.core.params.explaining import Explain
from pipeline.core.params.judgement import Evaluate, Export, Fairness, Gate, Promotion, Registry, Report
from pipeline.core.params.model import Encoder, Finetune, Pretrain, PseudoLabel
from pipeline.core.params.retraining import Drift, Feedback, Notify, Refresh, Retrain
from pipeline.core.params.types import Section
from pipeline.core.renamed_params import RENAMED


class Params(Section):
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


def load(path: Path) -> Params:
    """Read and check params.yaml; UserError lists every fault, one line each."""
    return validate(read_yaml(path))


def read_yaml(path: Path) -> Any:
    """YAML 1.2, as DVC reads it: ``1e-5`` is a number and ``no`` is a string."""
    try:
        return YAML(typ="safe", pure=True).load(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise UserError(f"{path}: expected a YAML file, found none; run this from the project's root") from None
    except (YAMLError, UnicodeDecodeError) as error:
        mark = getattr(error, "problem_mark", None)
        where = f":{mark.line + 1}" if mark else ""
        raise UserError(f"{path}{where}: expected valid YAML, found {getattr(error, 'problem', error)}") from None


def validate(content: Any) -> Params:
    """Check already loaded content; UserError lists every fault, one line each."""
    if not isinstance(content, dict):
        raise UserError(f"params.yaml: expected a section for each stage, found {found(content)}")
    try:
        return Params.model_validate(content)
    except ValidationError as error:
        faults = error.errors()
        moved = {RENAMED[path] for path in map(path_of, faults) if path in RENAMED}
        awaited = {new[:end] for new in moved for end in range(len(new) + 1) if new[end : end + 1] in (".", "")}
        raise many(
            [describe(fault) for fault in faults if not (fault["type"] == "missing" and path_of(fault) in awaited)]
        ) from None


def to_yaml(content: dict[str, Any]) -> str:
    """Plain data as YAML text."""
    out = StringIO()
    YAML().dump(content, out)
    return out.getvalue()
