"""``python -m pipeline.pretrain``."""

from pipeline.pretrain.run import run
from pipeline.stage import main

if __name__ == "__main__":
    main(run, "encoder")
