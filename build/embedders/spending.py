"""What calls to a paid server cost: the price table, and a budget that holds while several calls are under
way.
"""

import threading
import tomllib
from functools import cache
from pathlib import Path

from build.money import checked_price
from sae.errors import UserError

PRICES = Path(__file__).parent.parent / "prices.toml"
_PER_MILLION = 1e-6


def price_per_token(model: str, path: Path = PRICES) -> float | None:
    """US dollars a token for an embedding model; None when the table has no price for it."""
    try:
        table = tomllib.loads(path.read_text(encoding="utf-8")).get("embeddings", {})
    except tomllib.TOMLDecodeError as error:
        raise UserError(f"The price table {path} is not valid TOML: {error}.") from None
    except OSError:
        return None
    price = table.get(model)
    return None if price is None else checked_price(price, _PER_MILLION, f"{path}, [embeddings] {model},")


def unpriced(model: str) -> UserError:
    """What is said of a budget that cannot hold."""
    return UserError(
        f"A budget for {model} needs its price: add it to build/prices.toml, or drop budget_usd."
    )


class Ledger:
    """Tokens spent and tokens promised to calls under way; together they never go beyond the budget."""

    def __init__(self, name: str, budget_usd: float | None, price: float) -> None:
        self.name, self.budget_usd, self.price = name, budget_usd, price
        self._spent = self._promised = 0
        self._lock = threading.Lock()

    @classmethod
    def shared(cls, name: str, budget_usd: float | None, price: float) -> "Ledger":
        """One for each model in a process, so that the stages of a build share one budget."""
        ledger = _ledger(name)
        ledger.budget_usd, ledger.price = budget_usd, price
        return ledger

    @property
    def spent_usd(self) -> float:
        return self._spent * self.price

    def reserve(self, tokens: int) -> None:
        """Promise tokens to a call. Raises UserError when the budget does not reach."""
        with self._lock:
            needed = (self._spent + self._promised + tokens) * self.price
            if self.budget_usd is not None and needed > self.budget_usd:
                raise UserError(
                    f"The budget of ${self.budget_usd:g} for {self.name} is reached "
                    f"(${self.spent_usd:.4f} spent in this run). "
                    "What is done is kept; run again with a higher budget_usd to go on."
                )
            self._promised += tokens

    def settle(self, promised: int, used: int) -> None:
        """A call has ended: what it used instead of what it was promised."""
        with self._lock:
            self._promised -= promised
            self._spent += used


@cache
def _ledger(name: str) -> Ledger:
    return Ledger(name, None, 0.0)
