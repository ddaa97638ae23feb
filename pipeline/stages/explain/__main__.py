"""Start the stage: ``python -m pipeline.stages.explain``."""

from pipeline.core.stage import main
from pipeline.stages.explain import run

if __name__ == "__main__":
    main(run, "encoder")
