"""The one exception that is meant for a person: its text is a sentence to show, never a traceback."""


class UserError(Exception):
    """Something the user can mend. The message names the thing, what was found, and what mends it."""
