"""Documentation that a package attaches to compiled functions when it is imported, read from the calls' text.

numpy and scipy call ``add_newdoc(place, name, text)``, torch ``add_docstr(function, text)``; the texts are
literals in files of their own.
"""

import ast
from collections.abc import Iterator
from pathlib import Path

from build.corpora.source_tree import PublicDocument, SourceTree, literal_text

_TORCH_MODULES = (
    "nn.functional",
    "functional",
    "linalg",
    "fft",
    "special",
    "sparse",
    "nested",
    "signal.windows",
)


def added_documents(tree: SourceTree) -> Iterator[PublicDocument]:
    """Documents of compiled objects of numpy, scipy and torch; none for other packages."""
    if tree.name == "numpy":
        offered = tree.load("numpy")
        for call, _ in _calls(tree.path / "_core" / "_add_newdocs.py", "add_newdoc"):
            if len(call.args) == 3 and (name := literal_text(call.args[1])):
                if offered is None or name not in offered.imports:
                    continue
                yield from _of_object(f"numpy.{name}", call.args[2])
    elif tree.name == "scipy":
        for call, _ in _calls(tree.path / "special" / "_add_newdocs.py", "add_newdoc"):
            if len(call.args) == 2 and (name := literal_text(call.args[0])) and not name.startswith("_"):
                yield from _of_object(f"scipy.special.{name}", call.args[1])
    elif tree.name == "torch":
        for call, _ in _calls(tree.path / "_torch_docs.py", "add_docstr"):
            name = ast.unparse(call.args[0])
            if name.startswith("torch."):
                yield from _of_object(name, call.args[1])
        for call, _ in _calls(tree.path / "_tensor_docs.py", "add_docstr_all"):
            yield from _of_object(f"torch.Tensor.{literal_text(call.args[0])}", call.args[1])
        for module in _TORCH_MODULES:
            base = tree.path.joinpath(*module.split("."))
            for file in (base / "__init__.py", base.with_suffix(".py")):
                for call, target in _calls(file, "_add_docstr") if file.is_file() else ():
                    if target:
                        yield from _of_object(f"torch.{module}.{target}", call.args[1])


def _calls(file: Path, function: str) -> Iterator[tuple[ast.Call, str]]:
    """Calls of a function that are statements of the file: (call, name that its result is assigned to)."""
    if not file.is_file():
        return
    for node in ast.parse(file.read_text(encoding="utf-8", errors="replace")).body:
        value = node.value if isinstance(node, ast.Expr | ast.Assign) else None
        if isinstance(value, ast.Call) and isinstance(value.func, ast.Name) and value.func.id == function:
            target = node.targets[0] if isinstance(node, ast.Assign) else None
            yield value, target.id if isinstance(target, ast.Name) else ""


def _of_object(name: str, value: ast.expr) -> Iterator[PublicDocument]:
    """The documents in the last argument: a text, or (method, text), or a list of those."""
    if isinstance(value, ast.List):
        for entry in value.elts:
            yield from _of_object(name, entry)
        return
    kind = "function"
    if isinstance(value, ast.Tuple) and len(value.elts) == 2:
        kind, name, value = "method", f"{name}.{literal_text(value.elts[0])}", value.elts[1]
    if name.split(".")[-1].startswith("_") or not (doc := literal_text(value)):
        return
    if kind == "function" and len(parts := name.split(".")) > 2 and parts[-2][0].isupper():
        kind = "method"
    yield PublicDocument(name, name.rpartition(".")[0], kind, doc)
