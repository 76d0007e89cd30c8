"""Names and documentation strings of an installed package, read from its files: nothing is imported or run.

A package documents an object where it is written (``sklearn.cluster._dbscan.DBSCAN``) but shows it to users
where it is re-exported (``sklearn.cluster.DBSCAN``). ``SourceTree.public_documents`` follows the import
statements as text and yields every public object once, under its shortest public name.
"""

import ast
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

from build.corpora.cython_source import read_cython

_NOT_PUBLIC = """
    tests test testing testutils conftest setup vendor vendored externals extern conf idlelib lib2to3
    distutils ensurepip turtledemo antigravity this pydoc_data msilib site-packages compat benchmarks core
    encodings
"""
NOT_PUBLIC = frozenset(_NOT_PUBLIC.split())
_MAX_CHAIN = 12  # re-exports of re-exports that are followed


@dataclass
class Definition:
    """A function or class as written: its own name inside its module (``Class.method``) and raw docstring."""

    module: str
    name: str
    doc: str
    bases: list[str] = field(default_factory=list)  # of a class, dotted as written


@dataclass
class Module:
    """What one file says about names."""

    name: str
    is_package: bool
    doc: str = ""
    definitions: dict[str, Definition] = field(default_factory=dict)
    imports: dict[str, tuple[str, str]] = field(default_factory=dict)  # local name -> (module, name or "")
    stars: list[str] = field(default_factory=list)  # modules of `from … import *`
    listed: list[str] | None = None  # __all__ where it is a plain list
    gathers: bool = False  # __all__ is put together when the module runs: what it imports counts too


@dataclass(frozen=True)
class PublicDocument:
    """One documented public object."""

    name: str  # shortest public name, such as sklearn.cluster.DBSCAN
    written_in: str  # module of the definition, such as sklearn.cluster._dbscan
    kind: str  # "module", "class", "function" or "method"
    doc: str  # raw documentation string


