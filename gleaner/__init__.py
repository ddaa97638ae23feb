"""Gleaner for Python code: the one name that others import.

    from gleaner import fit, load

docs/how-to/use-from-python.md shows both.
"""

from gleaner.loading import load
from gleaner.model import Answer, Explanation, Model, WordShare
from gleaner.training import fit
from pipeline.core.errors import UserError
from pipeline.experiments.stage_runner import StageFailed

__all__ = ["Answer", "Explanation", "Model", "StageFailed", "UserError", "WordShare", "fit", "load"]
