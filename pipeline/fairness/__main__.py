"""Start the stage: ``python -m pipeline.fairness``."""

from pipeline.fairness.run import run
from pipeline.stage import main

if __name__ == "__main__":
    main(run)
