"""Start the stage: ``python -m pipeline.pseudo_label``."""

from pipeline.pseudo_label.run import run
from pipeline.stage import main

if __name__ == "__main__":
    main(run, "encoder", "mitigation")
