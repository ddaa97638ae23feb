"""Run the back_translate stage.

python -m pipeline.back_translate
"""

from pipeline.back_translate.run import run
from pipeline.stage import main

if __name__ == "__main__":
    main(run)
