"""params.yaml as strict models, one per stage: types, then data, model and judgement, then the file as a whole."""

from pipeline.core.params.data import (
    BackTranslate,
    Columns,
    Duplicates,
    Ingest,
    LabelRules,
    Split,
    Synonyms,
)
from pipeline.core.params.equity import (
    Counterfactual,
    Mitigation,
    Offsets,
    Swaps,
)
from pipeline.core.params.explaining import (
    EmbeddingMap,
    Explain,
)
from pipeline.core.params.file import (
    Params,
    load,
    read_yaml,
    to_yaml,
    validate,
)
from pipeline.core.params.judgement import (
    Evaluate,
    Export,
    Fairness,
    Gate,
    Promotion,
    Registry,
    Report,
)
from pipeline.core.params.model import (
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
from pipeline.core.params.retraining import (
    Drift,
    Feedback,
    FeedbackColumns,
    Notify,
    Refresh,
    Retrain,
)
from pipeline.core.params.types import (
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
    "Promotion",
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
