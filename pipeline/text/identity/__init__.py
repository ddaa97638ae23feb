"""Words that stand for groups of people, found in texts and exchanged.

The lists are those of data/identity_terms, which a user may replace. An axis is a file there, such as ``gender.en``: a
column a group, a line for words that are each other's counterpart. First names (``names.en.csv``) belong to two axes,
to gender and to ``origin``.
"""

from pipeline.text.identity.axis import Axis, Cell, Mention
from pipeline.text.identity.lists import load

FOLDER = "identity_terms"  # in data/

__all__ = ["FOLDER", "Axis", "Cell", "Mention", "load"]
