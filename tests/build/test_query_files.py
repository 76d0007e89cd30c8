"""Queries from files, for all corpora or for one of them."""

from pathlib import Path

import pytest

from build.config import load_profile, with_files, with_queries
from build.query_files import read_queries
from sae.errors import UserError


def write(path: Path, text: str) -> Path:
    path.write_text(text, encoding="utf-8")
    return path


def test_lines_are_queries_once_each(tmp_path: Path) -> None:
    path = write(tmp_path / "q.txt", "\ufeff# mine\nfirst query\n\n second query \nfirst query\n")
    assert read_queries(path) == ("first query", "second query")


@pytest.mark.parametrize(
    ("content", "told"),
    [(b"\n# nothing\n", "holds no query"), (b"\xff\xfe\x00", "not UTF-8"), (None, "cannot be read")],
)
def test_a_file_that_is_no_list_of_queries(tmp_path: Path, content: bytes | None, told: str) -> None:
    path = tmp_path / "q.txt"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(UserError, match=told):
        read_queries(path)


def test_a_corpus_keeps_its_queries_to_itself(tmp_path: Path) -> None:
    one, every = write(tmp_path / "one.txt", "only a\n"), write(tmp_path / "all.txt", "for all\n")
    config = with_files(load_profile("tiny"), [tmp_path / "a.csv", tmp_path / "b.csv"], {}, ())
    assert [c.examples for c in with_queries(config, [f"a={one}"]).corpora] == [("only a",), ()]
    assert [c.examples for c in with_queries(config, [str(every), f"b={one}"]).corpora] == [
        ("for all",),
        ("only a",),
    ]
    assert with_queries(config, []) == config
    with pytest.raises(UserError, match=r"names the corpus 'c'; there are a, b"):
        with_queries(config, [f"c={one}"])


def test_a_profile_names_a_file_for_a_corpus(tmp_path: Path) -> None:
    queries = write(tmp_path / "q.txt", "from the file\n")
    profile = write(
        tmp_path / "p.toml",
        f'[[corpora]]\nname = "a"\nexamples = ["its own"]\nqueries = "{queries}"\nsource = {{ kind = "synthetic" }}\n'
        "[[saes]]\nk = 4\nn_latents = 64\n",
    )
    corpus = load_profile(str(profile)).corpora[0]
    assert corpus.examples == ("its own", "from the file")
    assert corpus.queries == ""
