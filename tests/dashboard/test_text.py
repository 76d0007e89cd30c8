"""Hostile text: what a page shows of it is its visible characters, and nothing acts."""

import html
import unicodedata

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dashboard.tables import csv_bytes
from dashboard.text import TITLE_LIMIT, html_text, plain_text, safe_text, safe_url

HOSTILE = [
    "<script>alert(1)</script>", "<img src=x onerror=alert(1)>", "<!-- c -->", "&lt;b&gt; &amp; &#36;",
    "![x](http://evil.example/a.png)", "[click](javascript:alert(1))", "<https://evil.example>", "[^1] [^1]: note",
    "[ref]: http://evil.example", "$\\alpha$-divergence and $x^2$", "$$\\frac{1}{2}$$", "\\(x\\) \\[y\\]",
    ":red[x]", ':red[x]{foreground="red"}', ":blue-badge[x]", ":shimmer[x]", ":help[x]", ":material/home:",
    ":material_home:", ":streamlit:", ":smile:", ":+1:", ":::note\nx\n:::", "::leaf[x]", "# heading\n## x",
    "- item", "+ item", "* item", "1. one", "12) two", "> quote", "---", "***", "===\nx", "| a | b |\n|---|---|",
    "```python\nx\n```", "`code`", "~~gone~~", "**bold** __b__ _i_", "- [ ] task", "snake_case __init__",
    "https://evil.example/p www.evil.example a@evil.example", "]] )) }} ((", "trailing\\", "$5 and $10", "$", "`",
]  # fmt: skip
WORD_JOINER = "\u2060"


def shown(markdown: str) -> str:
    """What Markdown shows of text in which only entities and joiners were written."""
    return html.unescape(markdown).replace(WORD_JOINER, "")


@pytest.mark.parametrize("text", HOSTILE)
def test_safe_text_shows_the_same_characters_and_leaves_no_construct(text: str) -> None:
    safe = safe_text(text)
    assert shown(safe) == plain_text(text)
    outside = html.unescape("")  # entities aside, none of the characters that begin a construct are left
    for part in safe.split("&#")[1:]:
        number, _, rest = part.partition(";")
        assert number.isdigit()
        outside += rest
    assert not set(outside) & set("\\`*_{}[]<>|~$&#")
    assert not safe.startswith(("-", "+", "=", "1.", "12)"))
    for pattern in (":material", ":red", ":smile:", ":+1:", "http://", "https://", "www.", "a@"):
        assert pattern not in safe


@given(st.text(max_size=400))
def test_any_text_is_shown_whole(text: str) -> None:
    assert shown(safe_text(text, limit=None)) == plain_text(text)


@given(st.text(max_size=400))
def test_plain_text_is_one_line_of_visible_characters(text: str) -> None:
    plain = plain_text(text)
    assert plain == " ".join(plain.split(" ")).strip()
    assert not any(unicodedata.category(c) in ("Cc", "Cs", "Co", "Cn", "Zl", "Zp") for c in plain)
    assert all(c in "\u200c\u200d" for c in plain if unicodedata.category(c) == "Cf")
    assert plain_text(plain) == plain
    plain.encode("utf-8")


@given(st.text(max_size=400), st.integers(2, 80))
def test_the_limit_holds(text: str, limit: int) -> None:
    assert len(plain_text(text, limit)) <= limit


def test_invisible_and_direction_changing_characters_go() -> None:
    assert plain_text("\u202eabc\u202c d\u200be\u2066f\ufeff\u00ad") == "abc def"
    assert plain_text("nul\x00 bell\x07 esc\x1b[31m") == "nul bell esc[31m"
    assert plain_text("a\nb\tc\u2028d\u00a0e") == "a b c d e"
    assert plain_text("half \ud800") == "half \ufffd"
    assert plain_text("e" + "\u0301" * 40 + "x") == "e" + "\u0301" * 3 + "x"
    assert plain_text("می\u200cخواهم") == "می\u200cخواهم"  # a joiner that spelling needs
    assert plain_text("pass\u200dword") == "password"


def test_missing_text_is_empty() -> None:
    assert plain_text(None) == plain_text(float("nan")) == safe_text("") == html_text(None) == ""


def test_ten_thousand_characters_are_cut_between_words() -> None:
    cut = plain_text("word " * 2000, 100)
    assert cut.endswith("word…")
    assert len(cut) <= 100
    assert len(plain_text("x" * 10_000, 100)) == 100
    assert len(plain_text(safe_text("<" * 10_000))) <= 5 * TITLE_LIMIT + 1
    assert plain_text(" " * 10_000 + "late", 20) == "…"


def test_html_text_leaves_no_tag_and_no_open_quote() -> None:
    escaped = html_text("<b onclick='x'>\"&</b>")
    assert not set(escaped) & set("<>\"'")
    assert html.unescape(escaped) == "<b onclick='x'>\"&</b>"


@pytest.mark.parametrize(
    "url",
    [
        "javascript:alert(1)", "data:text/html,x", "//evil.example", "ftp://x.example/a", "/local", "", None, 7,
        "https://", "https://user:secret@x.example", "https://x.example/a b", " https://x.example", "http://[",
        "https://x.example/\u202egpj", "https://x.example/\x00", "java\nscript:alert(1)",
        "https://x.example/" + "a" * 3000,
    ],
)  # fmt: skip
def test_only_plain_web_addresses_are_links(url: object) -> None:
    assert safe_url(url) is None


def test_an_address_cannot_end_its_own_link() -> None:
    found = safe_url('https://x.example/a_(b)"><script>?q=[1]&r=é%20')
    assert found == "https://x.example/a_%28b%29%22%3E%3Cscript%3E?q=%5B1%5D&r=%C3%A9%20"
    assert safe_url("https://x.example/)") == "https://x.example/%29"


def test_a_saved_table_runs_nothing_in_a_spreadsheet() -> None:
    table = pd.DataFrame({"label": ["=1+1", "+x", "-x", "@x", "plain"], "value": [-1.5, 0, 1, 2, 3]})
    lines = csv_bytes(table).decode().splitlines()
    assert lines[1:5] == ["'=1+1,-1.5", "'+x,0.0", "'-x,1.0", "'@x,2.0"]
    assert lines[5] == "plain,3.0"
    assert table["label"][0] == "=1+1"
