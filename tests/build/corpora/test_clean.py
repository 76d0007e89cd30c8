import datetime
from typing import Any

import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from build.corpora.clean import KEPT, Cleaner, CleaningPolicy, clean, clean_to_parquet
from build.corpora.document import RawDocument
from build.corpora.encoding import mend
from sae import schema
from sae.errors import UserError
from sae.storage import limits
from sae.storage.trust_values import check_values

BODY = "Galaxies collide and their gas forms new stars in bursts."


def document(doc_id: Any = "a", title: Any = "Mergers", text: Any = BODY, **other: Any) -> RawDocument:
    return RawDocument(doc_id=doc_id, title=title, text=text, **other)


def reasons(*documents: RawDocument, policy: CleaningPolicy | None = None) -> list[str]:
    return clean(documents, policy)[1]["reason"].to_pylist()


def test_a_good_document_passes_unchanged_and_unreported() -> None:
    full = document(
        url="https://arxiv.org/abs/1",
        date=datetime.date(2020, 1, 2),
        categories=["astro-ph.GA", "astro-ph"],
        authors=["A. Gómez"],
        citation_count=0,
    )
    kept, quarantine = clean([full])
    assert quarantine.num_rows == 0
    assert kept.schema == schema.DOCUMENT_COLUMNS
    assert kept.to_pylist()[0] == {name: getattr(full, name) for name in schema.DOCUMENT_COLUMNS.names}


@pytest.mark.parametrize(
    ("bad", "reason"),
    [
        (document(text=""), "empty"),
        (document(text=" \n\t "), "empty"),
        (document(text=None), "empty"),
        (document(text=float("nan")), "empty"),
        (document(text="\x00\x00"), "wrongly encoded"),
        (document(text="No."), "too short"),
        (document(text="…" * 500), "too short"),
        (document(text=["a", "list"]), "wrong type"),
        (document(text=17), "wrong type"),
        (document(text="x" * 1_000_001), "huge"),
        (document(text="caf\ufffd \ufffd\ufffd\ufffd and \ufffd\ufffd the rest of it"), "wrongly encoded"),
        (document(text=b"\xff\xfe\xfa" * 30), "wrongly encoded"),
    ],
)
def test_rows_left_out(bad: RawDocument, reason: str) -> None:
    kept, quarantine = clean([bad])
    assert kept.num_rows == 0
    assert quarantine["reason"].to_pylist() == [reason]
    assert quarantine["doc_id"].to_pylist() == ["a"]
    assert all(quarantine["detail"].to_pylist())


@pytest.mark.parametrize(
    ("odd", "reason", "column", "value"),
    [
        (document(doc_id=""), "id made", "doc_id", "row-1"),
        (document(title=None), "title made", "title", BODY),
        (document(title={"a": 1}), "wrong type", "title", BODY),
        (document(title="Mer\x00gers\u202e"), "encoding mended", "title", "Mergers"),
        (document(title="word " * 300), "cut", "title", ("word " * 100).strip()),
        (document(text=BODY + " NaÃ¯ve â€œcafÃ©â€\x9d"), "encoding mended", "text", BODY + " Naïve “café”"),
        (document(text=BODY + "\ud800"), "encoding mended", "text", BODY),
        (document(url="javascript:alert(1)"), "link dropped", "url", ""),
        (document(date="yesterday"), "date dropped", "date", None),
        (document(categories={"x"}), "categories dropped", "categories", []),
        (document(authors=["A", 3]), "authors dropped", "authors", ["A"]),
        (document(citation_count=-1), "citation count dropped", "citation_count", None),
        (document(citation_count=True), "citation count dropped", "citation_count", None),
        (document(citation_count=2**40), "citation count dropped", "citation_count", None),
    ],
)
def test_rows_kept_but_altered_are_reported(
    odd: RawDocument, reason: str, column: str, value: object
) -> None:
    kept, quarantine = clean([odd])
    assert kept[column].to_pylist() == [value]
    assert KEPT + reason in quarantine["reason"].to_pylist()


def test_types_that_mean_the_same_are_taken_without_a_report() -> None:
    kept, quarantine = clean(
        [
            document(
                doc_id=7,
                date="2020-05-01T10:00:00",
                categories="cs.LG",
                citation_count=3.0,
                text=BODY.encode(),
            )
        ]
    )
    row = kept.to_pylist()[0]
    assert (row["doc_id"], row["date"], row["categories"]) == ("7", datetime.date(2020, 5, 1), ["cs.LG"])
    assert (row["citation_count"], row["text"]) == (3, BODY)
    assert quarantine.num_rows == 0


def test_long_text_is_cut_at_a_word() -> None:
    kept, quarantine = clean([document(text="galaxy " * 5000)])
    text = kept["text"][0].as_py()
    assert 19_900 < len(text) <= 20_000
    assert text.endswith("galaxy")
    assert quarantine["reason"].to_pylist() == [KEPT + "cut"]


