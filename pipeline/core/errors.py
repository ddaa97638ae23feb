"""The one exception for a user's mistake: one line, exit code 2, no traceback."""


class UserError(Exception):
    """What was expected, what was found, and what to do about it, in one line.

    The message names the file and row, or the YAML key, that the user must change. It never quotes
    the text of a row: rows are named by their id.
    """


def many(errors: list[str]) -> UserError:
    """All faults at once: one line each, so that the user fixes them in one go."""
    return UserError("\n".join(errors))
