"""Run the report stage.

python -m pipeline.report
"""

from pipeline.report import run
from pipeline.stage import main

if __name__ == "__main__":
    main(run)
