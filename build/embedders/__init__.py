"""Embedding models: text in, unit vectors out."""

import re
from collections.abc import Callable
from typing import Any

from build.embedders.base import Embedder
from build.embedders.corpus import embed_corpus
from sae.errors import UserError

__all__ = ["Embedder", "embed_corpus", "make_embedder"]


def make_embedder(spec: dict[str, Any]) -> Embedder:
    """The embedder of a profile's [embedder] table, such as ``{kind = "minilm"}``.

    Reads no weights and asks no server yet. Raises UserError for an unknown kind or option.
    """
    options = dict(spec)
    kind = options.pop("kind", None)
    if kind not in _KINDS:
        raise UserError(f"The embedder's kind is {kind!r}; it can be {', '.join(_KINDS)}.")
    make, known = _KINDS[kind]
    if unknown := sorted(set(options) - set(known)):
        raise UserError(f"The {kind} embedder has no {', '.join(unknown)}; it has {', '.join(known)}.")
    try:
        return make(options)
    except TypeError as error:  # an option that must be there is not, or of another type
        reason = re.sub(r"^\w+\.__init__\(\) ", "it is ", str(error)).replace(
            " required positional argument", " option"
        )
        raise UserError(
            f"The {kind} embedder cannot be made: {reason}. Mend the profile's [embedder]."
        ) from None


# Each module is imported when it is wanted: a build with MiniLM never loads openai, and the other way round.
def _minilm(options: dict[str, Any]) -> Embedder:
    from build.embedders.minilm import MiniLMEmbedder

    return MiniLMEmbedder(**options)


def _openai(options: dict[str, Any]) -> Embedder:
    from build.embedders.openai import OpenAIEmbedder

    return OpenAIEmbedder(**options)


def _precomputed(options: dict[str, Any]) -> Embedder:
    from build.embedders.precomputed import PrecomputedEmbedder

    query = options.pop("query", None)
    return PrecomputedEmbedder(**options, query_embedder=make_embedder(query) if query else None)


_KINDS: dict[str, tuple[Callable[[dict[str, Any]], Embedder], tuple[str, ...]]] = {
    "minilm": (_minilm, ("arithmetic", "workers")),
    "openai": (
        _openai,
        ("model", "base_url", "key_env", "d_in", "dimensions", "budget_usd", "timeout", "retries", "workers"),
    ),
    "precomputed": (_precomputed, ("path", "column", "id_column", "query")),
}
