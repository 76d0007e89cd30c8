import csv
import datetime
import gzip
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from build.corpora.arxiv_metadata import arxiv_id
from build.corpora.document import RawDocument
from build.corpora.files import Columns, read_file
from sae.errors import UserError

ROWS = [
    {"id": "x1", "title": "Mergers\n of galaxies", "abstract": "Galaxies\ncollide.\n\nStars form.",
     "created": "2019-03-01", "categories": "astro-ph.GA cs.LG",
     "authors": "A. Berg, B. Ito and C. Costa", "citations": 3},
    {"id": "x2", "title": "Ridge", "abstract": "Ridge regression, explained.", "created": "2020-01-02",
     "categories": "stat.ML", "authors": "D. Gupta; E. Haddad", "citations": 0},
]  # fmt: skip


def write_parquet(path: Path) -> Path:
    pq.write_table(pa.Table.from_pylist(ROWS), path / "papers.parquet")
    return path / "papers.parquet"


def write_csv(path: Path) -> Path:
    with (path / "papers.csv").open("w", newline="", encoding="utf-8-sig") as file:
        writer = csv.DictWriter(file, list(ROWS[0]))
        writer.writeheader()
        writer.writerows(ROWS)
    return path / "papers.csv"


def write_json(path: Path) -> Path:
    (path / "papers.jsonl").write_text("\n".join(map(json.dumps, ROWS)) + "\n\n")
    return path / "papers.jsonl"


def write_gzip(path: Path) -> Path:
    with gzip.open(path / "papers.json.gz", "wt") as file:
        file.writelines(json.dumps(row) + "\n" for row in ROWS)
    return path / "papers.json.gz"


def write_zstd(path: Path) -> Path:
    with pa.output_stream(str(path / "papers.csv.zst"), compression="zstd") as file:
        file.write(write_csv(path).read_bytes())
    return path / "papers.csv.zst"


@pytest.mark.parametrize("write", [write_parquet, write_csv, write_json, write_gzip, write_zstd])
def test_every_kind_of_file_gives_the_same_documents(write: Callable[[Path], Path], tmp_path: Path) -> None:
    first, second = read_file(write(tmp_path))
    assert first.doc_id == "x1"
    assert first.title == "Mergers of galaxies"
    assert first.text == "Galaxies collide.\n\nStars form."
    assert first.categories == ["astro-ph.GA", "cs.LG"]
    assert first.authors == ["A. Berg", "B. Ito", "C. Costa"]
    assert second.authors == ["D. Gupta", "E. Haddad"]
    assert [first.citation_count, second.citation_count] == [3, 0]
    assert str(first.date) == "2019-03-01"


def test_category_takes_its_parts_and_limit_counts_documents(tmp_path: Path) -> None:
    path = write_json(tmp_path)
    assert [d.doc_id for d in read_file(path, category="astro-ph")] == ["x1"]
    assert [d.doc_id for d in read_file(path, category="stat.ML")] == ["x2"]
    assert list(read_file(path, category="astro")) == []
    assert [d.doc_id for d in read_file(path, limit=1)] == ["x1"]


def test_columns_can_be_named_and_switched_off(tmp_path: Path) -> None:
    columns = Columns(id="", title="authors", text="title", categories="", date="")
    first = next(read_file(write_csv(tmp_path), columns))
    assert (first.doc_id, first.text, first.categories, first.date) == (
        "row-1",
        "Mergers of galaxies",
        [],
        None,
    )
    assert first.title == "A. Berg, B. Ito and C. Costa"


def test_a_missing_column_lists_those_that_are_there(tmp_path: Path) -> None:
    path = write_parquet(tmp_path)
    with pytest.raises(
        UserError, match=r"no column 'body' for the text; its columns are id, title, abstract"
    ):
        list(read_file(path, Columns(text="body")))
    (tmp_path / "a.csv").write_text("number,value\n1,2\n")
    with pytest.raises(UserError, match="looks like a text; its columns are number, value"):
        list(read_file(tmp_path / "a.csv"))
    with pytest.raises(UserError, match="filtered by the category"):
        list(read_file(path, Columns(categories=""), category="cs.LG"))


def write_bytes(name: str, content: bytes) -> Callable[[Path], Path]:
    def write(folder: Path) -> Path:
        (folder / name).write_bytes(content)
        return folder / name

    return write


