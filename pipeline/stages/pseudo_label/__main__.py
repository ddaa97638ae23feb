"""Start the stage: ``python -m pipeline.stages.pseudo_label``."""

from pipeline.core.stage import main
from pipeline.stages.pseudo_label.run import run

if __name__ == "__main__":
    main(run, "encoder", "mitigation")
