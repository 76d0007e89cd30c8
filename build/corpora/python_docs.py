"""Corpora that need no download and no key: what the installed packages say about themselves.

Files are read as text and nothing is imported, so the documents depend only on the installed versions.
"""

import importlib.metadata
import importlib.util
import re
import sys
import sysconfig
from collections.abc import Iterator
from pathlib import Path

from build.corpora.added_docs import added_documents
from build.corpora.doc_urls import documentation_url
from build.corpora.document import RawDocument
from build.corpora.prose import prose
from build.corpora.source_tree import NOT_PUBLIC, PublicDocument, SourceTree
from sae.errors import UserError
from sae.progress import Progress, silent

STDLIB = "stdlib"
# Shorter prose says too little to be placed by meaning. A short sentence about numerics is still specific
# ("Write a DataFrame to Feather format"), one about tools seldom is ("Return the name of this object").
MIN_CHARACTERS = {"python-data": 45, "python-tools": 60}
MIN_WORDS = {"python-data": 7, "python-tools": 9}
_WRAPPER = re.compile(r"\w+ schema wrapper")  # thousands of altair's classes, generated from a JSON schema
MAX_CHARACTERS = 4000  # longer prose ends at the last whole paragraph before

_TOOLS = """
    IPython PIL altair anyio attr click dateutil filelock fsspec h11 httpx2 huggingface_hub jedi jinja2 joblib
    jsonpickle jsonschema llvmlite lxml markdown_it narwhals numba numcodecs openai packaging parso
    prompt_toolkit psutil pydantic pydeck pygments pyvis requests rich starlette streamlit tqdm traitlets
    typer urllib3 uvicorn watchdog websockets yaml
"""
# Only what the product itself needs to run or build, never what only its tests need.
COLLECTIONS: dict[str, tuple[str, ...]] = {
    "python-data": ("numpy", "scipy", "pandas", "sklearn", "networkx", "torch", "pyarrow", "zarr"),
    "python-tools": (STDLIB, *_TOOLS.split()),
}

# Parts of packages that are generated, legacy, or meant for their own developers.
_SKIP = {
    "altair": ("altair.vegalite", "altair.expr.core"),
    "narwhals": ("narwhals.stable",),
    "numba": ("numba.cuda", "numba.parfors", "numba.np", "numba.cpython", "numba.misc", "numba.cloudpickle"),
    "numpy": ("numpy.f2py", "numpy.distutils"),
    "openai": ("openai.types", "openai.resources", "openai.cli"),
    "pydantic": ("pydantic.v1", "pydantic.mypy", "pydantic.deprecated"),
    "pygments": ("pygments.lexers", "pygments.styles"),
    "huggingface_hub": ("huggingface_hub.cli",),
    "jedi": ("jedi.inference", "jedi.third_party"),
    "IPython": ("IPython.external", "IPython.sphinxext"),
    "streamlit": ("streamlit.proto", "streamlit.web", "streamlit.runtime", "streamlit.hello"),
    "torch": ("torch.fx.experimental", "torch.fx.passes", "torch.ao.ns", "torch.contrib"),
    "websockets": ("websockets.legacy",),
}  # fmt: skip


def read_collection(collection: str, progress: Progress | None = None) -> Iterator[RawDocument]:
    """The documents of one of ``COLLECTIONS``, package after package, in order of their names.

    Packages of the collection that are not installed are passed over. Raises UserError for an unknown name.
    """
    packages = _packages(collection)
    progress = progress or silent
    seen = _Seen()
    for done, package in enumerate(packages):
        progress(done, len(packages), package)
        found = [pair for tree in _trees(package) for pair in _documents(tree, collection)]
        # Of near-duplicates the one with the shortest name stays: numpy.mean, not numpy.ma.mean.
        found.sort(key=lambda pair: (pair[0].name.count("."), len(pair[0].name), pair[0].name))
        kept = [pair for pair in found if seen.is_new(pair[0].name, pair[1])]
        kept.sort(key=lambda pair: pair[0].name)
        for document, text in kept:
            yield RawDocument(
                doc_id=document.name,
                title=document.name,
                text=text,
                url=documentation_url(document, stdlib=package == STDLIB),
                categories=_categories(document, stdlib=package == STDLIB),
            )
    progress(len(packages), len(packages), "")


