"""Reading one field of a document of unknown origin: what is wrong becomes a note, never an exception."""

import datetime
import math
import re
import unicodedata
from hashlib import blake2b
from typing import Any

from build.corpora.encoding import mend
from sae.labelling.cutting import cut_to_bytes
from sae.storage import limits

Notes = list[tuple[str, str]]
"""What was altered: (reason, detail), appended to by the readers."""

_INT32_MAX = 2**31 - 1


def is_missing(value: Any) -> bool:
    return value is None or (isinstance(value, float) and math.isnan(value))


def shown(value: Any) -> str:
    """A value as a short string that Arrow can hold, whatever it was."""
    if is_missing(value):
        return ""
    return str(value)[:500].encode("utf-8", "replace").decode("utf-8")


def hash64(text: str) -> int:
    return int.from_bytes(blake2b(text.encode("utf-8"), digest_size=8).digest())


def hashes(title: str, text: str) -> tuple[int, int]:
    """64-bit hashes of the words alone (case, punctuation, compatibility forms folded) and of all of it."""
    whole = f"{title}\n\n{text}"
    folded = unicodedata.normalize("NFKC", whole).casefold()
    words = " ".join(re.findall(r"\w+", folded))
    return hash64(words), hash64(whole)


def cut(text: str, limit: int) -> str:
    """The text's first ``limit`` characters, back to the last white space if there is one near."""
    head = text[:limit]
    space = max(head.rfind(" "), head.rfind("\n"))
    return (head[:space] if space > 0.9 * limit else head).rstrip()


def fitted(text: str, name: str, notes: Notes) -> str:
    """The text as a column of this name may hold it: readers refuse a store with a longer one."""
    most = limits.TEXT_CHARACTERS.get(name, limits.OTHER_TEXT)
    fit = cut_to_bytes(text, most)
    if fit != text:
        notes.append(("cut", f"{name}: more than {most:,} bytes, cut"))
    return fit


def first_sentence(text: str) -> str:
    line = " ".join(text[:400].split())
    sentence = re.split(r"(?<=[.!?。])\s", line, maxsplit=1)[0]
    return sentence if len(sentence) <= 120 else cut(sentence, 119).rstrip(" ,;:") + "…"


def read_url(value: Any, notes: Notes) -> str:
    if is_missing(value) or value == "":
        return ""
    if isinstance(value, str) and re.fullmatch(r"https?://[^\s\"'<>\x00-\x1f]+", value.strip()):
        if len(value.strip().encode("utf-8", "replace")) <= limits.OTHER_TEXT:
            return value.strip()
        notes.append(("link dropped", f"more than {limits.OTHER_TEXT:,} bytes: {shown(value)[:100]}"))
        return ""
    notes.append(("link dropped", f"not an http address: {shown(value)[:100]}"))
    return ""


def read_date(value: Any, notes: Notes) -> datetime.date | None:
    if is_missing(value) or value == "":
        return None
    try:
        if isinstance(value, datetime.datetime):
            return value.date()
        if isinstance(value, datetime.date):
            return value
        if isinstance(value, str):
            return datetime.date.fromisoformat(value.strip()[:10])
    except (ValueError, OverflowError):
        pass
    notes.append(("date dropped", f"not a date: {shown(value)[:100]}"))
    return None


def read_strings(value: Any, name: str, notes: Notes) -> list[str]:
    if is_missing(value):
        return []
    entries = [value] if isinstance(value, str) else value
    if not isinstance(entries, list | tuple):
        notes.append((f"{name} dropped", f"{type(value).__name__}, not a list of strings"))
        return []
    good = [" ".join(mend(entry)[0].split()) for entry in entries if isinstance(entry, str)]
    if len(good) < len(entries):
        notes.append((f"{name} dropped", f"{len(entries) - len(good)} entries are not strings"))
    fit = list(dict.fromkeys(fitted(entry, name, notes) for entry in good if entry))
    if len(fit) > limits.VALUES_A_ROW:
        notes.append(("cut", f"{name}: {len(fit):,} entries, the first {limits.VALUES_A_ROW:,} kept"))
    return fit[: limits.VALUES_A_ROW]


def read_count(value: Any, notes: Notes) -> int | None:
    if is_missing(value):
        return None
    number = int(value) if isinstance(value, float) and value.is_integer() else value
    if isinstance(number, int) and not isinstance(number, bool) and 0 <= number <= _INT32_MAX:
        return number
    notes.append(("citation count dropped", f"not a count: {shown(value)[:100]}"))
    return None
