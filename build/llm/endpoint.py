"""One call to a chat completions server, and what it means when it fails."""

from dataclasses import dataclass
from functools import cached_property
from typing import Any

from build.llm.journal import Reply
from build.llm.pace import asked_pause
from build.llm.prices import ChatPrice
from build.llm.replies import UnreadableError, chat_reply
from build.server import OPENAI_URL, checked_url, is_spent, read_key, reason_given
from sae.errors import UserError

_PASSING = (408, 409, 425, 429)
_LONGEST_WAIT = 300.0  # seconds; a server that asks for more is left until the next run


@dataclass(frozen=True)
class ServerConfig:
    """Where and how questions are asked."""

    base_url: str = OPENAI_URL  # Any server that speaks OpenAI's chat completions.
    key_env: str = "OPENAI_API_KEY"  # The environment variable with the key; the key itself is kept nowhere.
    timeout: float = 60.0  # Seconds to wait for a reply.
    retries: int = 5  # Further tries of a call that failed for a passing reason.
    attempts: int = 2  # Calls for one question whose answers are not usable.
    concurrency: int = 8  # Questions under way at once.
    per_minute: float | None = None  # Most calls a minute; None leaves it to the server's own limits.
    replies: str = "json_schema"  # How answers are held to their form: json_schema, json_object or text.
    temperature: float | None = 0.0  # None leaves it to the server; some models refuse any other.

    def __post_init__(self) -> None:
        object.__setattr__(self, "base_url", checked_url(self.base_url, "language model"))
        if self.replies not in ("json_schema", "json_object", "text"):
            raise UserError(f"replies is {self.replies!r}; it can be json_schema, json_object or text.")
        if self.per_minute is not None and not self.per_minute > 0:
            raise UserError(f"per_minute is {self.per_minute}; it must be more than 0.")
        for name, least in (("timeout", 0.01), ("retries", 0), ("attempts", 1), ("concurrency", 1)):
            if getattr(self, name) < least:
                raise UserError(f"{name} is {getattr(self, name)}; it must be at least {least}.")

    @property
    def shapes(self) -> str:
        """All of it that a reply may depend on."""
        return f"{self.base_url} {self.replies} {self.temperature}"


@dataclass(frozen=True)
class Trouble:
    """A call without a reply. ``billed``: it may have been served and charged. ``pause``: seconds that the
    server asks to wait, ``everybody`` or only this caller. ``ends``: what it is the end of, "" when trying
    again may help, "question" or "all"."""

    text: str
    billed: bool = False
    pause: float | None = None
    everybody: bool = False
    ends: str = ""


class Endpoint:
    """Makes calls, one at a time or from several threads. Nothing that it says holds the key."""

    def __init__(self, server: ServerConfig) -> None:
        self.server = server
        self._where = f"The server {server.base_url}"

    def check(self) -> None:
        """Raise UserError when the key is not there; nothing is asked."""
        self._key()

    def call(
        self, body: dict[str, Any], once: str, price: ChatPrice | None, most: tuple[int, int]
    ) -> Reply | Trouble:
        """``once``: a name for the call, so that a server that heeds it never bills it twice. ``most``: tokens
        to count when the server names none."""
        import openai

        try:
            found = self.client.chat.completions.with_raw_response.create(
                **body, extra_headers={"Idempotency-Key": once}
            )
            return chat_reply(found.http_response.content, self.server.key_env, price, most)
        except openai.APITimeoutError:
            return Trouble(f"{self._where} did not answer within {self.server.timeout:g} s.", billed=True)
        except openai.APIConnectionError as error:
            if type(error.__cause__).__name__ in ("ConnectError", "ConnectTimeout"):
                return Trouble(f"{self._where} cannot be reached; check base_url and the network.")
            return Trouble(f"{self._where} cut the connection.", billed=True)
        except openai.APIStatusError as error:
            return self.refused(error)
        except UnreadableError:
            return Trouble(f"{self._where} sent something that is not a chat reply.", billed=True)

    def refused(self, error: Any) -> Trouble:
        """What a status other than success means; no server bills for it."""
        status, key_env = error.status_code, self.server.key_env
        if status == 429 and is_spent(error.response.text):
            return Trouble(
                f"The quota of the key in {key_env} is spent. What is done is kept; run again to go on.",
                ends="all",
            )
        if status in (401, 403):
            return Trouble(f"{self._where} refuses the key in {key_env} (status {status}).", ends="all")
        text = f"{self._where} answered {status}: {reason_given(error, key_env)}."
        if status == 404:
            return Trouble(f"{text} Check base_url and the name of the model.", ends="all")
        if status not in _PASSING and status < 500:
            return Trouble(text, ends="question")
        pause = asked_pause(error.response.headers)
        if pause is not None and pause > _LONGEST_WAIT:
            return Trouble(f"{text} It asks to wait {pause / 60:,.0f} minutes: run again then.", ends="all")
        return Trouble(text, pause=pause, everybody=status == 429 or pause is not None)

    @cached_property
    def client(self) -> Any:
        """The openai client, made at the first call."""
        import openai

        return openai.OpenAI(
            api_key=self._key(),
            base_url=self.server.base_url,
            timeout=self.server.timeout,
            max_retries=0,  # calls are tried again where they are counted and every thread waits
        )

    def _key(self) -> str:
        return read_key(self.server.key_env, self.server.base_url, "the language model")
