"""params.yaml as strict models: a class a section, in modules named after sections, and the file as a whole."""

from pipeline.core.params.augmentation import BackTranslate, Swaps, Synonyms
from pipeline.core.params.compute import Compute
from pipeline.core.params.encoder import Encoder
from pipeline.core.params.evaluation import Abstain, Evaluate, Export, Report
from pipeline.core.params.explain import EmbeddingMap, Explain
from pipeline.core.params.fairness import Counterfactual, Fairness, Mitigation, Offsets
from pipeline.core.params.file import Params, load_params, to_yaml, validate_params
from pipeline.core.params.finetune import Finetune, Peft
from pipeline.core.params.ingest import Columns, Duplicates, GroupRules, Ingest, LabelRules, Presidio, Split
from pipeline.core.params.monitor import Kept, Misuse, Monitor
from pipeline.core.params.pretrain import Pretrain, Scratch
from pipeline.core.params.promotion import Gate, Promotion, Registry
from pipeline.core.params.pseudo_label import PseudoLabel
from pipeline.core.params.retraining import Drift, Feedback, FeedbackColumns, Notify, Refresh, Retrain
from pipeline.core.params.serve import Batch, Replicas, Serve, ServeLimits, Shadow
from pipeline.core.params.training import Supervised, Training
from pipeline.core.params.types import Section
from pipeline.core.yaml_file import read_yaml

__all__ = [
    "Abstain",
    "BackTranslate",
    "Batch",
    "Columns",
    "Compute",
    "Counterfactual",
    "Drift",
    "Duplicates",
    "EmbeddingMap",
    "Encoder",
    "Evaluate",
    "Explain",
    "Export",
    "Fairness",
    "Feedback",
    "FeedbackColumns",
    "Finetune",
    "Gate",
    "GroupRules",
    "Ingest",
    "Kept",
    "LabelRules",
    "Misuse",
    "Mitigation",
    "Monitor",
    "Notify",
    "Offsets",
    "Params",
    "Peft",
    "Presidio",
    "Pretrain",
    "Promotion",
    "PseudoLabel",
    "Refresh",
    "Registry",
    "Replicas",
    "Report",
    "Retrain",
    "Scratch",
    "Section",
    "Serve",
    "ServeLimits",
    "Shadow",
    "Split",
    "Supervised",
    "Swaps",
    "Synonyms",
    "Training",
    "load_params",
    "read_yaml",
    "to_yaml",
    "validate_params",
]
