r"""Letters written in TeX are shown as letters; formulas, code and hostile text stay what they are."""

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sae import schema
from sae.storage.arrays import write_table
from sae.tex import in_letters, letters
from tests.dashboard.search_app import CORPUS, Open, build_of, shown_titles
from tests.sae import hostile


@pytest.mark.parametrize(
    ("tex", "shown"),
    [
        (r"Schr\"odinger", "Schrödinger"),
        (r"M\"obius and Nystr\"{o}m", "Möbius and Nyström"),
        (r"\'etale, \'{E}l\H{o}, r\'{e}", "étale, Élő, ré"),
        (r"{\L}ojasiewicz, \L{}ojasiewicz, Kot{\l}owski", "Łojasiewicz, Łojasiewicz, Kotłowski"),
        (r"Lema\^{\i}tre, Lema\^itre, Lema\^\i tre, na\"{\i}ve", "Lemaître, Lemaître, Lemaître, naïve"),
        (r"Cand{\`e}s, {\'e}tale, El Ni{\~n}o", "Candès, étale, El Niño"),
        (r"Nan\c{c}ay, Yi\u{g}it, Ho\v{r}ava, \.{Z}ak, Z\=uqn\=in", "Nançay, Yiğit, Hořava, Żak, Zūqnīn"),
        (r"Fj{\o}rtoft, formul\ae{}, Gau\ss' Principle, {\ss}-mixing", "Fjørtoft, formulæ, Gauß' Principle, ß-mixing"),
        (r"2175 {\AA} bump, 2 \AA\ away", "2175 Å bump, 2 Å away"),
        (r"{\Lambda}CDM at 360{\deg}, {\mu}-biased, Ly{\alpha}", "ΛCDM at 360°, μ-biased, Lyα"),
        (r"an {\it XMM}-Newton view, \emph{ordinary least squares}", "an XMM-Newton view, ordinary least squares"),
        (r"5\% of R\&D", "5% of R&D"),
        (r"Asymptotics of $\alpha-\'e$ R\'enyi", r"Asymptotics of $\alpha-\'e$ Rényi"),
    ],
)  # fmt: skip
def test_letters_in_tex_are_shown(tex: str, shown: str) -> None:
    assert letters(tex) == shown


@pytest.mark.parametrize(
    "text",
    [
        r"$\"o$ and $$\'e$$", r"it\'s, you\'re, we\'ll, doesn\'t", r'the string "\\" and a', r"C:\users\oe_old",
        r"\mathbf{\mu}, \hat{\sigma}, K_{\nu}, x^{\alpha}, \text{num\_layers}, \texttt{low}, as \textbf{}.",
        r"a\.com", r"\d{3} \w{2} \b \n \r", r"\(\'\)", r"E(k) \~ k^{-1}", r"\alpha-shear dynamo",
        r"\'q", "\\", r"\'", "{x}", "no",
    ],
)  # fmt: skip
def test_what_is_no_letter_stays(text: str) -> None:
    assert letters(text) == text


@given(st.text(alphabet="\\{}$'\"^~aeioucvHkL \n<>", max_size=200))
def test_any_text_gives_text_and_no_more(text: str) -> None:
    found = letters(text)
    assert len(found) <= len(text)
    assert set(found) & set("<>\"'") <= set(text)


@pytest.mark.parametrize(
    "piece", ["\\'", "{\\it ", "\\emph{", "$\\$", "{\\L", "\\\\", "\\'{", "$", "{\\it" + " "]
)
def test_a_hostile_length_is_no_trouble(piece: str) -> None:
    text = piece * 20_000 + "\\"  # quadratic work would take minutes
    assert len(letters(text)) <= len(text)


def written(path: Path, **columns: str) -> None:
    """Put a text into every row of a table's column."""
    table = pq.read_table(path)
    for name, value in columns.items():
        place = table.column_names.index(name)
        values = [f"{value} {i}" for i in range(len(table))]
        table = table.set_column(place, table.schema.field(name), pa.array(values))
    write_table(path, table)


def test_pages_show_letters_and_escape_them_after(page: Open, copy: Path) -> None:
    build = build_of(copy)
    written(build / CORPUS / schema.DOCUMENTS, title=r"\'Etale <b>$\"o$</b>", text=r"Of Schr\"odinger.")
    written(build / CORPUS / schema.QUERIES, query=r"M\"obius")
    hostile.seal(build)
    app = page(copy)
    assert app.text_input(key="query-box").value == "Möbius 0"
    titles = shown_titles(app)
    assert len(titles) == 10
    assert all(title.startswith(r"Étale <b>$\"o$</b> ") for title in titles)
    told = "".join(element.proto.body for element in app.get("html"))
    assert "Of Schrödinger." in told
    assert "Étale &lt;b&gt;$" in told


def test_the_store_keeps_what_the_source_wrote() -> None:
    document = {"title": r"M\"obius", "text": r"\'Etale", "authors": [r"H\'el\`ene"], "doc_id": r"\'e"}
    assert in_letters(document) == {
        "title": "Möbius",
        "text": "Étale",
        "authors": ["Hélène"],
        "doc_id": r"\'e",
    }
    assert document["title"] == r"M\"obius"
