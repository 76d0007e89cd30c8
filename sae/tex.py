r"""Letters that a document's source wrote in TeX, as letters: ``Schr\"odinger`` → ``Schrödinger``.

arXiv keeps titles and abstracts in ASCII. The store keeps what the source wrote, which is what was embedded and is
checked against checksums; labels are made of these letters, and pages and their exports show them. Escaping comes
after it, as for all foreign text.
"""

import re
import unicodedata
from collections.abc import Mapping
from typing import Any

_MARKS = {
    "`": "\u0300", "'": "\u0301", "^": "\u0302", "~": "\u0303", "=": "\u0304", "u": "\u0306", ".": "\u0307",
    '"': "\u0308", "r": "\u030a", "H": "\u030b", "v": "\u030c", "d": "\u0323", "c": "\u0327", "k": "\u0328",
}  # fmt: skip
_LETTERS = {
    "AA": "Å", "aa": "å", "AE": "Æ", "ae": "æ", "OE": "Œ", "oe": "œ", "O": "Ø", "o": "ø", "L": "Ł", "l": "ł", "ss": "ß",
    "i": "ı", "j": "ȷ", "DH": "Ð", "dh": "ð", "TH": "Þ", "th": "þ", "DJ": "Đ", "dj": "đ", "NG": "Ŋ", "ng": "ŋ",
}  # fmt: skip
# arXiv writes typed Greek and a few signs as these, in braces.
_SIGNS = {
    "deg": "°", "pm": "±", "times": "×", "Gamma": "Γ", "Delta": "Δ", "Theta": "Θ", "Lambda": "Λ", "Xi": "Ξ", "Pi": "Π",
    "Sigma": "Σ", "Upsilon": "Υ", "Phi": "Φ", "Psi": "Ψ", "Omega": "Ω", "alpha": "α", "beta": "β", "gamma": "γ",
    "delta": "δ", "epsilon": "ε", "zeta": "ζ", "eta": "η", "theta": "θ", "iota": "ι", "kappa": "κ", "lambda": "λ",
    "mu": "μ", "nu": "ν", "xi": "ξ", "pi": "π", "rho": "ρ", "sigma": "σ", "tau": "τ", "upsilon": "υ", "phi": "φ",
    "chi": "χ", "psi": "ψ", "omega": "ω",
}  # fmt: skip


def _any_of(names: dict[str, str]) -> str:
    return "|".join(sorted(names, key=len, reverse=True))


_FORMULA = re.compile(r"(?<!\\)(\${1,2})(?:[^$\\]|\\.)+\1")
# A letter behind its mark, bare or in braces. What is bare may be an apostrophe of a quoted text: it\'s, you\'re.
_ACCENT = re.compile(
    r"(?<!\\)\\(?:"
    r"(['`^\"~=.urHvdck])\{\s?\\?([A-Za-z])\s?\}"
    r"|(['`^\"~=])(?!(?:s|m|ll|re)(?![A-Za-z]))(?:([A-Za-z])|\\([ij])(?![A-Za-z])\s?)"
    r")"
)
_LETTER = re.compile(rf"(?<![\\:])\\({_any_of(_LETTERS)})(?:\{{\}}|\\(?= )|(?![A-Za-z0-9_.\\{{])[ ]?)")
_IN_BRACES = re.compile(rf"\{{\\({_any_of(_LETTERS)})\}}")
# An argument or an index, as in \hat{\mu} and x_{\mu} of a formula without dollars, stays.
_SIGN_IN_BRACES = re.compile(rf"(?<![}}^_])(\\[A-Za-z]+)?\{{\\({_any_of(_SIGNS)})\}}")
# Braces around one letter that is none of ASCII's: they held its accent.
_LONE = re.compile(r"\{([^\W\d_])\}")
_SET_IN = re.compile(r"\\(?:emph|text(?:it|bf|sc))\{([^{}]+)\}|\{\\(?:em|it|bf|sc|sl)\s([^{}]+)\}")
_ESCAPED = re.compile(r"(?<!\\)\\([%&#])")


def letters(text: str) -> str:
    """``text`` with TeX's accents, letters, Greek in braces and emphasis as plain characters; ``$…$`` stays as it is.

    What makes no single letter stays too, so that code and paths in other texts are not touched.
    """
    if "\\" not in text:
        return text
    found, at = [], 0
    for formula in _FORMULA.finditer(text):
        found += [_outside_formulas(text[at : formula.start()]), formula[0]]
        at = formula.end()
    return "".join([*found, _outside_formulas(text[at:])])


def without_accents(text: str) -> str:
    """``text`` with bare letters, as words are looked for: ``Alfvén`` → ``Alfven``."""
    if text.isascii():
        return text
    return "".join(c for c in unicodedata.normalize("NFKD", text) if not unicodedata.combining(c))


def in_letters(document: Mapping[str, Any]) -> dict[str, Any]:
    """A document (schema.DOCUMENT_COLUMNS) with title, text and authors in letters."""
    found = dict(document)
    for name in ("title", "text"):
        if found.get(name):
            found[name] = letters(found[name])
    if found.get("authors"):
        found["authors"] = [letters(author or "") for author in found["authors"]]
    return found


def _outside_formulas(text: str) -> str:
    if "\\" not in text:
        return text
    text = _ACCENT.sub(_accented, text)
    text = _SIGN_IN_BRACES.sub(lambda match: match[0] if match[1] else _SIGNS[match[2]], text)
    for pattern in (_IN_BRACES, _LETTER):
        text = pattern.sub(lambda match: _LETTERS[match[1]], text)
    text = _LONE.sub(lambda match: match[0] if match[1].isascii() else match[1], text)
    return _ESCAPED.sub(r"\1", _SET_IN.sub(lambda match: match[1] or match[2], text))


def _accented(match: re.Match[str]) -> str:
    mark, letter = match[1] or match[3], match[2] or match[4] or match[5]
    found = unicodedata.normalize("NFC", letter + _MARKS[mark])
    return found if len(found) == 1 else match[0]
