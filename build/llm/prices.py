"""What a language model's tokens cost, from the price table."""

import tomllib
from dataclasses import dataclass
from pathlib import Path

from build.embedders.spending import PRICES, unpriced
from build.money import checked_price
from sae.errors import UserError

_PER_MILLION = 1e-6
BATCH_SHARE = 0.5  # of the price, for calls that may take a day


@dataclass(frozen=True)
class ChatPrice:
    """US dollars a token, read and written."""

    input: float
    output: float

    def usd(self, input_tokens: int, output_tokens: int) -> float:
        return self.input * input_tokens + self.output * output_tokens


def chat_price(model: str, path: Path = PRICES) -> ChatPrice | None:
    """The price of a model; None when the table has none. Raises UserError for a table that is broken."""
    try:
        table = tomllib.loads(path.read_text(encoding="utf-8")).get("chat", {})
        found = table.get(model)
        if found is None:
            return None
        where = f"{path}, [chat] {model},"
        read, written = (checked_price(found[name], _PER_MILLION, where) for name in ("input", "output"))
        return ChatPrice(read, written)
    except (tomllib.TOMLDecodeError, KeyError, TypeError, ValueError) as error:
        raise UserError(f"The price table {path} is wrong at [chat] {model}: {error}.") from None
    except OSError:
        return None


def price_within(budget_usd: float | None, model: str) -> ChatPrice | None:
    """The same; raises UserError when there is a budget, which cannot hold without a price."""
    price = chat_price(model)
    if price is None and budget_usd is not None:
        raise unpriced(model)
    return price
