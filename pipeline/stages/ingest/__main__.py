"""Run the ingest stage: ``python -m pipeline.stages.ingest``."""

from pipeline.core.stage import main
from pipeline.stages.ingest.run import run

if __name__ == "__main__":
    main(run)
