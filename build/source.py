"""Which source files decide a stage's result: its module and everything of ours that it imports, in turn."""

import ast
import hashlib
from functools import cache
from pathlib import Path

ROOT = Path(__file__).parent.parent
_OURS = ("sae", "build")


def source_hash(module: str) -> str:
    """A hash of the text of every file of the project that ``module`` needs, at its top or inside a function."""
    digest = hashlib.sha256()
    for path in sorted(needed(module)):
        digest.update(path.relative_to(ROOT).as_posix().encode())
        digest.update(path.read_bytes())
    return digest.hexdigest()


@cache
def needed(module: str) -> frozenset[Path]:
    """The files behind a module name such as ``build.train``, itself included."""
    found: set[Path] = set()
    waiting = [path for path in [_file(module)] if path]
    while waiting:
        path = waiting.pop()
        if path not in found:
            found.add(path)
            waiting += _imports(path)
    return frozenset(found)


@cache
def _imports(path: Path) -> tuple[Path, ...]:
    names: list[str] = []
    for node in ast.walk(ast.parse(path.read_bytes())):
        if isinstance(node, ast.Import):
            names += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.module:
            names += [node.module, *(f"{node.module}.{alias.name}" for alias in node.names)]
    return tuple(file for name in names if (file := _file(name)))


def _file(module: str) -> Path | None:
    if module.split(".")[0] not in _OURS:
        return None
    place = ROOT.joinpath(*module.split("."))
    for candidate in (place.with_suffix(".py"), place / "__init__.py"):
        if candidate.is_file():
            return candidate
    return None
