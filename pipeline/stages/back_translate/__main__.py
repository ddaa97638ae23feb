"""Run the back_translate stage.

python -m pipeline.stages.back_translate
"""

from pipeline.core.stage import main
from pipeline.stages.back_translate.run import run

if __name__ == "__main__":
    main(run)
