"""text-embedding-3-small, or any server that speaks OpenAI's embeddings API, with every reply checked."""

import threading
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from build.embedders.base import Batch, BatchEmbedder, share_out
from build.embedders.spending import Ledger, price_per_token, unpriced
from build.money import checked_budget
from build.server import OPENAI_URL, checked_url, is_spent, read_key, reason_given
from build.tokens import tokens_about, tokens_at_most
from sae.errors import UserError

KNOWN_WIDTHS = {
    "text-embedding-3-small": 1536,
    "text-embedding-3-large": 3072,
    "text-embedding-ada-002": 1536,
}

TOKENS_A_TEXT = 8191
TOKENS_A_CALL = 60_000  # the API allows 300,000; smaller calls lose less when one fails
TEXTS_A_CALL = 256

_SHORTEST_CUT = 64  # characters; a server that finds this too long is not to be pleased


@dataclass(frozen=True)
class Plan:
    """What embedding would take, at most and likely. The prices are None when the model's is not known."""

    calls: int
    tokens: int
    truncated: int
    price_usd: float | None
    likely_usd: float | None


class OpenAIEmbedder(BatchEmbedder):
    """The embedder of a server.

    ``d_in`` is the width to expect, needed for models that are not OpenAI's; ``dimensions`` asks the server
    for shorter vectors. The key is read from the variable named by ``key_env`` when the first call is made,
    and is kept nowhere. ``budget_usd`` bounds what a process spends on this model; what is done by then is
    kept.
    """

    whole_batches = False

    def __init__(
        self,
        model: str = "text-embedding-3-small",
        base_url: str = OPENAI_URL,
        key_env: str = "OPENAI_API_KEY",
        d_in: int | None = None,
        dimensions: int | None = None,
        budget_usd: float | None = None,
        timeout: float = 30.0,
        retries: int = 5,
        workers: int = 4,
    ) -> None:
        base_url = checked_url(base_url, "embedder")
        width = dimensions or d_in or KNOWN_WIDTHS.get(model)
        if width is None or width < 1:
            raise UserError(f"The width of {model}'s vectors is not known: give it as d_in in [embedder].")
        self.model, self.base_url, self.key_env, self.d_in = model, base_url, key_env, width
        self.truncated = 0
        self._dimensions, self._timeout, self._retries, self._workers = dimensions, timeout, retries, workers
        self._price = price_per_token(model)
        self.budget_usd = budget_usd = checked_budget(budget_usd, "[embedder]")
        if budget_usd is not None and self._price is None:
            raise unpriced(model)
        self._ledger = Ledger.shared(self.name, budget_usd, self._price or 0.0)
        self._lock = threading.Lock()

    @property
    def name(self) -> str:
        host = self.base_url.split("://", 1)[1]
        return f"{self.model} ({self.d_in} numbers)" + ("" if self.base_url == OPENAI_URL else f" at {host}")

    def plan(self, texts: Sequence[str]) -> Plan:
        """Calls, tokens and price of these texts; nothing is sent."""
        batches = self._share(texts)
        inputs = [text for batch in batches for text in batch.inputs]
        tokens, likely = (sum(map(count, inputs)) for count in (tokens_at_most, tokens_about))
        cut = sum(tokens_about(text) > TOKENS_A_TEXT for text in texts)
        prices = [None if self._price is None else n * self._price for n in (tokens, likely)]
        return Plan(len(batches), tokens, cut, *prices)

    def plan_batches(self, texts: Sequence[str]) -> list[Batch]:
        """Consecutive texts, at most TEXTS_A_CALL and TOKENS_A_CALL together; too long ones are cut."""
        self.truncated = sum(tokens_about(text) > TOKENS_A_TEXT for text in texts)
        return self._share(texts)

    def _share(self, texts: Sequence[str]) -> list[Batch]:
        batches: list[Batch] = []
        positions: list[int] = []
        inputs: list[str] = []
        room = TOKENS_A_CALL
        for position, text in enumerate(texts):
            shown = cut_to_tokens(text, TOKENS_A_TEXT)
            tokens = tokens_about(shown)
            if inputs and (tokens > room or len(inputs) == TEXTS_A_CALL):
                batches.append(Batch(np.array(positions, np.int64), inputs))
                positions, inputs, room = [], [], TOKENS_A_CALL
            positions.append(position)
            inputs.append(shown)
            room -= tokens
        if inputs:
            batches.append(Batch(np.array(positions, np.int64), inputs))
        return batches

    def run_batches(self, batches: Sequence[Batch]) -> Iterator[tuple[Batch, np.ndarray]]:
        if batches:
            _ = self._client  # a missing key is one error here, not one in every thread
        yield from share_out(lambda batch: self._embed(batch.inputs), batches, self._workers)

    def _embed(self, texts: list[str], *, already_cut: bool = False) -> np.ndarray:
        """float32 (n, d_in) unit rows of one call. Raises UserError without the key or the text in it."""
        import openai

        at_most = sum(map(tokens_at_most, texts))
        used = 0
        self._ledger.reserve(at_most)
        try:
            reply = self._client.embeddings.create(
                model=self.model, input=texts, dimensions=self._dimensions or openai.omit
            )
            used = _tokens_used(reply, at_most)
            return self._rows(reply, len(texts))
        except openai.BadRequestError as error:
            if not _is_too_long(error) or max(map(len, texts)) <= _SHORTEST_CUT:
                raise self._failure(error) from None
        except openai.APITimeoutError as error:
            used = at_most  # it may have been served, and charged, after we stopped waiting
            raise self._failure(error) from None
        except openai.OpenAIError as error:
            raise self._failure(error) from None
        except (ValueError, TypeError, KeyError, AttributeError):
            # The client parses leniently and trips over what is not a reply at all: HTML, half a body.
            raise self._bad_reply("something that is not an embeddings reply") from None
        finally:
            self._ledger.settle(at_most, used)
        return self._embed(self._cut_further(texts, count=not already_cut), already_cut=True)

    def _cut_further(self, texts: list[str], *, count: bool) -> list[str]:
        """Halve the longest texts of a call that the server found too long: its tokens are not ours."""
        limit = max(map(len, texts)) // 2
        if count:
            with self._lock:
                self.truncated += sum(len(text) > limit for text in texts)
        return [text[:limit] for text in texts]

    def _rows(self, reply: Any, n: int) -> np.ndarray:
        """The vectors in the order of the texts, by their `index`: servers may answer in any order."""
        data = getattr(reply, "data", None)
        if not isinstance(data, list):
            raise self._bad_reply("something that is not an embeddings reply")
        if sorted(item.index for item in data) != list(range(n)):
            raise self._bad_reply(f"{len(data)} vectors for {n} texts, not one for each")
        rows = np.empty((n, self.d_in), np.float32)
        for item in data:
            if len(item.embedding) != self.d_in:
                raise self._bad_reply(f"a vector of {len(item.embedding)} numbers instead of {self.d_in}")
            with np.errstate(over="ignore"):  # too large for float32: found as not finite below
                rows[item.index] = item.embedding
        lengths = np.linalg.norm(rows.astype(np.float64), axis=1, keepdims=True)
        if not np.isfinite(lengths).all():
            raise self._bad_reply("a vector with a number that is not finite")
        if not lengths.all():
            raise self._bad_reply("a vector of zeros")
        return (rows / lengths).astype(np.float32)

    def check(self) -> None:
        """Raise UserError when the key is not there; nothing is asked of the server."""
        self._key()

    def _key(self) -> str:
        return read_key(self.key_env, self.base_url, self.model)

    @cached_property
    def _client(self) -> Any:
        import openai

        key = self._key()
        hooks = {"response": [_stop_at_spent_quota]}
        return openai.OpenAI(
            api_key=key,
            base_url=self.base_url,
            timeout=self._timeout,
            max_retries=self._retries,
            http_client=openai.DefaultHttpxClient(event_hooks=hooks),
        )

    def _failure(self, error: Any) -> UserError:
        import openai

        where = f"The embedding server {self.base_url}"
        kept = "What is done is kept; run again to go on."
        if isinstance(error, openai.APITimeoutError):
            return UserError(f"{where} did not answer within {self._timeout:g} s. {kept}")
        if isinstance(error, openai.APIConnectionError):
            return UserError(f"{where} cannot be reached; check base_url and the network. {kept}")
        if isinstance(error, openai.AuthenticationError | openai.PermissionDeniedError):
            return UserError(
                f"{where} refuses the key in {self.key_env} for {self.model}. Check the key. {kept}"
            )
        if isinstance(error, openai.RateLimitError) and is_spent(error.response.text):
            return UserError(f"The quota of the key in {self.key_env} is spent. {kept}")
        if isinstance(error, openai.APIStatusError):
            return UserError(
                f"{where} answered {error.status_code}: {reason_given(error, self.key_env)}. {kept}"
            )
        return self._bad_reply("something that is not an embeddings reply")

    def _bad_reply(self, found: str) -> UserError:
        return UserError(
            f"The embedding server {self.base_url} sent {found} (model {self.model}). "
            "Check model, d_in and base_url; what is done is kept."
        )


def cut_to_tokens(text: str, limit: int) -> str:
    """The longest beginning of the text with about ``limit`` tokens; a space for nothing, which APIs refuse."""
    text = text.encode("utf-8", "replace").decode("utf-8")
    if not text.strip():
        return " "
    if tokens_about(text) <= limit:
        return text
    low, high = 0, len(text)
    while low < high:
        middle = (low + high + 1) // 2
        low, high = (middle, high) if tokens_about(text[:middle]) <= limit else (low, middle - 1)
    return text[:low]


def _tokens_used(reply: Any, otherwise: int) -> int:
    found = getattr(getattr(reply, "usage", None), "total_tokens", None)
    return found if isinstance(found, int) and found > 0 else otherwise


def _is_too_long(error: Any) -> bool:
    text = error.response.text.lower()
    return any(words in text for words in ("context length", "context_length", "too long", "maximum input"))


def _stop_at_spent_quota(response: Any) -> None:
    """Tell the client not to try again: it takes a spent quota (429) for a rate limit, and obeys this
    header.
    """
    if response.status_code == 429:
        response.read()
        if is_spent(response.text):
            response.headers["x-should-retry"] = "false"
