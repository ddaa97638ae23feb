"""Words that stand for groups of people: found in texts, and exchanged for those of another group.

The lists are those of data/identity_terms, which a user may replace. An axis is a file there, such as ``gender.en``: a
column holds the words of a group, a line holds words that are each other's counterpart. First names
(``names.en.csv``) belong to two axes: the gender, and the ``origin`` of the name.
"""

from pipeline.text.identity.axis import Axis, Cell, Mention
from pipeline.text.identity.lists import load

FOLDER = "identity_terms"  # in data/

__all__ = ["FOLDER", "Axis", "Cell", "Mention", "load"]