@pytest.mark.parametrize(
    ("write", "message"),
    [
        (write_bytes("a.parquet", b"PAR1 nothing"), "not a readable Parquet"),
        (write_bytes("a.parquet", b""), "not a readable Parquet"),
        (write_bytes("a.csv", b""), "is empty"),
        (write_bytes("a.jsonl", b""), "is empty"),
        (write_bytes("a.json", b'[{"text": "a whole array"}]'), "one document a line"),
        (write_bytes("a.jsonl", b'{"text": "good"}\n{"text": '), "line 2, is not a JSON object"),
        (
            write_bytes("a.csv.gz", gzip.compress(b"text\n" + b"abc\n" * 9999)[:40]),
            "cannot be read to its end",
        ),
        (write_bytes("a.csv.gz", b"no gzip at all"), "cannot be read to its end"),
        (write_bytes("a.csv.zst", b"no zstd at all"), "cannot be read to its end"),
        (write_bytes("a.docx", b"x"), "of no known kind"),
        (lambda folder: folder / "absent.csv", "There is no file"),
    ],
)
def test_unreadable_files_are_one_sentence(
    write: Callable[[Path], Path], message: str, tmp_path: Path
) -> None:
    with pytest.raises(UserError, match=message):
        list(read_file(write(tmp_path)))


def test_odd_cells_of_a_csv_come_through(tmp_path: Path) -> None:
    long = "word " * 60_000
    content = (
        f'id,text\n1,"a ""quoted"" comma, and\nline"\n2,{long}\n3,nul\0here\n4\n'.encode() + b"5,\xff\xfe\n"
    )
    documents = list(read_file(write_bytes("a.csv", content)(tmp_path)))
    assert documents[0].text == 'a "quoted" comma, and line'
    assert len(documents[1].text) == len(long) - 1
    assert documents[2].text == "nul\ufffdhere"
    assert documents[3].text is None
    assert documents[4].text == "\ufffd\ufffd"


def snapshot_row(**changed: Any) -> dict[str, Any]:
    return {
        "id": "0704.0001", "submitter": "P. N.",
        "authors": "C. Bal\u00e1zs, E. L. Berger,\n  P. M. Nadolsky and C.-P. Yuan",
        "title": "Calculation of prompt diphoton\n  production cross sections", "doi": None, "license": None,
        "abstract": "  A fully differential calculation in\nperturbative quantum chromodynamics.\n",
        "categories": "hep-ph cs.LG", "update_date": "2008-11-26",
        "versions": [{"version": "v1", "created": "Mon, 2 Apr 2007 19:18:42 GMT"}, {"version": "v2"}],
        "authors_parsed": [["Bal\u00e1zs", "C.", ""]], **changed,
    }  # fmt: skip


def test_the_arxiv_snapshot_reads_without_any_option(tmp_path: Path) -> None:
    path = tmp_path / "arxiv-metadata-oai-snapshot.json"
    rows = [snapshot_row(), snapshot_row(id="hep-th/9901001", versions=[])]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    first, second = read_file(path)
    assert first == RawDocument(
        doc_id="0704.0001",
        title="Calculation of prompt diphoton production cross sections",
        text="A fully differential calculation in perturbative quantum chromodynamics.",
        url="https://arxiv.org/abs/0704.0001",
        date=datetime.date(2007, 4, 2),
        categories=["hep-ph", "cs.LG"],
        authors=["C. Balázs", "E. L. Berger", "P. M. Nadolsky", "C.-P. Yuan"],
    )
    assert second.url == "https://arxiv.org/abs/hep-th/9901001"
    assert second.date == "2008-11-26"


@pytest.mark.parametrize(
    ("damaged", "right"),
    [
        ("704.102", "0704.1020"),
        ("1408.206", "1408.2060"),
        ("1708.0542899999998", "1708.05429"),
        ("1501.1", "1501.10000"),
        ("1912.13503", "1912.13503"),
        ("1912.13503v2", "1912.13503"),
        ("cmp-lg/9712002", "cmp-lg/9712002"),
        ("math.GT/0309136v1", "math.GT/0309136"),
    ],
)
def test_arxiv_ids_that_were_taken_for_numbers_are_put_right(damaged: str, right: str) -> None:
    assert arxiv_id(damaged) == right


def test_numbers_are_no_arxiv_ids_without_arxiv_beside_them(tmp_path: Path) -> None:
    path = write_bytes("a.csv", b"id,text,tags\n1408.206,some text,Prices and Wages\n")(tmp_path)
    (document,) = read_file(path)
    assert (document.doc_id, document.url) == ("1408.206", "")


def test_reading_is_streamed(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    path.write_text("".join(f'{{"text": "document {i}"}}\n' for i in range(1000)) + "broken")
    reader = read_file(path)
    assert [next(reader).text for _ in range(1000)][-1] == "document 999"
    with pytest.raises(UserError, match="line 1001"):
        next(reader)
