"""Money: what is a budget, and what is a price. Anything else would bound nothing, so it is refused."""

import math
from typing import Any

from sae.errors import UserError


def checked_budget(value: Any, where: str) -> float | None:
    """A bound in US dollars, None for none. Raises UserError for a value that bounds nothing or allows nothing.

    ``where``: the table that it stands in, such as "[labeller]". No comparison with nan is ever true, so that a
    budget of nan would let every call through.
    """
    if value is None:
        return None
    if not _is_number(value) or not 0 < value < math.inf:
        raise UserError(
            f"{where} budget_usd is {value!r}; it must be more than 0 and finite, or be left out for no bound."
        )
    return float(value)


def checked_price(value: Any, per: float, where: str) -> float:
    """US dollars a token from dollars for 1 / ``per`` tokens. Raises UserError for what is no price."""
    if not _is_number(value) or not 0 <= value < math.inf:
        raise UserError(f"{where} is {value!r}; a price must be a number from 0 up.")
    return float(value) * per


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)
