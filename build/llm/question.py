"""A question to a language model, and what came of asking it."""

import hashlib
import json
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar

from pydantic import BaseModel

M = TypeVar("M", bound=BaseModel)

# What servers accept in a schema that they hold a model to; limits are checked here, on the reply.
_KEPT = ("type", "properties", "required", "items", "enum", "const", "anyOf", "description", "$ref", "$defs")
_wired: dict[type[BaseModel], dict[str, Any]] = {}  # made once: every question asks for it


@dataclass(frozen=True)
class Question(Generic[M]):
    """``schema``: the form of the answer, its field descriptions meant for the model. ``check`` gives a reason
    when an answer of the right form belongs to another question, else None."""

    model: str
    system: str
    user: str
    schema: type[M]
    max_tokens: int = 300
    check: Callable[[M], str | None] | None = field(default=None, compare=False)

    def digest(self, server: str) -> bytes:
        """Equal digests, equal questions: the key of the journal. ``server``: all that shapes a reply."""
        content = [server, self.model, self.system, self.user, wire_schema(self.schema), self.max_tokens]
        return hashlib.sha256(json.dumps(content, sort_keys=True).encode("utf-8", "surrogatepass")).digest()


@dataclass(frozen=True)
class Attempt:
    """One call for a question. ``outcome``: "ok", or why its answer is none."""

    number: int
    outcome: str
    input_tokens: int
    output_tokens: int
    usd: float


@dataclass(frozen=True)
class Answer(Generic[M]):
    """A checked answer, and the calls that it took, those of earlier runs included."""

    value: M
    attempts: tuple[Attempt, ...]


def wire_schema(schema: type[BaseModel]) -> dict[str, Any]:
    """The JSON schema of a model as servers want it: every field required, none besides, no limits."""
    if schema not in _wired:
        _wired[schema] = _strict(schema.model_json_schema())
    return _wired[schema]


def _strict(node: Any) -> Any:
    if not isinstance(node, dict):
        return node
    kept = {name: value for name, value in node.items() if name in _KEPT}
    for name in ("properties", "$defs"):
        if name in kept:
            kept[name] = {key: _strict(value) for key, value in kept[name].items()}
    if "items" in kept:
        kept["items"] = _strict(kept["items"])
    if "anyOf" in kept:
        kept["anyOf"] = [_strict(value) for value in kept["anyOf"]]
    if kept.get("type") == "object":
        kept["required"] = list(kept.get("properties", {}))
        kept["additionalProperties"] = False
    return kept
