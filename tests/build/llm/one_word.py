"""A question for one word, for tests of the client: its right answer, and how to ask it."""

import json

from pydantic import BaseModel, ConfigDict, Field

from build.llm.client import Client, Question
from build.llm.question import Answer
from tests.build.llm.fake import Trouble

RIGHT = json.dumps({"word": "yes", "sure": 0.5})


class Word(BaseModel):
    model_config = ConfigDict(extra="forbid")
    word: str = Field(max_length=10, description="one word")
    sure: float = Field(ge=-1, le=1, allow_inf_nan=False)


def ask(client: Client, user: str = "?", **options: object) -> Answer[Word]:
    return client.answer(Question("gpt-4o-mini", "Answer.", user, Word, **options))  # type: ignore[arg-type]


def answering(content: str = RIGHT) -> Trouble:
    return lambda body, number, request: content
