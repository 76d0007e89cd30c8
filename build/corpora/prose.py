"""A documentation string as plain prose: summary, description and notes, without tables, code and markup."""

import inspect
import re
from collections.abc import Iterator

_CUT = """
    parameters, params, parameter, arguments, args, argument, keyword args, keyword arguments,
    kwargs, other parameters, other arguments, optional arguments, required arguments, keyword
    parameters, extra parameters, common arguments, type parameters, returns, return, yields, yield,
    receives, raises, raise, exceptions, exception, warns, attributes, class attributes, methods,
    class methods, public methods, fields, instance variables, variables, properties, options,
    constants, default, defaults, see also, links, references, reference, bibliography, examples,
    example, example usage, sample usage, quick examples, usage, basic usage, shape, shapes, inputs,
    input, outputs, output, call signature, call signatures, todo, copyright, license, authors,
    author, changelog, history, contents, routine listings, autosummary
"""
_CUT_SECTIONS = frozenset(name.strip() for name in _CUT.split(","))
_KEPT_SECTIONS = frozenset(
    ("notes", "note", "description", "details", "overview", "algorithm", "summary", "warnings", "warning")
)

_UNDERLINE = re.compile(r"^\s*([-=~^\"'*+#])\1{2,}\s*$")
_COLON_HEADING = re.compile(r"^(\s*)(?:\*\*)?([A-Za-z][A-Za-z ]{2,24}?)(?:\*\*)?\s*::?(?:\*\*)?\s*$")
_PLAIN_HEADING = re.compile(r"[a-z][a-z '()/&-]{2,60}$")  # output of examples has underlined lines too
_MARKDOWN_HEADING = re.compile(r"^\s*#{1,6}\s+(.+?)\s*#*$")
_FIELD = re.compile(
    r"^\s*[:@](?:param|parameter|type|arg|argument|returns?|rtype|raise[sd]?|key|keyword|var|ivar|cvar|vartype|"
    r"throws|meta|since|version|yields?|copyright|license|author)\b",
    re.IGNORECASE,
)
_DIRECTIVE = re.compile(r"^(\s*)\.\.\s+(?:(\w[\w:-]*)\s*::|[_\[|])(.*)$")
_SPOKEN_DIRECTIVES = frozenset(
    {"note", "warning", "tip", "important", "caution", "attention", "admonition", "hint"}
)
_TABLE = re.compile(r"^\s*(?:[|+][-=+|]{3,}|\|.*\|\s*$|={3,}(?:\s+={3,})+\s*$|-{3,}(?:\s+-{3,})+\s*$)")
_FENCE = re.compile(r"^\s*(```|~~~)")
_BULLET = re.compile(r"^\s*(?:[-*+•]|\d+[.)]|\(\w\))\s+")
_SIGNATURE = re.compile(r"^[\w.]+\s*\(.*\)?\s*(?:->.*)?$|^[\w.]+\([^)]*$")

_INLINE = [
    (re.compile(r"(?:!!! \w+|\?\?\? \w+|> \[!\w+\])\s*(?:\"[^\"]*\")?"), ""),
    (re.compile(r"\[`([^`\]]+)`\]"), r"\1"),
    (re.compile(r"%\(\w+\)[sd]"), ""),
    (re.compile(r"!\[[^\]]*\]\([^)]*\)"), ""),
    (re.compile(r"\[([^\]\n]+)\]\((?:https?:|#|\.|/)[^)\s]*\)"), r"\1"),
    (re.compile(r"\[([^\]\n]+)\]\[[\w. -]*\]"), r"\1"),
    (re.compile(r":[\w:+-]+:`~[\w.]*?(\w+)`"), r"\1"),
    (re.compile(r":[\w:+-]+:`!?([^`<]+?)\s*<[^>`]*>`"), r"\1"),
    (re.compile(r":[\w:+-]+:`[!.]?([^`]*)`"), r"\1"),
    (re.compile(r"`([^`<\n]+?)\s*<[^>`]*>`__?"), r"\1"),
    (re.compile(r"``([^`]*)``"), r"\1"),
    (re.compile(r"`~?([^`]*)`_{0,2}"), r"\1"),
    (re.compile(r"\s*\[[\w#+.-]+\]_"), ""),
    (re.compile(r"\|(\w[\w ]*)\|"), r"\1"),
    (re.compile(r"\*\*([^\s*][^*\n]*)\*\*"), r"\1"),
    (re.compile(r"(?<![\w*])\*([^\s*][^*\n]*)\*(?![\w*])"), r"\1"),
    (re.compile(r"\\ "), ""),
    (re.compile(r"</?[a-z]\w*(?: [^<>\n]*)?/?>"), ""),
    (re.compile(r"\{\{(.*?)\}\}"), r"\1"),
    (re.compile(r"(?<![\w{])\{\w+\}(?!\w)"), ""),
    (re.compile(r"<?https?://\S+"), ""),
    (re.compile(r"\(\s*\)(?=[\s.,;]|$)(?<!\w\(\))"), ""),
]


