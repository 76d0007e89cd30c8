"""Mend text that was decoded wrongly on its way here, and say what was mended."""

import re


# What a byte of UTF-8 looks like when it is read as Windows-1252 (undefined bytes read as Latin-1).
def _as_cp1252(byte: int) -> str:
    character = bytes([byte]).decode("cp1252", "replace")
    return chr(byte) if character == "\ufffd" else character


_HIGH = range(0x80, 0x100)
_TO_BYTE = {_as_cp1252(byte): byte for byte in _HIGH} | {chr(byte): byte for byte in _HIGH}


def _class(first: int, last: int) -> str:
    characters = sorted(c for c, byte in _TO_BYTE.items() if first <= byte <= last)
    return "[" + "".join(map(re.escape, characters)) + "]"


_TAIL = _class(0x80, 0xBF)
_SEQUENCE = re.compile(
    f"{_class(0xC2, 0xDF)}{_TAIL}|{_class(0xE0, 0xEF)}{_TAIL}{{2}}|{_class(0xF0, 0xF4)}{_TAIL}{{3}}"
)
# One of these must be there before anything is touched: "CAFÉ”" is a valid sequence too, "Ã©" is no word.
_SUSPECT = re.compile(f"[ÂÃ]{_TAIL}|â[\u20ac\x80]{_TAIL}")

# Controls (but tab and line ends), surrogates, byte-order marks, direction overrides and noncharacters.
_BROKEN = re.compile(
    "[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x84\x86-\x9f\u200e\u200f\u202a-\u202e\u2066-\u2069\ufeff"
    "\ud800-\udfff\ufdd0-\ufdef\ufffe\uffff]"
)
_REPLACEMENT = "\ufffd"


def _decode(match: re.Match[str]) -> str:
    try:
        return bytes(_TO_BYTE[c] for c in match.group()).decode("utf-8")
    except UnicodeDecodeError:
        return match.group()


def mend(text: str) -> tuple[str, int, list[str]]:
    """Text without wrongly decoded or unprintable characters.

    Returns the text, how many of its characters were lost for good (removed without knowing what they stood
    for), and one phrase for each kind of mending; an empty list means that nothing was changed.
    """
    done = []
    if _SUSPECT.search(text):
        text, n = _SEQUENCE.subn(_decode, text)
        done.append(f"{n} UTF-8 sequences that had been read as Windows-1252 put right")
    lost = text.count(_REPLACEMENT)
    if lost:
        text = text.replace(_REPLACEMENT, "")
        done.append(f"{lost} replacement characters removed")
    text, n = _BROKEN.subn("", text)
    if n:
        done.append(f"{n} control or invalid characters removed")
    return text, lost + n, done
