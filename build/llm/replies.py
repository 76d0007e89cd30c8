"""What is sent for a question, and what its reply is worth: every byte of it is a stranger's."""

import json
from typing import TYPE_CHECKING, Any

from pydantic import ValidationError

from build.llm.journal import Reply
from build.llm.prices import ChatPrice
from build.llm.question import M, Question, wire_schema
from build.server import OPENAI_URL, one_line, without_key
from build.tokens import tokens_at_most

if TYPE_CHECKING:
    from build.llm.endpoint import ServerConfig

_MOST_CHARACTERS = 20_000  # of a reply that is kept
_AROUND = 64  # tokens that mark where messages begin and end
_MOST_TOKENS = 10_000_000  # a server that counts more does not count


class UnreadableError(Exception):
    """What came back is not a chat reply at all: a page in HTML, half a body."""


def request_body(question: Question[Any], server: "ServerConfig", number: int) -> dict[str, Any]:
    """Arguments of a chat completion; later attempts leave more room for the answer."""
    schema = wire_schema(question.schema)
    system = question.system
    if server.replies != "json_schema":
        system += f"\nAnswer with one JSON object of this schema and nothing else:\n{json.dumps(schema)}"
    body: dict[str, Any] = {
        "model": question.model,
        "messages": [{"role": "system", "content": system}, {"role": "user", "content": question.user}],
    }
    if server.replies == "json_schema":
        form = {"name": question.schema.__name__, "strict": True, "schema": schema}
        body["response_format"] = {"type": "json_schema", "json_schema": form}
    elif server.replies == "json_object":
        body["response_format"] = {"type": "json_object"}
    # OpenAI's newer models refuse the old name, and most other servers know only that one.
    limit = "max_completion_tokens" if server.base_url == OPENAI_URL else "max_tokens"
    body[limit] = question.max_tokens * (number + 1)
    if server.temperature is not None:
        body["temperature"] = server.temperature
    return body


def tokens_of(question: Question[Any], server: "ServerConfig", number: int = 0) -> tuple[int, int]:
    """(read, written) tokens that a call can take at most."""
    body = request_body(question, server, number)
    said = "".join(message["content"] for message in body["messages"])
    form = json.dumps(body.get("response_format", ""))
    return tokens_at_most(said) + tokens_at_most(form) + _AROUND, question.max_tokens * (number + 1)


def chat_reply(raw: bytes, key_env: str, price: ChatPrice | None, most: tuple[int, int]) -> Reply:
    """The first choice of a chat completion. ``most``: tokens to count when the server names none."""
    try:
        found = json.loads(raw)
        choice = found["choices"][0]
        message = choice["message"]
        content, refusal = message.get("content"), message.get("refusal")
        finish = choice.get("finish_reason")
    except (ValueError, KeyError, IndexError, TypeError, AttributeError, RecursionError):
        raise UnreadableError from None
    usage = found.get("usage")
    tokens = [
        _count(usage.get(name) if isinstance(usage, dict) else None, otherwise)
        for name, otherwise in zip(("prompt_tokens", "completion_tokens"), most, strict=True)
    ]
    content, refusal, finish = (
        without_key(text, key_env)[:_MOST_CHARACTERS] if isinstance(text, str) else ""
        for text in (content, refusal, finish)
    )
    usd = price.usd(tokens[0], tokens[1]) if price else 0.0
    return Reply(content, refusal, finish, tokens[0], tokens[1], usd)


def _count(value: Any, otherwise: int) -> int:
    known = isinstance(value, int) and not isinstance(value, bool) and 0 <= value <= _MOST_TOKENS
    return int(value) if known else otherwise


def read_answer(question: Question[M], reply: Reply) -> tuple[M | None, str, str]:
    """(the answer, "ok", "") or (None, kind of error, what was found): see AnswerError."""
    if reply.refusal or reply.finish == "content_filter":
        return None, "refused", f"the model refused: {_short(reply.refusal or 'content filter')}"
    if reply.finish == "length":
        return None, "cut off", "the answer was cut off before its end"
    try:
        found = json.loads(_bare(reply.content), parse_constant=_refuse)
    except (ValueError, RecursionError):
        return None, "not JSON", "the answer is not JSON"
    try:
        value = question.schema.model_validate_json(json.dumps(found), strict=True)
    except ValidationError as error:
        first = error.errors(include_input=False, include_url=False)[0]
        place = ".".join(str(part) for part in first["loc"]) or "the answer"
        return None, "wrong form", f"{_short(place)}: {_short(first['msg'])}"
    if question.check and (reason := question.check(value)):
        return None, "other question", _short(reason)
    return value, "ok", ""


def _bare(text: str) -> str:
    """Without the fence that models like to put around code."""
    text = text.strip()
    if text.startswith("```") and text.endswith("```") and "\n" in text:
        return text[text.index("\n") : -3]
    return text


def _refuse(name: str) -> Any:
    raise ValueError(f"{name} is not a number")


def _short(text: str) -> str:
    return one_line(text, 160)
