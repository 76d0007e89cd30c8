"""What asking a language model would cost, before anything is asked: calls, tokens and dollars at most, and dollars
likely.

At most: every question asked as often as the server's ``attempts`` say, a token for each byte read, every answer as
long as it may be, every document as long as the longest. Likely: each question once, documents of mean length. Calls
that were lost on the way may be charged as well, which only a budget bounds.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from build.llm import interpreter, predictor
from build.llm.endpoint import ServerConfig
from build.llm.forms import Confidence, ProposedLabels
from build.llm.options import BUILT_IN, LabellerConfig
from build.llm.prices import BATCH_SHARE, chat_price
from build.llm.question import Question
from build.llm.replies import tokens_of
from build.tokens import tokens_about, tokens_at_most
from sae.labelling.evidence import N_TOP
from sae.labelling.sampled_evidence import N_SHOWN_NEGATIVES, N_SHOWN_QUANTILE

_AROUND = 60  # bytes that stand around a document in a question
_LABEL = 1200  # bytes of a label, escaped
_SHOWN = N_TOP + N_SHOWN_QUANTILE + 2 * N_SHOWN_NEGATIVES


@dataclass(frozen=True)
class Cost:
    """Calls, tokens and dollars at most; adds up. The dollars are None when a price is not known."""

    calls: int = 0
    read: int = 0
    written: int = 0
    usd: float | None = 0.0
    likely_usd: float | None = 0.0

    def __add__(self, other: "Cost") -> "Cost":
        usd, likely = (
            None if one is None or two is None else one + two
            for one, two in ((self.usd, other.usd), (self.likely_usd, other.likely_usd))
        )
        return Cost(
            self.calls + other.calls, self.read + other.read, self.written + other.written, usd, likely
        )

    def __str__(self) -> str:
        price = "at a price that build/prices.toml does not know"
        if self.usd is not None:
            price = (
                f"likely about ${self.likely_usd:,.2f} and at most ${self.usd:,.2f} by build/prices.toml, beside calls "
                "that are lost on the way"
            )
        return (
            f"at most {self.calls:,} calls, {self.read:,} tokens read and {self.written:,} written, {price}"
        )


@dataclass(frozen=True)
class Lengths:
    """Tokens of a text among many: of the longest, at most, and of the mean one, likely."""

    longest: int
    mean: float

    @classmethod
    def of(cls, texts: Sequence[str]) -> "Lengths":
        """Of texts as they stand in a question, which is JSON."""
        shown = [json.dumps(text, ensure_ascii=False) for text in texts]
        if not shown:
            return cls(0, 0.0)
        return cls(max(map(tokens_at_most, shown)), float(np.mean([tokens_about(text) for text in shown])))


def cost_of(
    question: Question[Any], server: ServerConfig, n: int, most: int, likely: float, batch: bool = False
) -> Cost:
    """Asking ``n`` questions like this one, to each of which ``most`` tokens come at most; likely each is ``likely``
    tokens beside its instructions."""
    read = written = 0
    for number in range(server.attempts):
        own = tokens_of(question, server, number)
        read, written = read + own[0] + most, written + own[1]
    price, share = chat_price(question.model), BATCH_SHARE if batch else 1.0
    system = tokens_about(question.system)
    return Cost(
        n * server.attempts,
        n * read,
        n * written,
        None if price is None else share * price.usd(n * read, n * written),
        None if price is None else share * n * price.usd(round(system + likely), question.max_tokens),
    )


def labels_cost(options: LabellerConfig, n_features: int, texts: Sequence[str]) -> Cost:
    """Labelling and scoring so many features."""
    checks = 3 * options.check_documents * options.candidates if options.candidates > 1 else 0
    document = _lengths(texts, options.characters)
    return _interpreting(options, options.interpreter, n_features, document) + _predicting(
        options, options.predictor, n_features * (checks + 3 * options.score_documents), document
    )


def pairs_cost(options: LabellerConfig, texts: Sequence[str]) -> Cost:
    """Comparing the configured pairs."""
    n, document, total = options.pair_features, _lengths(texts, options.characters), Cost()
    for model in dict.fromkeys(first for first, _ in options.compared):
        if model not in BUILT_IN:
            total += _interpreting(options, model, n, document)
    for _, model in options.compared:
        if model not in BUILT_IN:
            total += _predicting(options, model, n * 3 * options.score_documents, document)
    return total


def _lengths(texts: Sequence[str], characters: int) -> Lengths:
    return Lengths.of([interpreter.clean_text(text, characters) for text in texts])


def _interpreting(options: LabellerConfig, model: str, n: int, document: Lengths) -> Cost:
    system = interpreter.SYSTEM.format(count=options.candidates)
    most = interpreter.MOST_TOKENS * options.candidates
    question = Question(model, system, " " * 2 * _AROUND, ProposedLabels, most)
    longest, mean = _SHOWN * (document.longest + _AROUND), _SHOWN * (document.mean + _AROUND)
    return cost_of(question, options.server, n, longest, mean, options.batch)


def _predicting(options: LabellerConfig, model: str, n: int, document: Lengths) -> Cost:
    question = Question(model, predictor.SYSTEM, " " * _AROUND, Confidence, predictor.MOST_TOKENS)
    return cost_of(
        question, options.server, n, document.longest + _LABEL, document.mean + _AROUND, options.batch
    )