def test_duplicates_name_the_row_they_repeat() -> None:
    rows = [document("a"), document("b", text="Another body, about planets and their moons."), document("c")]
    rows.append(document("d", title="MERGERS", text=BODY.replace(" ", "  ").upper() + "!!"))
    rows.append(document("e", title="Mergers, part two"))
    kept, quarantine = clean(rows)
    assert kept["doc_id"].to_pylist() == ["a", "b", "e"]
    assert quarantine["reason"].to_pylist() == ["exact duplicate", "duplicate"]
    assert all("document 0" in detail for detail in quarantine["detail"].to_pylist())
    exact = clean(rows, CleaningPolicy(duplicates="exact"))[0]
    assert exact["doc_id"].to_pylist() == ["a", "b", "d", "e"]
    assert clean(rows, CleaningPolicy(duplicates="keep"))[0].num_rows == 5


def test_duplicate_id_keeps_the_first_and_a_left_out_row_claims_nothing() -> None:
    other = "Planets orbit stars, and moons orbit planets."
    kept, quarantine = clean(
        [document(text="No."), document(), document(text=other), document("b", text=other)]
    )
    assert kept["doc_id"].to_pylist() == ["a", "b"]
    assert quarantine["reason"].to_pylist() == ["too short", "duplicate id"]


def test_upper_case_before_a_quotation_mark_is_not_mojibake() -> None:
    for text in ("CAFÉ” is a word", "À…” he said", "Münch’s café – naïve", "Â is a letter, Ã too"):
        assert mend(text) == (text, 0, [])


@given(st.text(st.characters(exclude_categories=("Cs", "Cc", "Co", "Cn")), min_size=1))
def test_mojibake_of_latin_text_is_undone(text: str) -> None:
    text = mend(text)[0]  # without direction overrides, which go either way
    if all(ord(c) < 0x100 for c in text):
        once = text.encode("utf-8").decode("latin-1")
        assert mend(once)[0] == mend(text)[0]


anything = st.one_of(
    st.none(), st.text(), st.binary(), st.integers(), st.floats(), st.booleans(),
    st.lists(st.one_of(st.text(), st.none())),
    st.dates(), st.datetimes(), st.text(min_size=30), st.text(st.characters(), min_size=30),
)  # fmt: skip


@given(st.lists(st.builds(RawDocument, *[anything] * 8), max_size=8))
def test_whatever_comes_in_is_kept_or_reported(documents: list[RawDocument]) -> None:
    cleaner = Cleaner()
    for raw in documents:
        row, notes = cleaner.clean_one(raw)
        assert (row is None) == any(not note["reason"].startswith(KEPT) for note in notes)
    kept, quarantine = clean(documents)
    assert kept.num_rows == cleaner.report.n_kept
    assert kept.schema == schema.DOCUMENT_COLUMNS
    assert quarantine.schema == schema.QUARANTINE_COLUMNS
    assert kept.num_rows + sum(not r.startswith(KEPT) for r in quarantine["reason"].to_pylist()) == len(
        documents
    )


def test_streaming_to_parquet_gives_what_the_table_form_gives(tmp_path: Any) -> None:
    documents = [document(str(i), text=f"{BODY} Number {i % 4000}.") for i in range(9000)]
    seen: list[tuple[int, int, str]] = []
    report = clean_to_parquet(
        iter(documents), tmp_path / "d", tmp_path / "q", progress=lambda *p: seen.append(p), total=9000
    )
    kept, quarantine = clean(documents)
    assert pq.read_table(tmp_path / "d", page_checksum_verification=True).equals(kept)
    assert pq.read_table(tmp_path / "q", page_checksum_verification=True).equals(quarantine)
    assert (report.n_read, report.n_kept) == (9000, 4000)
    assert report.reasons == {"exact duplicate": 5000}
    assert seen[0] == (4096, 9000, "4,000 kept")
    assert seen[-1][:2] == (9000, 9000)


def test_a_corpus_without_a_single_good_row_is_one_sentence(tmp_path: Any) -> None:
    with pytest.raises(UserError, match="No document is left after cleaning: 0 of 1"):
        clean_to_parquet([document(text="")], tmp_path / "d", tmp_path / "q")


@pytest.mark.parametrize(
    "options",
    [{"min_characters": 0}, {"max_characters": 5}, {"duplicates": "some"}, {"missing_title": "x"},
     {"max_broken_share": 2}],
)  # fmt: skip
def test_bad_policies_name_their_field(options: dict[str, Any]) -> None:
    with pytest.raises(UserError, match=next(iter(options))):
        CleaningPolicy(**options)


def test_texts_beyond_the_limits_of_a_store_are_cut_and_told() -> None:
    """Readers refuse a store with one such text, so none may be written, whatever the policy."""
    policy = CleaningPolicy(max_characters=3_000_000, huge_characters=9_000_000, max_title_characters=90_000)
    long = document(
        doc_id="i" * 9000,
        title="標題 " * 20_000,
        text=BODY + " " + "漢字 " * 900_000,
        url="https://example.org/" + "a" * 30_000,
        categories=["c" * 30_000, "short"],
        authors=["é" * 15_000] + [f"author {i}" for i in range(30_000)],
    )
    kept, quarantine = clean([long], policy)
    check_values(kept)
    row = kept.to_pylist()[0]
    assert row["url"] == ""
    assert row["categories"][1] == "short"
    assert len(row["authors"]) == limits.VALUES_A_ROW
    told = quarantine["detail"].to_pylist()
    for name in ("id", "title", "text", "categories", "authors"):
        assert any(detail.startswith(f"{name}: ") for detail in told), name
    assert any(reason == KEPT + "link dropped" for reason in quarantine["reason"].to_pylist())
    check_values(quarantine)
