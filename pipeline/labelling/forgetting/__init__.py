"""The rows of a person: found in files of any kind by id and by text, and taken out of files that hold records."""

from pipeline.labelling.forgetting.files import LARGEST, NOT_SEARCHED, Found, may_hold_rows, search_content, search_file
from pipeline.labelling.forgetting.wanted import Wanted, read_requests

__all__ = [
    "LARGEST",
    "NOT_SEARCHED",
    "Found",
    "Wanted",
    "may_hold_rows",
    "read_requests",
    "search_content",
    "search_file",
]
