"""Start the stage: ``python -m pipeline.stages.pretrain``."""

from pipeline.core.stage import main
from pipeline.stages.pretrain.run import run

if __name__ == "__main__":
    main(run, "encoder")
