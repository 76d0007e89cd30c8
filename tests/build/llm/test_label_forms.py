"""Which labels of a model are labels at all, and the options of the labeller."""

from dataclasses import replace

import pytest

from build.config import load_profile
from build.llm.forms import checked_label
from build.llm.options import label_settings, read_labeller
from sae.errors import UserError


@pytest.mark.parametrize(
    "label",
    [
        "",
        "a b c d e f g h i",
        "x" * 101,
        "<b>x</b>",
        "[a](b)",
        "`x`",
        "see http://x.org",
        "a\u202eb",
        "a\x00b",
        "…",
        "$x$",
    ],
)
def test_labels_that_are_none(label: str) -> None:
    with pytest.raises(ValueError, match="label"):
        checked_label(label)


def test_labels_that_are_some() -> None:
    for label in (
        "Graph neural networks",
        "C*-algebras & K-theory",
        "α-β pruning",
        "機械学習",
        "Naïve Bayes (text)",
    ):
        assert checked_label(f" {label}\n") == label


def test_options() -> None:
    tiny = load_profile("tiny")
    assert read_labeller(tiny).compared == (("local", "local"), ("plain", "plain"))
    table = {
        "kind": "openai",
        "base_url": "http://localhost:1/v1",
        "pairs": [["gpt-4o", "local"]],
        "candidates": 2,
    }
    found = read_labeller(replace(tiny, labeller=table))
    assert found.server.base_url == "http://localhost:1/v1"
    assert found.compared[-1] == ("gpt-4o", "local")
    assert label_settings(tiny) == {}
    same = label_settings(replace(tiny, labeller=table | {"concurrency": 2}))
    assert same == label_settings(replace(tiny, labeller=table))
    for bad in ({"kind": "magic"}, {"models": 1}, {"pairs": ["x"]}, {"candidates": 0}, {"base_url": "ftp://x"},
                {"budget_usd": -1}, {"replies": "xml"}):  # fmt: skip
        with pytest.raises(UserError):
            read_labeller(replace(tiny, labeller=bad))
