"""From texts to a flat array of tokens: what a word is, which words may border a phrase, how they inflect."""

import re
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from sklearn.feature_extraction.text import ENGLISH_STOP_WORDS

from sae.tex import letters, without_accents

BOUNDARY = 0  # token id of everything that is not a word: punctuation, numbers, formulas, document ends

# Allowed strictly inside a phrase: "method of moments", "text to speech".
LINK_WORDS = frozenset({"of", "in", "to", "and", "for", "the", "on"})

# Words that say how a text is written rather than what it is about; in papers, and in reference
# documentation. What else is generic in a given corpus shows in the corpus itself (see sae.readability).
_PAPER_WORDS = """propose proposed proposes proposing paper papers present presents presented presenting show
shows shown showing demonstrate demonstrates demonstrated use uses used using based via approach approaches
method methods result results novel new recent recently work works study studies studied studying however
respect given well existing previous various different several many significant significantly better best good
important main key introduce introduces introduced provide provides provided address addressed addressing
achieve achieves achieved develop developed developing obtain obtained obtaining consider considered
considering investigate investigated compare compared comparing improve improves improved improving allow
allows allowed require requires required make makes made making called known non et al etc thus hence
therefore moreover furthermore finally additionally first second third set number case cases order way ways
problem problems such due apply applied applying enable enables enabled enabling able possible available
common commonly widely effective effectively efficient efficiently simple powerful similar often typically
usually specifically particular namely lead leads leading yield yields yielding suggest suggests suggested
find finds found finding describe describes described describing discuss discussed explore explored exploring
outperform outperforms outperforming aim aims focus focuses focusing consists consisting including include
includes included contain contains containing evaluate evaluated evaluating perform performs performed
performing according corresponding respectively toward towards within without among along versus vs take takes
taken taking need needs needed help helps become becomes rely relies relying tackle solve solves solved
solving reveal reveals rather instead even still yet state-of-the-art arxiv http https www github com figure
table section did does doing having determine determined measured observed observe derive derived generated
confirm confirmed estimated report reported extend extended combine combined learn learns learned define
defined offer offers give gives certain wide range variety great potential challenging difficult overall
additional promising single multiple further years year today increasing increasingly increase increases
increased decrease decreases decreased reduce reduces reduced reducing whereas since although though times"""
_REFERENCE_WORDS = """return returns returned returning parameter parameters param params argument arguments
arg args kwarg kwargs optional default defaults none true false raise raises raised note see deprecated
versionadded versionchanged self cls str int bool dict tuple obj attr specified specify specifies create
creates created creating get gets getting add adds added called check checks checked convert converts
converted compute computes computed calculate calculates calculated must want like just passed following
current otherwise whether ie eg also optionally whose unless equivalent"""
STOP_WORDS = (ENGLISH_STOP_WORDS | frozenset((_PAPER_WORDS + " " + _REFERENCE_WORDS).split())) - frozenset(
    # ENGLISH_STOP_WORDS counts these, which are contents in technical texts.
    {
        "computer",
        "system",
        "fire",
        "bill",
        "detail",
        "interest",
        "mill",
        "move",
        "cry",
        "name",
        "thin",
        "thick",
        "side",
    }
)

# Ends in -ly without being an adverb.
_LY_NOUN_LIST = "anomaly family assembly supply reply butterfly monopoly subfamily italy july disassembly"
LY_NOUNS = frozenset(_LY_NOUN_LIST.split())
_WHOLE_STOPS = frozenset(word for word in STOP_WORDS if "-" in word)

_FORMULA = re.compile(r"\$[^$]{0,300}\$|\\[a-zA-Z]+|https?://\S+|<[^<>\n]{1,60}>")
_FIELD_MARK = re.compile(r":(?:param|type|return|returns|rtype|raises|keyword)\b[^:\n]{0,60}:|:[a-z:]+:(?=`)")
_DOTTED_NAME = re.compile(r"(?<![\w.])[^\W\d]\w*(?:\.[^\W\d]\w*)+")
_SNAKE_NAME = re.compile(r"(?<![^\W_])\w*_\w*")
_TOKEN = re.compile(r"[^\W\d_][^\W_]*(?:['’][^\W_]+)*(?:-[^\W_]+(?:['’][^\W_]+)*)*|\d[\w.]*|[^\s\w]|_")
_TITLE_END = "\n\n"


def singular(word: str) -> str:
    """The lower-case ``word`` without its plural ending; for merging, not for showing."""
    if len(word) > 4 and word.endswith("ies"):
        return word[:-3] + "y"
    if len(word) > 4 and word.endswith(("sses", "shes", "ches", "xes")):
        return word[:-2]
    if len(word) > 3 and word.endswith("s") and not word.endswith(("ss", "us", "is")):
        return word[:-1]
    return word


