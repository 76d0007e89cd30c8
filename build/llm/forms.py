"""The forms that answers must have, and what a label may be: it is shown on pages, so little is allowed."""

import unicodedata
from typing import Annotated

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

MOST_WORDS, MOST_CHARACTERS, MOST_BYTES = 8, 100, 400
_PUNCTUATION = set(" ,.;:'’\"()/&+%#?!=*_-–—")  # beside letters, digits and marks of any script
_ADDRESSES = ("://", "www.", "javascript:", "data:")


def checked_label(text: str) -> str:
    """The label with single spaces. Raises ValueError for one that is too long or holds markup or addresses."""
    label = " ".join(text.split())
    words = len(label.split())
    if not 1 <= words <= MOST_WORDS:
        raise ValueError(f"a label of {words} words")
    if len(label) > MOST_CHARACTERS or len(label.encode("utf-8", "replace")) > MOST_BYTES:
        raise ValueError(f"a label of {len(label)} characters")
    for character in label:
        if not (character in _PUNCTUATION or unicodedata.category(character)[0] in "LMN"):
            raise ValueError(f"a label with the character {unicodedata.name(character, 'of no name')}")
    if any(address in label.casefold() for address in _ADDRESSES):
        raise ValueError("a label with an address")
    if not any(unicodedata.category(character)[0] in "LN" for character in label):
        raise ValueError("a label without a letter")
    return label


Label = Annotated[str, Field(max_length=400), AfterValidator(checked_label)]


class ProposedLabel(BaseModel):
    model_config = ConfigDict(extra="forbid")
    reason: str = Field(max_length=2000, description="what the active documents share and the others lack")
    label: Label = Field(description="1 to 8 words, plain text")


class ProposedLabels(BaseModel):
    """What an Interpreter answers."""

    model_config = ConfigDict(extra="forbid")
    feature_id: int = Field(description="the number given in the question")
    labels: list[ProposedLabel] = Field(min_length=1, max_length=8, description="best first")


class Confidence(BaseModel):
    """What a Predictor answers."""

    model_config = ConfigDict(extra="forbid")
    question: str = Field(max_length=40, description="the code given in the question")
    confidence: float = Field(
        ge=-1,
        le=1,
        allow_inf_nan=False,
        description="-1: surely not active, 0: no idea, 1: surely active",
    )
