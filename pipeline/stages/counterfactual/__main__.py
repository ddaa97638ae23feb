"""Start the stage: ``python -m pipeline.stages.counterfactual``."""

from pipeline.core.stage import main
from pipeline.stages.counterfactual.run import run

if __name__ == "__main__":
    main(run)
