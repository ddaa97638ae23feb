"""Start the stage: ``python -m pipeline.stages.finetune``."""

from pipeline.core.stage import main
from pipeline.stages.finetune.run import run

if __name__ == "__main__":
    main(run, "encoder", "mitigation")
