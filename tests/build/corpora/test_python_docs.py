"""Documentation of Python packages: read from their sources, under public names, without importing them."""

import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

from build.corpora import python_docs
from build.corpora.cython_source import read_cython
from build.corpora.doc_urls import documentation_url
from build.corpora.source_tree import PublicDocument, SourceTree
from sae.errors import UserError


@pytest.fixture
def package(tmp_path: Path) -> Path:
    files = {
        "__init__.py": '''
            """The package."""
            from .decoy import *
            from .shapes import *
            from ._hidden.deep import Circle as Disc, _private
            from os import path
            raise RuntimeError("this package must never run")
            ''',
        "decoy.py": """
            from ._hidden.deep import _private as square
            __all__ = []
            """,
        "shapes.py": '''
            __all__ = ["square"]
            def square():
                """Draw a square."""
            def helper():
                """Help inside."""
            ''',
        "tools/__init__.py": """
            from .._hidden.deep import Circle
            from .wide import spread
            __all__ = ["Circle"] + ["spread"]
            """,
        "tools/wide.py": '''
            try:
                import fast
            except ImportError:
                def spread():
                    """Spread out."""
            ''',
        "_hidden/__init__.py": "",
        "_hidden/deep.py": '''
            class Base:
                """Never shown."""
                def area(self):
                    """Compute the area."""
                def _secret(self):
                    """Not public."""
            class Circle(Base):
                """Replaced below."""
                @property
                def radius(self):
                    """The radius."""
            def _private():
                """Not public."""
            Circle.__doc__ = """A round """ + f"""shape{_more}."""
            ''',
        "tests/test_shapes.py": '"""Tests."""',
        "broken.py": "def (",
    }
    root = tmp_path / "pack"
    for name, content in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(textwrap.dedent(content))
    return root


def test_every_public_object_once_under_its_shortest_name(package: Path) -> None:
    documents = {d.name: (d.kind, d.doc) for d in SourceTree("pack", package).public_documents()}
    assert documents == {
        "pack": ("module", "The package."),
        "pack.square": ("function", "Draw a square."),
        "pack.Disc": ("class", "A round shape."),
        "pack.Disc.radius": ("method", "The radius."),
        "pack.Disc.area": ("method", "Compute the area."),
        "pack.tools.spread": ("function", "Spread out."),
    }


def test_skipped_parts_are_not_looked_at(package: Path) -> None:
    names = [d.name for d in SourceTree("pack", package, skip=("pack.tools",)).public_documents()]
    assert "pack.tools.spread" not in names
    assert "pack.square" in names


def test_cython_files(tmp_path: Path) -> None:
    (tmp_path / "lib.pyx").write_text(
        'include "more.pxi"\n\ndef top(int a,\n        b: str = ":"):\n    """Say top."""\n'
    )
    (tmp_path / "more.pxi").write_text(
        'cdef class Table(_Base):\n    """\n    A table.\n    """\n\n    def slice(self, x={"a": 1}):\n'
        '        """Cut out rows."""\n\n    cdef int inner(self):\n        """Hidden."""\n\n'
        "    def bare(self):\n        pass\n"
    )
    found = {name: (doc.strip(), bases) for name, doc, bases in read_cython(tmp_path / "lib.pyx")}
    assert found == {
        "top": ("Say top.", []),
        "Table": ("A table.", ["_Base"]),
        "Table.slice": ("Cut out rows.", []),
        "Table.bare": ("", []),
    }


@pytest.mark.parametrize(
    ("name", "written_in", "kind", "url"),
    [
        ("numpy.linalg.norm", "numpy.linalg._linalg", "function",
         "https://numpy.org/doc/stable/reference/generated/numpy.linalg.norm.html"),
        ("sklearn.cluster.DBSCAN.fit", "sklearn.cluster._dbscan", "method",
         "https://scikit-learn.org/stable/modules/generated/sklearn.cluster.DBSCAN.html#sklearn.cluster.DBSCAN.fit"),
        ("networkx.shortest_path", "networkx.algorithms.shortest_paths.generic", "function",
         "https://networkx.org/documentation/stable/reference/algorithms/generated/"
         "networkx.algorithms.shortest_paths.generic.shortest_path.html"),
        ("torch.Tensor.abs", "torch.Tensor", "method",
         "https://docs.pytorch.org/docs/stable/generated/torch.Tensor.abs.html"),
        ("streamlit.cache_data", "streamlit.runtime", "function", ""),
    ],
)  # fmt: skip
def test_urls(name: str, written_in: str, kind: str, url: str) -> None:
    assert documentation_url(PublicDocument(name, written_in, kind, "")) == url


