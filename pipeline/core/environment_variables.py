"""Environment variables inside the values of params.yaml: passwords stay out of the file."""

import os
import re

from pipeline.core.errors import UserError

REFERENCE = re.compile(r"\$\{(\w+)\}")  # ${NAME}


def expand_variables(key: str, text: str) -> str:
    """``text`` with each ``${VARIABLE}`` replaced by its value in the environment.

    Raises UserError if a variable is not set. The message names ``key``, the YAML path that holds ``text``; it never
    quotes ``text``, which may hold a password.
    """

    def value_of(reference: re.Match[str]) -> str:
        name = reference[1]
        if name not in os.environ:
            raise UserError(f"{key}: expected the environment variable {name}, found none; set it")
        return os.environ[name]

    return REFERENCE.sub(value_of, text)