class SourceTree:
    """The source files of one top-level package (or of a single-file module).

    ``skip`` names dotted subpackages whose files are not looked at, beside tests and vendored code.
    """

    def __init__(self, name: str, path: Path, skip: Iterable[str] = ()) -> None:
        self.name = name
        self.path = path
        self._skip = tuple(skip)
        self.load = cache(self._load)

    def public_documents(self) -> Iterator[PublicDocument]:
        """Every documented public module, class, function and method once, in order of their names."""
        modules = [module for name in self._public_modules() if (module := self.load(name))]
        names: dict[tuple[str, str], str] = {}  # (module, name of the definition) -> shortest public name
        for module in modules:
            for exported in self._exports(module):
                if found := self._resolve(module.name, exported):
                    _keep_shorter(names, (found.module, found.name), f"{module.name}.{exported}")
        for key, name in list(names.items()):
            for owner in self._with_hidden_bases(key, names):
                for method in self._methods(owner):
                    _keep_shorter(names, (method.module, method.name), f"{name}.{method.name.split('.')[-1]}")
        found_documents = [PublicDocument(m.name, m.name, "module", m.doc) for m in modules if m.doc]
        for (module_name, written), name in names.items():
            definition = self.load(module_name).definitions[written]  # type: ignore[union-attr]
            is_class = definition.bases or written in self._class_names(module_name)
            kind = "method" if "." in written else "class" if is_class else "function"
            if definition.doc:
                found_documents.append(PublicDocument(name, module_name, kind, definition.doc))
        yield from sorted(found_documents, key=lambda d: (d.name, d.written_in))

    def _class_names(self, module: str) -> set[str]:
        loaded = self.load(module)
        return {n.split(".")[0] for n in loaded.definitions if "." in n} if loaded else set()

    def _public_modules(self) -> Iterator[str]:
        if self.path.is_file():
            yield self.name
            return
        for file in sorted([*self.path.rglob("*.py"), *self.path.glob("*.pyx")]):
            parts = file.relative_to(self.path).with_suffix("").parts
            parts = parts[:-1] if parts[-1] == "__init__" else parts
            name = ".".join((self.name, *parts))
            skipped = any(name == s or name.startswith(s + ".") for s in self._skip)
            if not skipped and not any(p.startswith("_") or p in NOT_PUBLIC for p in parts):
                yield name

    def _file(self, name: str) -> Path | None:
        if self.path.is_file():
            return self.path if name == self.name else None
        base = self.path.joinpath(*name.split(".")[1:])
        candidates = [
            base / "__init__.py",
            base.with_name(base.name + ".py"),
            base.with_name(base.name + ".pyx"),
        ]
        return next((c for c in candidates if c.is_file()), None)

    def _load(self, name: str) -> Module | None:
        if name.split(".")[0] != self.name or (file := self._file(name)) is None:
            return None
        module = Module(name, file.name == "__init__.py")
        if file.suffix == ".pyx":
            for written, doc, bases in read_cython(file):
                module.definitions.setdefault(written, Definition(name, written, doc, bases))
            return module
        try:
            tree = ast.parse(file.read_text(encoding="utf-8", errors="replace"))
        except (SyntaxError, ValueError, RecursionError):
            return None  # templates and files for another Python: not ours to judge
        module.doc = ast.get_docstring(tree, clean=False) or ""
        _read_statements(tree.body, module)
        return module

    def _exports(self, module: Module, depth: int = 0) -> list[str]:
        """Names that a module offers: its __all__, or what it defines and (a package) imports from itself."""
        if module.listed is not None:
            return [name for name in module.listed if not name.startswith("_")]
        names = {name for name in module.definitions if "." not in name}
        if module.is_package or module.gathers:
            inside = self.name + "."
            names |= {n for n, (source, _) in module.imports.items() if (source + ".").startswith(inside)}
            for star in module.stars:
                if (loaded := self.load(star)) and depth < _MAX_CHAIN:
                    names |= set(self._exports(loaded, depth + 1))
        return sorted(name for name in names if not name.startswith("_"))

    def _resolve(self, module_name: str, name: str, depth: int = 0) -> Definition | None:
        """The definition behind a name of a module, through imports and star imports inside the package."""
        module = self.load(module_name)
        if module is None or depth > _MAX_CHAIN:
            return None
        if name in module.definitions:
            return module.definitions[name]
        if name in module.imports:
            source, original = module.imports[name]
            return self._resolve(source, original, depth + 1) if original else None
        for star in module.stars:
            loaded = self.load(star)
            if loaded and loaded.listed is not None and name not in loaded.listed:
                continue  # a star brings only what __all__ lists
            if found := self._resolve(star, name, depth + 1):
                return found
        return None

    def _with_hidden_bases(
        self, key: tuple[str, str], names: dict[tuple[str, str], str], depth: int = 0
    ) -> Iterator[Definition]:
        """A class, and those of its bases that users never see under a name of their own."""
        definition = self.load(key[0]).definitions[key[1]]  # type: ignore[union-attr]
        yield definition
        for base in definition.bases if depth < _MAX_CHAIN else ():
            found = self._resolve(definition.module, base)
            if found is None or (found.module, found.name) == key:
                continue
            own_name = names.get((found.module, found.name))
            if own_name is None or (own_name.count(".") > 2 and own_name.endswith("Mixin")):
                yield from self._with_hidden_bases((found.module, found.name), names, depth + 1)

    def _methods(self, owner: Definition) -> Iterator[Definition]:
        prefix = owner.name + "."
        for name, definition in self.load(owner.module).definitions.items():  # type: ignore[union-attr]
            rest = name.removeprefix(prefix)
            if name.startswith(prefix) and "." not in rest and not rest.startswith("_"):
                yield definition


def _keep_shorter(names: dict[tuple[str, str], str], key: tuple[str, str], name: str) -> None:
    known = names.get(key)
    if known is None or (name.count("."), len(name), name) < (known.count("."), len(known), known):
        names[key] = name


