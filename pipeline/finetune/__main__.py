"""Start the stage: ``python -m pipeline.finetune``."""

from pipeline.finetune.run import run
from pipeline.stage import main

if __name__ == "__main__":
    main(run, "encoder", "mitigation")
