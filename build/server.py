"""What embeddings and language models share of a server that speaks OpenAI's protocol: address, key, reasons."""

import os
from typing import Any
from urllib.parse import urlsplit

from sae.errors import UserError

OPENAI_URL = "https://api.openai.com/v1"
_REASON_LENGTH = 200


def checked_url(base_url: str, whose: str) -> str:
    """The address without a final slash. Raises UserError for one that is none, or that holds a password."""
    parts = urlsplit(base_url)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise UserError(f"base_url of the {whose} must begin with http:// or https:// and name a server.")
    try:
        _ = parts.port
    except ValueError as error:
        raise UserError(f"base_url of the {whose}: {error}.") from None
    if parts.username or parts.password or parts.query:
        raise UserError(f"base_url of the {whose} must hold no user, password or query; use key_env.")
    return base_url.rstrip("/")


def read_key(key_env: str, base_url: str, purpose: str) -> str:
    """The key in an environment variable; "none" where a server of one's own may want none."""
    key = os.environ.get(key_env, "").strip()
    if not key:
        if base_url == OPENAI_URL:
            raise UserError(f"No key for {purpose}: set the environment variable {key_env}.")
        return "none"  # the client wants one
    if not (key.isascii() and key.isprintable() and " " not in key):
        raise UserError(f"The variable {key_env} holds characters that no key has; copy the key again.")
    return key


def without_key(text: str, key_env: str) -> str:
    """A text without the key: servers have been seen to repeat it."""
    key = os.environ.get(key_env, "").strip()
    text = text.encode("utf-8", "replace").decode("utf-8")  # half a character cannot be written anywhere
    return text.replace(key, "…") if key else text


def reason_given(error: Any, key_env: str) -> str:
    """The server's own words for a refused call, short and on one line."""
    body = error.body if isinstance(error.body, dict) else {}
    reason = without_key(str(body.get("message") or "no reason given"), key_env)
    return one_line(reason, _REASON_LENGTH).rstrip(".")


def one_line(text: str, most: int) -> str:
    """A stranger's text, fit for a terminal and a table: no control characters, nothing that reorders others."""
    return " ".join("".join(c if c.isprintable() else " " for c in text).split())[:most]


def is_spent(body: str) -> bool:
    """Whether a 429 means that there is no money left, so that waiting is of no use."""
    return "insufficient_quota" in body or "billing_hard_limit" in body