def _read_statements(body: list[ast.stmt], module: Module, owner: str = "") -> None:
    for node in body:
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            name = owner + node.name
            bases = [ast.unparse(b) for b in node.bases] if isinstance(node, ast.ClassDef) else []
            doc = ast.get_docstring(node, clean=False) or ""
            known = module.definitions.get(name)
            if known is None or (doc and not known.doc):
                module.definitions[name] = Definition(
                    module.name, name, doc, [b for b in bases if b != "object"]
                )
            if isinstance(node, ast.ClassDef) and owner.count(".") == 0:
                _read_statements(node.body, module, name + ".")
        elif isinstance(node, ast.If):
            _read_statements([*node.body, *node.orelse], module, owner)
        elif isinstance(node, ast.Try):
            handlers = [s for handler in node.handlers for s in handler.body]
            _read_statements([*node.body, *handlers, *node.orelse], module, owner)
        elif isinstance(node, ast.With):
            _read_statements(node.body, module, owner)
        elif not owner:
            _read_imports(node, module)


def _read_imports(node: ast.stmt, module: Module) -> None:
    if isinstance(node, ast.ImportFrom):
        source = _absolute(node.module or "", node.level, module)
        for alias in node.names:
            if alias.name == "*":
                module.stars.append(source)
            else:
                module.imports[alias.asname or alias.name] = (source, alias.name)
    elif isinstance(node, ast.Assign | ast.AnnAssign):
        target = node.targets[0] if isinstance(node, ast.Assign) else node.target
        if isinstance(target, ast.Name) and target.id == "__all__":
            module.listed = _literal_names(node.value)
            module.gathers = module.listed is None
        elif isinstance(target, ast.Attribute) and target.attr == "__doc__":
            owner = module.definitions.get(ast.unparse(target.value))
            if owner and node.value:
                owner.doc = literal_text(node.value) or owner.doc
        elif isinstance(target, ast.Name) and _is_distribution(target.id, node.value):
            module.imports[target.id] = (module.name, target.id + "_gen")
    elif isinstance(node, ast.AugAssign | ast.Expr) and re.match(r"__all__\b", ast.unparse(node)):
        more = _literal_names(node.value) if isinstance(node, ast.AugAssign) else None
        module.listed = module.listed + more if module.listed is not None and more is not None else None
        module.gathers = module.listed is None


def _literal_names(value: ast.expr | None) -> list[str] | None:
    """The strings of a literal list; None when anything else takes part."""
    if not isinstance(value, ast.List | ast.Tuple):
        return None
    entries = [e.value for e in value.elts if isinstance(e, ast.Constant)]
    names = [e for e in entries if isinstance(e, str)]
    return names if len(names) == len(value.elts) else None


def _is_distribution(name: str, value: ast.expr | None) -> bool:
    """``alpha = alpha_gen(…)``: how scipy.stats makes its distributions."""
    return isinstance(value, ast.Call) and isinstance(value.func, ast.Name) and value.func.id == name + "_gen"


def literal_text(value: ast.expr) -> str:
    """A string put together from literals; what is filled in when the package runs is left out."""
    if isinstance(value, ast.Constant):
        return value.value if isinstance(value.value, str) else ""
    if isinstance(value, ast.BinOp) and isinstance(value.op, ast.Add):
        return literal_text(value.left) + literal_text(value.right)
    if isinstance(value, ast.Call) and isinstance(value.func, ast.Attribute):  # "…".format(…), "…".replace(…)
        return literal_text(value.func.value)
    if isinstance(value, ast.JoinedStr):
        return "".join(literal_text(part) for part in value.values)
    return ""


def _absolute(name: str, level: int, module: Module) -> str:
    if not level:
        return name
    parts = module.name.split(".")
    parts = parts[: len(parts) - level + (1 if module.is_package else 0)]
    return ".".join([*parts, name] if name else parts)
