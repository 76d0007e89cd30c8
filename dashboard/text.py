"""Text from documents and labels, made harmless for the three places where a page shows it.

Artifacts may come from anywhere, so nothing in them may act: no markup, no image or link that fetches, no
formula, no icon or colour directive, no invisible or direction-changing character. ``plain_text`` is for
tables, charts and plain elements, ``safe_text`` for Markdown, ``html_text`` for our few pieces of HTML.
"""

import html
import re
import unicodedata
from urllib.parse import quote, urlsplit

TITLE_LIMIT = 240
ELLIPSIS = "…"

_WORD_JOINER = "\u2060"
_BLANK_LETTERS = "\u115f\u1160\u3164\uffa0"  # Hangul fillers: letters by name, empty to the eye
_MAX_MARKS = 3  # combining marks on one letter; more of them paint over the neighbouring lines

# Characters that begin a construct of Streamlit's Markdown anywhere in a line.
_ANYWHERE = str.maketrans({c: f"&#{ord(c)};" for c in "\\`*_{}[]<>#|~$&"})
# …and those that do so only at the start of a block: lists, rules, numbered lists.
_AT_START = re.compile(r"^([-+=:]|\d+(?=[.)]))([.)])?")
# Markdown's later passes look for these in the finished text, where an entity no longer hides them: icon and
# emoji names between colons, web addresses, mail addresses. An invisible joiner inside breaks the pattern.
_LATER_PASSES = re.compile(
    r":(?=[\w+-]+/?[\w+-]*:)|(?<=http):(?=//)|(?<=https):(?=//)|(?<=www)(?=\.)|(?=@\w)", re.IGNORECASE
)
_DIRECTIVE_COLON = re.compile(r":(?=[^\s])")


def plain_text(text: object, limit: int | None = None) -> str:
    """One line of visible characters, at most ``limit`` of them, cut between words where possible.

    Whitespace of every kind becomes one space; control, direction-changing and zero-width characters go (the
    joiners that Indic and Arabic scripts and emoji need stay between such characters); halves of surrogate
    pairs become U+FFFD; more than three combining marks in a row are dropped. None and NaN give "".
    """
    if text is None or (isinstance(text, float) and text != text):
        return ""
    found = str(text)
    if limit is not None and len(found) > 8 * limit + 64:
        found = found[: 8 * limit + 64]  # hostile lengths: enough is left to fill the limit with
        cut = True
    else:
        cut = False
    if not (found.isascii() and found.isprintable()):
        found = _visible(found)
    found = " ".join(found.split())
    if limit is not None and (len(found) > limit or cut):
        found = _cut(found, limit)
    return found


def _visible(text: str) -> str:
    kept: list[str] = []
    marks = 0
    for position, char in enumerate(text):
        category = unicodedata.category(char)
        if category in ("Zs", "Zl", "Zp") or char in "\t\n\r\v\f\x85":
            kept.append(" ")
        elif category == "Cs":
            kept.append("\ufffd")
        elif char in "\u200c\u200d":
            beside = text[position - 1 : position] + text[position + 1 : position + 2]
            if len(beside) == 2 and all(ord(c) > 0x2FF and unicodedata.category(c) != "Cf" for c in beside):
                kept.append(char)
        elif category in ("Cc", "Cf", "Cn", "Co") or char in _BLANK_LETTERS:
            continue
        elif category in ("Mn", "Me"):
            marks += 1
            if marks <= _MAX_MARKS:
                kept.append(char)
            continue
        else:
            kept.append(char)
        marks = 0
    return "".join(kept)


def _cut(text: str, limit: int) -> str:
    head = text[: max(0, limit - 1)]
    space = head.rfind(" ")
    if space > 0.7 * limit and len(text) > len(head) and text[len(head)] != " ":
        head = head[:space]
    return head.rstrip(" ,;:.-") + ELLIPSIS


def safe_text(text: object, limit: int | None = TITLE_LIMIT) -> str:
    """The same characters as ``plain_text``, written so that Markdown shows them and does nothing else.

    Fit for st.markdown, labels, captions, help texts, and inside our own ``**…**``, ``[…](url)`` and
    ``:gray[…]``. It is not HTML: for that there is ``html_text``.
    """
    found = _LATER_PASSES.sub(lambda m: m.group() + _WORD_JOINER, plain_text(text, limit))
    start = ""
    if match := _AT_START.match(found):
        head, mark = match.group(1), match.group(2)
        start = (head if head.isdigit() else f"&#{ord(head)};") + (f"&#{ord(mark)};" if mark else "")
        found = found[match.end() :]
    return start + _DIRECTIVE_COLON.sub("&#58;", found.translate(_ANYWHERE))


def html_text(text: object, limit: int | None = None) -> str:
    """``plain_text`` for the inside of an HTML element or a quoted attribute."""
    return html.escape(plain_text(text, limit), quote=True)


def safe_url(url: object) -> str | None:
    """The address when it is a plain http or https one, with everything else percent-encoded; None otherwise.

    What comes back can stand in a Markdown link or an ``href``.
    """
    if not isinstance(url, str) or len(url) > 2_000 or _visible(url) != url or url != url.strip():
        return None
    try:
        parts = urlsplit(url)
        host = parts.hostname
    except ValueError:
        return None
    if parts.scheme.lower() not in ("http", "https") or not host or parts.username is not None or " " in url:
        return None
    return quote(url, safe="%/:?#@!&*+,;=~-._")
