from pathlib import Path
from typing import Any

import pytest

from build.config import PROFILES, load_profile
from build.corpora import SOURCES, fingerprint, read_corpus
from sae.errors import UserError


def csv_file(path: Path, text: str = "id,text\n1,some text\n") -> Path:
    path.write_text(text)
    return path


def test_each_source_is_chosen_by_kind(tmp_path: Path) -> None:
    path = csv_file(tmp_path / "a.csv")
    documents = list(
        read_corpus({"kind": "files", "path": str(path), "columns": {"title": "text"}}, tmp_path)
    )
    assert (documents[0].doc_id, documents[0].title) == ("1", "some text")
    planted = read_corpus({"kind": "synthetic", "n_documents": 5, "seed": 2}, tmp_path)
    assert len(list(planted)) == 5


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ({}, "There is no source None; there are arxiv, files, python_docs, synthetic"),
        ({"kind": "web"}, "There is no source 'web'"),
        ({"kind": "files"}, "needs the option path"),
        ({"kind": "synthetic", "documents": 5}, "has no option documents; it has n_documents, seed"),
        ({"kind": "files", "path": "a.csv", "columns": {"body": "text"}}, "Unknown column body"),
        ({"kind": "files", "path": "absent.csv"}, "There is no file absent.csv"),
        ({"kind": "arxiv"}, "needs a category"),
        ({"kind": "python_docs", "collection": "x"}, "no documentation collection"),
    ],
)
def test_mistakes_in_a_source_table_are_one_sentence(
    source: dict[str, Any], message: str, tmp_path: Path
) -> None:
    with pytest.raises(UserError, match=message):
        list(read_corpus(source, tmp_path))


def test_fingerprint_follows_content_and_options_only(tmp_path: Path) -> None:
    source: dict[str, Any] = {"kind": "files", "path": str(csv_file(tmp_path / "a.csv")), "category": ""}
    first = fingerprint(source)
    moved = {**source, "path": str(csv_file(tmp_path / "b.csv"))}
    assert fingerprint(moved) == first
    assert fingerprint({**source, "category": "cs.LG"}) != first
    csv_file(tmp_path / "a.csv", "id,text\n1,some texts\n")
    assert fingerprint(source) != first
    assert fingerprint({"kind": "synthetic"}) != fingerprint({"kind": "synthetic", "seed": 1})
    with pytest.raises(UserError, match="There is no file"):
        fingerprint({"kind": "files", "path": str(tmp_path / "absent.csv")})


def test_fingerprint_of_documentation_changes_with_a_version(monkeypatch: pytest.MonkeyPatch) -> None:
    source = {"kind": "python_docs", "collection": "python-data"}
    first = fingerprint(source)
    assert fingerprint(source) == first
    monkeypatch.setattr("build.corpora.versions", lambda _: {"numpy": "9.9"})
    assert fingerprint(source) != first


def test_sources_of_all_profiles_are_known() -> None:
    for profile in PROFILES.glob("*.toml"):
        for corpus in load_profile(profile.stem).corpora:
            assert corpus.source["kind"] in SOURCES
            fingerprint(corpus.source)