_SUFFIX_LIST = """isations izations isation ization ications ication ations ation ating ative ated ates ate
ings ing ments ment ities ity ness ical ally ised ized ise ize ions ion ians ian ers er ors or ies ed es al ic
ly ous s y e"""
_SUFFIXES = tuple(_SUFFIX_LIST.split())


def stem(word: str) -> str:
    """A rough stem under which the derivations of a lower-case word meet (cluster, clustering)."""
    for suffix in _SUFFIXES:
        if word.endswith(suffix) and len(word) - len(suffix) >= 4:
            return stem(word[: -len(suffix)])
    return word


def word_key(surface: str) -> str:
    """The merged form of one word: lower case, accents, possessive and plural removed."""
    return singular(without_accents(surface.lower().replace("’", "'").removesuffix("'s").replace("'", "")))


def plain_text(text: str) -> str:
    """``text`` with formulas, addresses and markup turned into boundaries, names of code into their words, and
    letters in TeX into letters.

    ``sklearn.linear_model.Ridge`` becomes ``| sklearn | linear model | Ridge |``: no phrase crosses a bar.
    """
    text = _FORMULA.sub(" | ", letters(text))
    text = _FIELD_MARK.sub(" | ", text)
    text = _DOTTED_NAME.sub(lambda match: " | " + match.group().replace(".", " | ") + " | ", text)
    return _SNAKE_NAME.sub(lambda match: " | " + match.group().replace("_", " ").strip() + " | ", text)


@dataclass(frozen=True)
class Tokens:
    """All tokens of a corpus in reading order, documents divided by boundaries. n_tokens long arrays:

    surface: int32 index into ``surfaces`` (0 = boundary); document: int32; in_title: bool (before the first
    blank line); starts: bool (first token of its sentence); hyphen: bool (joined to the next token by a
    hyphen: a hyphenated word is as many tokens as it has parts). ``surfaces``: distinct token strings as
    written; ``lower`` (n_surfaces,) int32 into ``lowers``; ``key`` (n_surfaces,) int32 into ``keys``, the
    merged words. Index 0 of each list is the boundary.
    """

    surface: np.ndarray
    document: np.ndarray
    in_title: np.ndarray
    starts: np.ndarray
    hyphen: np.ndarray
    surfaces: list[str]
    lower: np.ndarray
    lowers: list[str]
    key: np.ndarray
    keys: list[str]
    n_documents: int


def tokenise(texts: Sequence[str]) -> Tokens:
    """Split texts into words and boundaries; see :class:`Tokens`."""
    ids: dict[str, int] = {"": BOUNDARY}
    surface: list[int] = []
    starts: list[bool] = []
    hyphen: list[bool] = []
    document_ends = np.zeros(len(texts), np.int64)
    title_ends = np.zeros(len(texts), np.int64)
    for row, text in enumerate(texts):
        title, blank_line, body = text.partition(_TITLE_END)
        parts = (title, body) if blank_line else ("", text)
        for place, part in enumerate(parts):
            starting = True
            for token in _TOKEN.findall(plain_text(part)):
                if token[0].isalpha() and token.lower() not in _WHOLE_STOPS:
                    words = token.split("-")
                    surface += [ids.setdefault(word, len(ids)) for word in words]
                    starts += [starting] + [False] * (len(words) - 1)
                    hyphen += [True] * (len(words) - 1) + [False]
                    starting = False
                else:
                    surface.append(BOUNDARY)
                    starts.append(False)
                    hyphen.append(False)
                    starting = starting or token in ".:?!;|`"
            surface.append(BOUNDARY)
            starts.append(False)
            hyphen.append(False)
            if place == 0:
                title_ends[row] = len(surface)
        document_ends[row] = len(surface)
    surfaces = list(ids)
    lower, lowers = _index([word.lower() for word in surfaces])
    key, keys = _index([word_key(word) for word in surfaces])
    positions = np.arange(len(surface))
    document = np.searchsorted(document_ends, positions, side="right").astype(np.int32)
    in_title = positions < title_ends[document] if len(surface) else np.zeros(0, bool)
    return Tokens(
        surface=np.asarray(surface, np.int32),
        document=document,
        in_title=in_title,
        starts=np.asarray(starts, bool),
        hyphen=np.asarray(hyphen, bool),
        surfaces=surfaces,
        lower=lower,
        lowers=lowers,
        key=key,
        keys=keys,
        n_documents=len(texts),
    )


def _index(words: list[str]) -> tuple[np.ndarray, list[str]]:
    ids: dict[str, int] = {}
    codes = np.asarray([ids.setdefault(word, len(ids)) for word in words], np.int32)
    return codes, list(ids)
