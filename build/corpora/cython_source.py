"""Documentation strings of Cython files, which wheels carry as text and ``ast`` cannot read."""

import re
from collections.abc import Iterator
from pathlib import Path

_HEAD = re.compile(r"^( *)(?:cdef |cpdef )?(class|def) +(\w+)(.*)$")
_DOC = re.compile(r'\s*[ru]?"""(.*?)"""', re.DOTALL)
_INCLUDE = re.compile(r'^include "([\w.-]+)"', re.MULTILINE)


def read_cython(file: Path) -> Iterator[tuple[str, str, list[str]]]:
    """Classes, functions and methods of a .pyx file and of what it includes: (name, raw docstring, bases)."""
    text = file.read_text(encoding="utf-8", errors="replace")
    yield from _read(text)
    for name in _INCLUDE.findall(text):
        included = file.with_name(name)
        if included.is_file():
            yield from _read(included.read_text(encoding="utf-8", errors="replace"))


def _read(text: str) -> Iterator[tuple[str, str, list[str]]]:
    owner = ""
    position = 0
    for line in text.splitlines(keepends=True):
        position += len(line)
        head = _HEAD.match(line)
        if head is None or len(head[1]) not in (0, 4):
            continue
        if head[2] == "class" and not head[1]:
            owner = head[3]
            bases = re.findall(r"[\w.]+", head[4].partition("(")[2].partition(")")[0])
            yield owner, _docstring(text, position - len(line)), bases
        elif head[2] == "def":
            owner = owner if head[1] else ""
            name = f"{owner}.{head[3]}" if owner else head[3]
            if owner or not head[1]:
                yield name, _docstring(text, position - len(line)), []


def _docstring(text: str, start: int) -> str:
    """The string that follows the head which begins at ``start``: after the colon outside all brackets."""
    depth = 0
    for end in range(start, min(start + 4000, len(text))):
        character = text[end]
        depth += (character in "([{") - (character in ")]}")
        if character == ":" and depth == 0:
            found = _DOC.match(text, end + 1)
            return found[1] if found else ""
    return ""
