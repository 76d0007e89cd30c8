"""What labelling by a language model would cost, before anything is asked: calls, tokens, dollars, all at most."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from build.llm import interpreter, predictor
from build.llm.options import BUILT_IN, LabellerConfig
from build.llm.prices import BATCH_SHARE, chat_price
from build.tokens import tokens_at_most
from sae.evidence import N_TOP
from sae.sampled_evidence import N_SHOWN_NEGATIVES, N_SHOWN_QUANTILE

_SAMPLE = 500  # documents whose length is measured
_AROUND = 150  # tokens of the form, the label and what stands around a document
_SHOWN = N_TOP + N_SHOWN_QUANTILE + 2 * N_SHOWN_NEGATIVES


@dataclass(frozen=True)
class Cost:
    """Calls and tokens of one model; adds up. ``usd`` is None when a price is not known."""

    calls: int = 0
    read: int = 0
    written: int = 0
    usd: float | None = 0.0

    def __add__(self, other: "Cost") -> "Cost":
        usd = None if self.usd is None or other.usd is None else self.usd + other.usd
        return Cost(self.calls + other.calls, self.read + other.read, self.written + other.written, usd)

    def __str__(self) -> str:
        price = "at a price that build/prices.toml does not know"
        if self.usd is not None:
            price = f"at most ${self.usd:,.2f} by build/prices.toml"
        return (
            f"at most {self.calls:,} calls, {self.read:,} tokens read and {self.written:,} written, {price}"
        )


def labels_cost(options: LabellerConfig, n_features: int, texts: Sequence[str]) -> Cost:
    """Labelling and scoring so many features, every question answered at the first attempt."""
    checks = 3 * options.check_documents * options.candidates if options.candidates > 1 else 0
    document = _document_tokens(texts, options.characters)
    return _interpreting(options, options.interpreter, n_features, document) + _predicting(
        options, options.predictor, n_features * (checks + 3 * options.score_documents), document
    )


def pairs_cost(options: LabellerConfig, texts: Sequence[str]) -> Cost:
    """Comparing the configured pairs."""
    n, document, total = options.pair_features, _document_tokens(texts, options.characters), Cost()
    for model in dict.fromkeys(first for first, _ in options.compared):
        if model not in BUILT_IN:
            total += _interpreting(options, model, n, document)
    for _, model in options.compared:
        if model not in BUILT_IN:
            total += _predicting(options, model, n * 3 * options.score_documents, document)
    return total


def _document_tokens(texts: Sequence[str], characters: int) -> int:
    step = max(1, len(texts) // _SAMPLE)
    found = [tokens_at_most(text[:characters]) for text in texts[::step]]
    return round(float(np.mean(found))) if found else tokens_at_most("x" * characters)


def _interpreting(options: LabellerConfig, model: str, calls: int, document: int) -> Cost:
    read = tokens_at_most(interpreter.SYSTEM) + _SHOWN * (document + 20) + _AROUND
    return _cost(options, model, calls, read, interpreter.MOST_TOKENS * options.candidates)


def _predicting(options: LabellerConfig, model: str, calls: int, document: int) -> Cost:
    read = tokens_at_most(predictor.SYSTEM) + document + _AROUND
    return _cost(options, model, calls, read, predictor.MOST_TOKENS)


def _cost(options: LabellerConfig, model: str, calls: int, read: int, written: int) -> Cost:
    price = chat_price(model)
    share = BATCH_SHARE if options.batch else 1.0
    usd = None if price is None else share * price.usd(read * calls, written * calls)
    return Cost(calls, read * calls, written * calls, usd)
