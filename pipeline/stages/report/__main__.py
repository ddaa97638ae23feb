"""Run the report stage.

python -m pipeline.stages.report
"""

from pipeline.core.stage import main
from pipeline.stages.report import run

if __name__ == "__main__":
    main(run)
