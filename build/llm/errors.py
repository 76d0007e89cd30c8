"""What can go wrong with a question: this one has no answer, or no further one can be asked."""

from build.llm.question import Attempt
from sae.errors import UserError


class AnswerError(Exception):
    """One question got no usable answer. ``kind`` is what is counted: "refused", "cut off", "not JSON",
    "wrong form", "other question", "server"; the text says more. Never a score.
    """

    def __init__(self, kind: str, text: str, attempts: tuple[Attempt, ...] = ()) -> None:
        super().__init__(text)
        self.kind, self.attempts = kind, attempts


class SpentError(UserError):
    """No further question can be asked in this run: budget or quota spent, key refused, server away.

    Answers that are known are still given. What is done is kept.
    """


class BudgetError(SpentError):
    """The configured budget does not reach for another call."""
