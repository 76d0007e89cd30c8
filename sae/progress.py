"""How long work reports itself: one plain callable, so that the numeric core knows nothing of terminals."""

from collections.abc import Callable

Progress = Callable[[int, int, str], None]
"""Called as ``progress(done, total, note)``; ``note`` is short free text such as ``"loss 0.41"``."""


def silent(done: int, total: int, note: str = "") -> None:
    """A progress that shows nothing."""
