"""Run the ingest stage: ``python -m pipeline.ingest``."""

from pipeline.ingest.run import run
from pipeline.stage import main

if __name__ == "__main__":
    main(run)
