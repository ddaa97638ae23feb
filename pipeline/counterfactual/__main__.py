"""Start the stage: ``python -m pipeline.counterfactual``."""

from pipeline.counterfactual.run import run
from pipeline.stage import main

if __name__ == "__main__":
    main(run)
