"""Where the official documentation of a public name is, for packages that arrange theirs predictably."""

import sys

from build.corpora.source_tree import PublicDocument

_GENERATED = {
    "numpy": "https://numpy.org/doc/stable/reference/generated/{page}.html",
    "scipy": "https://docs.scipy.org/doc/scipy/reference/generated/{page}.html",
    "pandas": "https://pandas.pydata.org/docs/reference/api/{page}.html",
    "sklearn": "https://scikit-learn.org/stable/modules/generated/{page}.html",
    "torch": "https://docs.pytorch.org/docs/stable/generated/{page}.html",
    "pyarrow": "https://arrow.apache.org/docs/python/generated/{page}.html",
}
_METHOD_PAGES = (
    "numpy",
    "pandas",
    "scipy",
)  # a page for each method; elsewhere an anchor on the class's page
_MODULE_PAGES = {
    "numpy": "https://numpy.org/doc/stable/reference/routines.html",
    "scipy": "https://docs.scipy.org/doc/scipy/reference/{tail}.html",
    "pandas": "https://pandas.pydata.org/docs/reference/index.html",
    "sklearn": "https://scikit-learn.org/stable/api/{page}.html",
    "torch": "https://docs.pytorch.org/docs/stable/{tail}.html",
    "pyarrow": "https://arrow.apache.org/docs/python/api.html",
}
_TORCH_PARTS = frozenset(
    (
        "Tensor",
        "nn",
        "linalg",
        "fft",
        "special",
        "optim",
        "autograd",
        "cuda",
        "func",
        "jit",
        "sparse",
        "signal",
    )
)
_NETWORKX = "https://networkx.org/documentation/stable/reference/"
_STDLIB = "https://docs.python.org/{version}/library/{page}.html"
_SUBMODULES = """
    collections.abc concurrent.futures curses.ascii curses.panel curses.textpad email.charset
    email.contentmanager email.encoders email.errors email.generator email.header email.headerregistry
    email.message email.mime email.parser email.policy email.utils html.entities html.parser http.client
    http.cookiejar http.cookies http.server importlib.metadata importlib.resources importlib.resources.abc
    logging.config logging.handlers multiprocessing.shared_memory os.path tkinter.colorchooser tkinter.dnd
    tkinter.font tkinter.messagebox tkinter.scrolledtext tkinter.tix tkinter.ttk unittest.mock urllib.error
    urllib.parse urllib.request urllib.robotparser wsgiref xml.dom xml.dom.minidom xml.dom.pulldom
    xml.etree.ElementTree xml.sax xml.sax.handler xml.sax.saxutils xmlrpc.client xmlrpc.server
"""
_STDLIB_SUBMODULE_PAGES = frozenset(_SUBMODULES.split())


def documentation_url(document: PublicDocument, stdlib: bool = False) -> str:
    """The page of a public object, with an anchor where it shares the page; empty where unpredictable."""
    name = document.name
    package = name.split(".")[0]
    if stdlib:
        return _stdlib_url(document)
    if package == "networkx":
        return _networkx_url(document)
    if package not in _GENERATED or not _has_page(name.split(".")):
        return ""
    if document.kind == "module":
        return _MODULE_PAGES[package].format(page=name, tail=name.partition(".")[2] or "index")
    has_own_page = document.kind != "method" or package in _METHOD_PAGES or name.startswith("torch.Tensor.")
    page = name if has_own_page else name.rpartition(".")[0]
    return _GENERATED[package].format(page=page) + ("" if has_own_page else f"#{name}")


def _has_page(parts: list[str]) -> bool:
    """Whether the reference of a package in ``_GENERATED`` shows such a name at its own path."""
    package, *rest = parts
    first = rest[0] if rest else ""
    if package == "torch":
        return len(rest) < 2 or first in _TORCH_PARTS
    if package == "pandas":
        return first not in ("io", "core", "tseries") and "indexers" not in rest
    if package == "pyarrow":
        return first not in ("lib", "interchange", "jvm", "gandiva")
    # numpy.polynomial's classes have their pages under the module of their family.
    return not (package == "numpy" and first == "polynomial" and len(rest) > 1 and rest[1][0].isupper())


def _stdlib_url(document: PublicDocument) -> str:
    module = document.written_in
    top = module.split(".")[0]
    page = next((m for m in (module, module.rpartition(".")[0]) if m in _STDLIB_SUBMODULE_PAGES), top)
    version = f"{sys.version_info.major}.{sys.version_info.minor}"
    url = _STDLIB.format(version=version, page=page.lower())
    # Only a name under its page's module is sure to have an anchor there.
    is_anchored = document.kind != "module" and document.name.startswith(page + ".") and top != "asyncio"
    return f"{url}#{document.name}" if is_anchored else url


def _networkx_url(document: PublicDocument) -> str:
    # Its pages carry the name of the module in which a function is written.
    parts = document.written_in.split(".")
    own = document.name.split(".")[-1]
    if document.kind == "function" and len(parts) > 2:
        folder = {
            "algorithms": "algorithms/generated/",
            "generators": "generated/",
            "linalg": "generated/",
            "drawing": "generated/",
            "readwrite": "readwrite/generated/",
            "classes": "generated/" if parts[-1] == "function" else None,
        }.get(parts[1])
        return f"{_NETWORKX}{folder}{document.written_in}.{own}.html" if folder else ""
    if document.kind == "method" and document.name.split(".")[1] in (
        "Graph", "DiGraph", "MultiGraph", "MultiDiGraph"
    ):  # fmt: skip
        return f"{_NETWORKX}classes/generated/{document.name}.html"
    return ""
