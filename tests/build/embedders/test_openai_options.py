"""What an embedder behind a server is made from, and how texts are cut for it, before anything is sent."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from build.embedders import make_embedder
from build.embedders.openai import cut_to_tokens
from build.tokens import tokens_about
from sae.errors import UserError


@pytest.mark.parametrize(
    "url", ["ftp://x/v1", "localhost", "http://user:word@x/v1", "http://x/v1?k=1", "http://x:port/v1"]
)
def test_a_bad_address_is_refused(url: str) -> None:
    with pytest.raises(UserError, match="base_url"):
        make_embedder({"kind": "openai", "base_url": url})


def test_an_unknown_model_needs_its_width() -> None:
    with pytest.raises(UserError, match="d_in"):
        make_embedder({"kind": "openai", "model": "mine", "base_url": "http://127.0.0.1:1/v1"})


@given(st.text(max_size=300), st.integers(1, 60))
def test_cutting_keeps_the_longest_beginning_that_fits(text: str, limit: int) -> None:
    cut = cut_to_tokens(text, limit)
    if text.strip():
        assert text.startswith(cut)
        assert cut == text or tokens_about(text[: len(cut) + 1]) > limit
    else:
        assert cut == " "
    assert tokens_about(cut) <= max(limit, 1)
