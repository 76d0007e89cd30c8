"""The wish behind an edit put in words: what one would type into a search that has no sliders."""

from collections.abc import Sequence

_STRONG = 3  # labels named at most on each side


def in_words(label: str) -> str:
    """A label as it would stand in a sentence: its phrases joined by "and"."""
    return " and ".join(part.strip() for part in label.split(";") if part.strip())


def rewrite(query: str, raised: Sequence[str], lowered: Sequence[str]) -> str:
    """The query with the labels of raised and lowered features asked for in words, by a template."""
    up = " and ".join(filter(None, map(in_words, raised[:_STRONG])))
    down = " and ".join(filter(None, map(in_words, lowered[:_STRONG])))
    if up and down:
        return f"{query}, with emphasis on {up} rather than {down}"
    if up:
        return f"{query}, with emphasis on {up}"
    return f"{query} without {down}" if down else query
