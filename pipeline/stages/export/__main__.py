"""Start the stage: ``python -m pipeline.stages.export``."""

from pipeline.core.stage import main
from pipeline.stages.export.run import run

if __name__ == "__main__":
    main(run, "encoder", "evaluate", "swaps", "fairness", "mitigation", "abstain")