def test_urls_of_the_standard_library() -> None:
    json = PublicDocument("json.JSONDecoder.decode", "json.decoder", "method", "")
    version = f"{sys.version_info.major}.{sys.version_info.minor}"
    library = f"https://docs.python.org/{version}/library"
    assert documentation_url(json, stdlib=True) == f"{library}/json.html#json.JSONDecoder.decode"
    parse = PublicDocument("urllib.parse.quote", "urllib.parse", "function", "")
    assert documentation_url(parse, stdlib=True) == f"{library}/urllib.parse.html#urllib.parse.quote"


@pytest.fixture(scope="module")
def small() -> dict[str, str]:
    """Real packages, read in another process, which also says what was imported on the way."""
    code = """
        import sys, json
        from build.corpora import python_docs
        python_docs.COLLECTIONS["python-data"] = ("numpy", "sklearn", "networkx", "zarr", "absent")
        before = set(sys.modules)
        documents = list(python_docs.read_collection("python-data"))
        python_docs.COLLECTIONS["python-data"] = ("zarr",)
        again, once_more = (list(python_docs.read_collection("python-data")) for _ in range(2))
        assert again == once_more
        print(json.dumps({
            "imported": sorted({m.split(".")[0] for m in set(sys.modules) - before}),
            "documents": {d.title: [d.text, d.categories, d.url] for d in documents},
            "n": len(documents),
        }))
    """
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(code)],
        capture_output=True,
        text=True,
        check=True,
        cwd=Path.cwd(),
    )
    import json

    loaded: dict[str, str] = json.loads(done.stdout)
    return loaded


def test_real_packages_are_read_without_being_imported(small: dict) -> None:
    assert not set(small["imported"]) & {"sklearn", "networkx", "zarr", "scipy", "joblib"}
    documents = small["documents"]
    assert small["n"] == len(documents) > 2500
    text, categories, url = documents["sklearn.cluster.DBSCAN"]
    assert text.startswith("Perform DBSCAN clustering from vector array or distance matrix.")
    assert "eps" not in text[:300]
    assert categories == ["sklearn", "sklearn.cluster"]
    assert url.endswith("/sklearn.cluster.DBSCAN.html")
    assert documents["networkx.shortest_path"][1] == ["networkx", "networkx.algorithms.shortest_paths"]
    assert documents["numpy.ndarray.strides"][0].startswith("Tuple of bytes to step in each dimension")


def test_real_documents_are_readable(small: dict) -> None:
    marks = (">>>", ":func:", ":class:", "``", "%(", ".. ", "\n---", "Parameters\n")
    bad = [t for t, (text, _, _) in small["documents"].items() if any(mark in text for mark in marks)]
    assert len(bad) <= 0.004 * small["n"], bad[:20]
    assert not [title for title in small["documents"] if "._" in title or ".tests" in title]
    texts = [text for text, _, _ in small["documents"].values()]
    assert len(set(texts)) == len(texts)


def test_near_duplicates_keep_the_shortest_name() -> None:
    seen = python_docs._Seen()
    text = "Evaluate a {} series at points x given as an array of numbers, and return the values."
    assert seen.is_new("p.chebval", text.format("chebval"))
    assert not seen.is_new("p.hermval", text.format("hermval"))
    assert seen.is_new(
        "p.other", "Evaluate a series at points x: something else entirely is said in this sentence."
    )


def test_versions_name_what_a_collection_is_read_from() -> None:
    found = python_docs.versions("python-data")
    assert {"numpy", "scikit-learn", "torch"} <= set(found)
    assert "stdlib" in python_docs.versions("python-tools")
    with pytest.raises(
        UserError, match=r"no documentation collection 'x'; there are python-data and python-tools"
    ):
        list(python_docs.read_collection("x"))
