"""Document cards and feature chips: what they say of a row, and that nothing in a document acts."""

import datetime
import re
from typing import Any

import pandas as pd
import pytest

from dashboard import cards, chips

DOCUMENT = {
    "title": "On stars",
    "text": "They shine. " * 100,
    "url": "https://example.org/1",
    "date": datetime.date(2020, 3, 2),
    "categories": ["GA", "SR", "HE", "CO"],
    "authors": ["A. Author"],
    "citation_count": 1234,
}
FEATURE: dict[str, Any] = {
    "feature_id": 3, "label": "stars", "status": "scored", "dead": False, "density": 0.0213, "objective": 0.4,
    "pearson_matched": 0.52, "pearson_matched_low": 0.41, "pearson_matched_high": 0.61,
    "pearson_random": 0.8, "pearson_random_low": None, "pearson_random_high": None,
    "quantiles": [1.0, 2.0, 3.0, 4.0, 5.0], "max_activation": 9.0,
}  # fmt: skip


def test_a_card_says_what_is_known() -> None:
    heading = cards.heading_html(DOCUMENT, 4, -3, 0.41234, "cosine", 0.5, 2.0, "note")
    assert 'href="https://example.org/1" target="_blank"' in heading
    words = re.sub("<[^>]+>", "|", heading)
    for known in (
        "On stars",
        "2 Mar 2020",
        "GA, SR, HE +1",
        "1,234 citations",
        "0.412",
        "4|▼3",
        "0.50",
        "note",
    ):
        assert known in words
    assert "width:25%" in heading


def test_a_card_of_an_empty_document_stands() -> None:
    assert "(no title)" in cards.heading_html({})
    assert cards.text_html({}) == ""


@pytest.mark.parametrize(("change", "mark"), [(3, "▲3"), (-1, "▼1"), ("new", "new"), (0, ""), (None, "")])
def test_a_card_marks_what_has_moved(change: int | str | None, mark: str) -> None:
    found = re.findall(r'class="sx-mark"[^>]*>([^<]*)', cards.heading_html(DOCUMENT, 1, change))
    assert found == ([mark] if mark else [])


def test_nothing_in_a_document_becomes_markup() -> None:
    evil = '"><script>alert(1)</script><img src=x onerror=alert(1)>'
    document = {"title": evil, "text": evil, "url": evil, "categories": [evil], "authors": [evil]}
    found = cards.heading_html(document, 1, "new", 0.1, evil, 1.0, 1.0, evil) + cards.text_html(document)
    assert set(re.findall(r"</?(\w+)", found)) <= {"div", "span", "details", "summary", "p"}
    assert not re.search(r'<[^>]*"[^" >=]*onerror', found)


def test_a_chip_tells_reliable_from_weak_unscored_and_dead() -> None:
    assert chips.reliability(FEATURE) == ("0.52", "primary")
    assert chips.reliability(FEATURE | {"pearson_matched_low": 0.39}) == ("0.52", "gray")
    assert chips.reliability(FEATURE | {"pearson_matched_low": None}) == ("0.52", "gray")
    assert chips.reliability(FEATURE | {"status": "too rare"}) == ("unscored", "gray")
    assert chips.reliability(FEATURE | {"dead": True}) == ("dead", "gray")
    assert chips.reliability(FEATURE | {"pearson_matched": float("nan")}) == ("unscored", "gray")
    assert "0.52 (0.41 … 0.61)" in chips.chip_help(FEATURE)
    assert "by a person" in chips.chip_help(FEATURE | {"source": "person"})
    assert "by a person" not in chips.chip_help(FEATURE | {"source": "local"})


def test_the_table_and_the_chip_agree_on_what_is_reliable() -> None:
    rows = [
        FEATURE | {"feature_id": i, "pearson_matched_low": low, "status": status}
        for i, (low, status) in enumerate(
            (low, status) for low in (None, 0.3, 0.4, 0.5) for status in ("scored", "error")
        )
    ]
    table = pd.DataFrame(rows).astype({"pearson_matched_low": "float32"})
    assert chips.reliable_rows(table).sum() == 2
    assert chips.reliable_rows(table).tolist() == [chips.is_reliable(row) for _, row in table.iterrows()]


@pytest.mark.parametrize(
    ("share", "said"),
    [(0.0213, "2.1 %"), (0.00034, "0.034 %"), (0.5, "50 %"), (1.0, "100 %"), (0, "0 %"), (None, "–")],
)
def test_shares_have_two_digits(share: float | None, said: str) -> None:
    assert chips.percent(share) == said.replace(" ", "\u00a0")


def test_steering_starts_from_strong_activations() -> None:
    assert chips.steering_value(FEATURE) == pytest.approx(chips.STRENGTH * 5.0)
    assert chips.steering_value(FEATURE | {"quantiles": []}) == pytest.approx(chips.STRENGTH * 9.0)
    assert chips.steering_value(FEATURE | {"quantiles": [], "max_activation": None}) > 0