def versions(collection: str) -> dict[str, str]:
    """Distribution -> version of all that a collection is read from: what its content depends on."""
    packages = _packages(collection)
    distributions = importlib.metadata.packages_distributions()
    found = {STDLIB: sys.version.split()[0]} if STDLIB in packages else {}
    for package in packages:
        for distribution in sorted(set(distributions.get(package, ()))):
            found[distribution] = importlib.metadata.version(distribution)
    return found


def _packages(collection: str) -> tuple[str, ...]:
    if collection not in COLLECTIONS:
        raise UserError(
            f"There is no documentation collection {collection!r}; there are {' and '.join(COLLECTIONS)}."
        )
    return COLLECTIONS[collection]


def _trees(package: str) -> Iterator[SourceTree]:
    if package != STDLIB:
        if path := _find(package):
            yield SourceTree(package, path, _SKIP.get(package, ()))
        return
    root = Path(sysconfig.get_path("stdlib"))
    for name in sorted(sys.stdlib_module_names):
        folder, file = root / name, root / f"{name}.py"
        if name.startswith("_") or name in NOT_PUBLIC:
            continue
        if folder.is_dir() or file.is_file():
            yield SourceTree(name, folder if folder.is_dir() else file)


def _find(package: str) -> Path | None:
    """The folder of a top-level package. Asking for its place does not run it."""
    spec = importlib.util.find_spec(package)
    if spec is None or spec.origin is None:
        return None
    origin = Path(spec.origin)
    return origin.parent if origin.name.startswith("__init__.") else origin


def _documents(tree: SourceTree, collection: str) -> Iterator[tuple[PublicDocument, str]]:
    """Public objects of a package with prose long enough to mean something, each name once."""
    taken: set[str] = set()
    for document in (*added_documents(tree), *tree.public_documents()):
        if document.name in taken or any(part.startswith("_") for part in document.name.split(".")):
            continue
        text = _shortened(prose(document.doc))
        words = re.findall(r"[^\W\d_]{2,}", text)
        if _WRAPPER.match(text):
            continue
        if len(text) >= MIN_CHARACTERS[collection] and len(words) >= MIN_WORDS[collection]:
            taken.add(document.name)
            yield document, text


def _shortened(text: str) -> str:
    if len(text) <= MAX_CHARACTERS:
        return text
    head = text[:MAX_CHARACTERS]
    return head[: head.rfind("\n\n")] if "\n\n" in head[500:] else head[: head.rfind(" ")]


def _categories(document: PublicDocument, stdlib: bool) -> list[str]:
    """Package and module, such as sklearn and sklearn.cluster.

    What a package offers at its top goes under its class (a method) or the module that it is written in.
    """
    parts = document.name.split(".")
    package = STDLIB if stdlib else parts[0]
    n_own = {"module": 0, "class": 1, "function": 1, "method": 2}[document.kind]
    module = parts[: len(parts) - n_own] or parts[:1]
    if len(module) == 1 and document.kind == "method":
        module = parts[:-1]
    elif len(module) == 1:
        written = document.written_in.split(".")
        hidden = (i for i, p in enumerate(written) if p.startswith("_") or p in NOT_PUBLIC or p == "lib")
        module = written[: next(hidden, len(written))] or module
    name = ".".join(module[:3])
    return [package] if name == package else [package, name]


class _Seen:
    """Recognises near-duplicates: texts that begin alike and share almost all their words, names left out."""

    def __init__(self, begin: int = 5, alike: float = 0.85) -> None:
        self._begin = begin
        self._alike = alike
        self._texts: set[str] = set()
        self._by_beginning: dict[tuple[str, ...], list[frozenset[str]]] = {}

    def is_new(self, name: str, text: str) -> bool:
        own = set(re.findall(r"[a-z]+|\d+", name.lower()))
        words = [w for w in re.findall(r"[a-z]+|\d+", text.lower()) if w not in own]
        block = self._by_beginning.setdefault(tuple(words[: self._begin]), [])
        bag = frozenset(words)
        if text in self._texts or any(len(bag & other) >= self._alike * len(bag | other) for other in block):
            return False
        self._texts.add(text)
        block.append(bag)
        return True
