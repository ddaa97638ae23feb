"""Start the stage: ``python -m pipeline.stages.fairness``."""

from pipeline.core.stage import main
from pipeline.stages.fairness.run import run

if __name__ == "__main__":
    main(run)
