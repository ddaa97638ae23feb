"""Run the explain stage.

python -m pipeline.explain
"""

from pipeline.explain import run
from pipeline.stage import main

if __name__ == "__main__":
    main(run, "encoder")
