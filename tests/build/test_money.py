"""What bounds spending must bound it: budgets, prices and counts of tokens that would not are refused or mended."""

from pathlib import Path
from typing import Any

import pytest

from build.embedders import make_embedder
from build.embedders.spending import price_per_token
from build.evaluation.evaluation_corpus import EvaluationConfig
from build.llm.options import LabellerConfig
from build.llm.prices import chat_price
from build.money import checked_budget
from build.tokens import tokens_about, tokens_at_most
from sae.errors import UserError

NO_BOUNDS: list[Any] = [float("nan"), float("inf"), -float("inf"), -1.0, 0, 0.0, True, "5"]


@pytest.mark.parametrize("budget", NO_BOUNDS, ids=repr)
def test_a_budget_that_bounds_nothing_is_refused_wherever_one_is_read(budget: Any) -> None:
    for table, make in (
        ("embedder", lambda: make_embedder({"kind": "openai", "budget_usd": budget})),
        ("labeller", lambda: LabellerConfig(kind="openai", budget_usd=budget)),
        ("evaluation", lambda: EvaluationConfig(judge="gpt-4o-mini", budget_usd=budget)),
    ):
        with pytest.raises(UserError) as told:
            make()
        assert str(told.value) == (
            f"[{table}] budget_usd is {budget!r}; it must be more than 0 and finite, or be left out for no bound."
        )


def test_a_budget_is_kept_as_it_is() -> None:
    assert checked_budget(None, "") is None
    assert checked_budget(3, "") == 3.0
    assert make_embedder({"kind": "openai", "budget_usd": 2}).budget_usd == 2.0  # type: ignore[attr-defined]


@pytest.mark.parametrize("price", ["nan", "inf", "-0.1", "true", '"cheap"'])
def test_a_price_that_is_none_is_refused(price: str, tmp_path: Path) -> None:
    table = tmp_path / "prices.toml"
    table.write_text(f"[embeddings]\nm = {price}\n[chat]\nm = {{ input = 0.1, output = {price} }}\n")
    for read in (price_per_token, chat_price):
        with pytest.raises(UserError, match="a price must be a number from 0 up"):
            read("m", table)


def test_no_text_has_more_tokens_than_bytes() -> None:
    for text in ("", "plain words", "∑∫" * 50, "😀" * 30, "\x00\x01", "a b c d e f g h"):
        assert tokens_at_most(text) > len(text.encode())  # what stands around a text is a token as well
    prose = "The quick brown fox jumps over the lazy dog. " * 20
    assert len(prose) / 5 < tokens_about(prose) < tokens_at_most(prose)
