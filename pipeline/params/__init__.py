"""params.yaml as strict models, one per stage: types, then data, model and judgement, then the file as a whole."""

from pipeline.params.data import (
    BackTranslate,
    Columns,
    Duplicates,
    Ingest,
    LabelRules,
    Split,
    Synonyms,
)
from pipeline.params.equity import (
    Counterfactual,
    Mitigation,
    Offsets,
    Swaps,
)
from pipeline.params.explaining import (
    EmbeddingMap,
    Explain,
)
from pipeline.params.file import (
    Params,
    load,
    read_yaml,
    to_yaml,
    validate,
)
from pipeline.params.judgement import (
    Evaluate,
    Export,
    Fairness,
    Gate,
    Registry,
    Report,
)
from pipeline.params.model import (
    Encoder,
    Finetune,
    Peft,
    Pretrain,
    PseudoLabel,
    Scratch,
    Supervised,
    Training,
    WordsView,
)
from pipeline.params.retraining import (
    Drift,
    Feedback,
    FeedbackColumns,
    Notify,
    Refresh,
    Retrain,
)
from pipeline.params.types import (
    Section,
)

__all__ = [
    "BackTranslate",
    "Columns",
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
    "Ingest",
    "LabelRules",
    "Mitigation",
    "Notify",
    "Offsets",
    "Params",
    "Peft",
    "Pretrain",
    "PseudoLabel",
    "Refresh",
    "Registry",
    "Report",
    "Retrain",
    "Scratch",
    "Section",
    "Split",
    "Supervised",
    "Swaps",
    "Synonyms",
    "Training",
    "WordsView",
    "load",
    "read_yaml",
    "to_yaml",
    "validate",
]