def prose(docstring: str) -> str:
    """The readable part of a documentation string in numpydoc, Google, Sphinx or Markdown style.

    Kept are summary, description, notes and warnings; cut are signatures, parameters, results, errors,
    attributes, examples, references, tables, code and formulas set apart. Paragraphs are single lines,
    separated by blank lines.
    """
    lines = inspect.cleandoc(docstring.replace("\t", "    ")).splitlines()
    paragraphs: list[str] = []
    current: list[str] = []
    for line in [*_spoken_lines(_without_signature(lines)), ""]:
        starts_item = bool(_BULLET.match(line))
        if (not line.strip() or starts_item) and current:
            paragraphs.append(_inline(" ".join(current)))
            current = []
        if line.strip():
            current.append(_BULLET.sub("- ", line).strip() if starts_item else line.strip())
    return "\n\n".join(p for p in paragraphs if re.search(r"[^\W\d_]{2}", p))


def _inline(text: str) -> str:
    for pattern, replacement in _INLINE:
        text = pattern.sub(replacement, text)
    text = re.sub(r"\s+([.,;:)])(?=\s|$)", r"\1", " ".join(text.split()))
    return text.replace("Read more in the User Guide.", "").strip()


def _without_signature(lines: list[str]) -> list[str]:
    """Drop leading lines such as ``dot(a, b, out=None)``, ``abs(input) -> Tensor``, and longer ones."""
    start = 0
    while start < len(lines):
        line = lines[start].strip()
        if line and line != "--" and not _SIGNATURE.match(line):
            break
        depth = line.count("(") - line.count(")")
        while depth > 0 and start + 1 < len(lines):
            start += 1
            depth += lines[start].count("(") - lines[start].count(")")
        start += 1
    return lines[start:]


def _indent(line: str) -> int:
    return len(line) - len(line.lstrip())


def _heading(lines: list[str], i: int) -> tuple[str, int] | None:
    """A section's name at line ``i`` and how many lines its heading takes."""
    line = lines[i]
    after = lines[i + 1] if i + 1 < len(lines) else ""
    if line.strip() and _UNDERLINE.match(after) and len(after.strip()) >= min(4, len(line.strip())):
        return line.strip().strip("*:").lower(), 2
    if _UNDERLINE.match(line) and i + 2 < len(lines) and _UNDERLINE.match(lines[i + 2]):
        return after.strip().lower(), 3
    if match := _MARKDOWN_HEADING.match(line):
        return match[1].strip("*:` ").lower(), 1
    if (match := _COLON_HEADING.match(line)) and (
        match[2].lower() in _CUT_SECTIONS or match[2].lower() in _KEPT_SECTIONS
    ):
        return match[2].lower(), 1
    return None


def _spoken_lines(lines: list[str]) -> Iterator[str]:
    """The lines that are prose, with code, tables, directives and unwanted sections left out."""
    i = 0
    cut_at: int | None = None  # indent of the heading of the section that is being left out
    while i < len(lines):
        line = lines[i]
        heading = _heading(lines, i)
        if heading and (cut_at is None or _PLAIN_HEADING.match(heading[0])):
            name, taken = heading
            cut_at = _indent(line) if name in _CUT_SECTIONS else None
            # "Returns:" of Google style ends where the indent does, an underlined one at the next heading.
            underlined = taken > 1 or bool(_MARKDOWN_HEADING.match(line))
            i += taken
            if cut_at is not None and not underlined:
                i = _skip_block(lines, i, cut_at)
                cut_at = None
            yield ""
        elif cut_at is not None:
            i += 1
        elif _FENCE.match(line):
            i += 1
            while i < len(lines) and not _FENCE.match(lines[i]):
                i += 1
            i += 1
            yield ""
        elif line.lstrip().startswith((">>>", "$ ", "In [", "%timeit")):
            while i < len(lines) and lines[i].strip():
                i += 1
            yield ""
        elif _FIELD.match(line) or (re.match(r"\s*\.\.(?:\s|$)", line) and not _DIRECTIVE.match(line)):
            i = _skip_block(lines, i + 1, _indent(line))
            yield ""
        elif match := _DIRECTIVE.match(line):
            if match[2] and match[2].lower() in _SPOKEN_DIRECTIVES:
                i += 1
                yield ""
                yield match[3]
            else:
                i = _skip_block(lines, i + 1, _indent(line))
                yield ""
        elif _TABLE.match(line) or _UNDERLINE.match(line):
            while i < len(lines) and lines[i].strip():
                i += 1
            yield ""
        elif line.rstrip().endswith("::"):
            yield line.rstrip()[:-1] if line.strip() != "::" else ""
            yield ""
            i = _skip_block(lines, i + 1, _indent(line))
        else:
            yield line
            i += 1


def _skip_block(lines: list[str], i: int, indent: int) -> int:
    """The first line from ``i`` that is not blank and not deeper than ``indent``."""
    while i < len(lines) and (not lines[i].strip() or _indent(lines[i]) > indent):
        i += 1
    return i
