"""Who may import whom, held by machine: the core stands alone, the server knows nothing of the builders."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
HEAVY = ("torch", "scipy", "sklearn", "openai", "numba", "transformers")
RULES = {
    "sae": (("build", "dashboard"), "the numeric core must be usable from a notebook without either"),
    "build": (("dashboard",), "a build must run on a machine that serves nothing"),
    "dashboard": (
        ("build", *HEAVY),
        "the server reads artifacts only: importing builders would cost its memory",
    ),
}


def imported(path: Path) -> set[str]:
    """Top-level names of every module that a file imports anywhere, functions included."""
    names: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names |= {alias.name.split(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module and node.level == 0:
            names.add(node.module.split(".")[0])
    return names


@pytest.mark.parametrize("package", RULES)
def test_direction_of_imports(package: str) -> None:
    forbidden, why = RULES[package]
    files = list((ROOT / package).rglob("*.py"))
    assert files
    for path in files:
        wrong = imported(path) & set(forbidden)
        assert not wrong, f"{path.relative_to(ROOT)} imports {sorted(wrong)}: {why}"


def test_the_server_loads_nothing_heavy() -> None:
    modules = [
        ".".join(path.relative_to(ROOT).with_suffix("").parts)
        for path in (ROOT / "dashboard").rglob("*.py")
        if path.parent.name != "views" and path.stem not in ("Home", "__init__")
    ]
    code = (
        f"import sys, importlib\nfor name in {modules!r}: importlib.import_module(name)\n"
        f"print([name for name in {HEAVY!r} if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip().splitlines()[-1] == "[]", f"importing {modules} loads {done.stdout}"


def test_importing_the_store_does_not_load_torch() -> None:
    code = "import sys, sae.store, sae.encode; print('torch' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True)
    assert done.stdout.strip() == "False", done.stderr
