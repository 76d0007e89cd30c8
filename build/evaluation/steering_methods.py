"""Ways of steering that are compared: each brings every trial's query to the same fidelities."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from build.evaluation.steering_llm import Rewrite
from sae.encode import Weights, decode, encode
from sae.steering.directions import KINDS, Directions, family_move
from sae.steering.optimise import optimise
from sae.steering.trials import Trials, amounts_for, share_within

EDITS = ("both", "even", "up", "down")
"""One feature raised and one lowered, as in the papers: set to 0, all the rest of the change spent on raising;
the same with the change split evenly, so that the lowered one goes as far; raising alone; lowering alone."""
FIDELITIES = (0.95, 0.9, 0.85, 0.75, 0.65, 0.5, 0.35, 0.2)
FAMILY_SLIDER = "family slider"  # parent and children in proportion; only where a trial's feature is a parent
METHODS = (*KINDS, FAMILY_SLIDER, "reconstruction", "optimised", "label", "rewriting")
REWRITTEN_BY_MODEL = "rewriting by a model"  # only where the profile names a rewriter
CONTROL = "another edit"  # raises a feature that is not among the options: what is recognised then is chance

_LOWERING = (
    0.5  # of the fidelity that an edit may give up, for the lowered feature where one is raised as well
)
_STRENGTHS = (0.5, 1.0, 1.6, 2.5, 4.0)  # of the optimised target, over the feature's own reach
_REWRITTEN = 0.05  # a rewritten query counts for a fidelity that it comes this near to

# The wish put in words, from mild to strong; {q} the query, {up} and {down} the labels.
TEMPLATES = {
    "both": (
        "{q}, {up}, not {down}",
        "{q}, with emphasis on {up} rather than {down}",
        "{up}: {q}, without {down}",
        "{up}, {up}, {q}, no {down}",
        "{up} instead of {down}",
    ),
    "up": ("{q}, {up}", "{q}, with emphasis on {up}", "{up}: {q}", "{up}, {up}, {up}, {q}", "{up}"),
    "down": ("{q}, not {down}", "{q} without {down}", "anything but {down}: {q}", "no {down}"),
}


_WISHES = {"up": "more", "down": "less"}


@dataclass(frozen=True)
class Setting:
    """What the methods work with: n trials on one SAE.

    ``x`` float32 (n, d_in): the trials' queries. ``label_vectors`` float32 (n_latents, d_in) unit rows, 0 where
    not needed. ``families``: for the parent of each family the mean activations of all its features. ``texts``: of
    the queries; ``labels``: of all features. ``embed``: texts → unit rows. ``rewrite``: puts wishes in words, where a
    language model is asked.
    """

    trials: Trials
    x: np.ndarray
    texts: Sequence[str]
    labels: Sequence[str]
    weights: Weights
    directions: Directions
    families: Mapping[int, Mapping[int, float]]
    label_vectors: np.ndarray
    embed: Callable[[Sequence[str]], np.ndarray]
    rewrite: Rewrite | None = None

    @property
    def methods(self) -> tuple[str, ...]:
        """Every way of steering that is tried, the control last."""
        return (*METHODS, *((REWRITTEN_BY_MODEL,) if self.rewrite else ()), CONTROL)

    @property
    def baseline(self) -> str:
        """The way of putting wishes in words that others are compared with."""
        return REWRITTEN_BY_MODEL if self.rewrite else "rewriting"


def steered(setting: Setting, method: str, edit: str) -> np.ndarray:
    """Steered queries float32 (len(FIDELITIES), n, d_in), NaN where a trial cannot be brought to a fidelity."""
    if method == "rewriting":
        return _nearest(setting, _by_template(setting, edit))
    if method == REWRITTEN_BY_MODEL:
        return _nearest(setting, _by_model(setting, edit))
    if method == "optimised":
        return _optimised(setting, edit)
    return _linear(setting, method, edit)


def _linear(setting: Setting, method: str, edit: str) -> np.ndarray:
    """Methods that go from a start along a direction: the lowered feature first, then as far as it takes."""
    x = setting.x
    lowering = _lowering(setting, method)
    base = _reconstructed(setting) if method == "reconstruction" else x
    trials = setting.trials
    raised, lowered = (trials.stray, trials.stray) if method == CONTROL else (trials.raised, trials.lowered)
    direction = -_per_unit(setting, method, lowered) if edit == "down" else _per_unit(setting, method, raised)
    if edit == "even" and method != CONTROL:
        against = setting.label_vectors if method == "label" else setting.weights.W_dec
        direction = _unit(direction) - _unit(against[lowered])
    found = np.full((len(FIDELITIES), *x.shape), np.nan, np.float32)
    for i, fidelity in enumerate(FIDELITIES):
        start = base
        if edit == "both" and method != CONTROL:
            share = share_within(x, lowering, 1 - _LOWERING * (1 - fidelity))
            start = base + share[:, None] * lowering
        amounts = amounts_for(x, start, direction, fidelity)
        found[i] = start + amounts[:, None] * direction
    return found


def _per_unit(setting: Setting, method: str, features: np.ndarray) -> np.ndarray:
    """What is added to the query for each unit of a feature, (n, d_in)."""
    if method == "label":
        return setting.label_vectors[features]
    if method == FAMILY_SLIDER:
        return np.stack([_family(setting, int(feature)) for feature in features])
    kind = method if method in KINDS else "feature"
    rows = [setting.directions.of(int(feature), kind).vector for feature in features]
    return np.stack(rows) * np.float32(setting.weights.scale)


def _unit(rows: np.ndarray) -> np.ndarray:
    return np.asarray(rows / np.maximum(np.linalg.norm(rows, axis=1, keepdims=True), 1e-12), np.float32)


def _family(setting: Setting, parent: int) -> np.ndarray:
    """What is added to the query when a family is moved, (d_in,); NaN where the feature is no family's parent."""
    moved = family_move(setting.families.get(parent, {}), 1.0)
    if not moved:
        return np.full(setting.weights.d_in, np.nan, np.float32)
    amounts = np.fromiter(moved.values(), np.float32, len(moved)) * np.float32(setting.weights.scale)
    return amounts @ setting.weights.W_dec[list(moved)]


def _lowering(setting: Setting, method: str) -> np.ndarray:
    """The change that sets the lowered feature to 0; for labels, that takes the label's direction out."""
    lowered = setting.trials.lowered
    if method == "label":
        vectors = setting.label_vectors[lowered]
        return -np.maximum((setting.x * vectors).sum(1), 0)[:, None] * vectors
    amounts = _activation(setting, lowered) * np.float32(setting.weights.scale)
    return -amounts[:, None] * setting.weights.W_dec[lowered]


def _activation(setting: Setting, features: np.ndarray) -> np.ndarray:
    acts, indices = encode(setting.x, setting.weights)
    return (acts * (indices == features[:, None])).sum(1)


def _reconstructed(setting: Setting) -> np.ndarray:
    return decode(*encode(setting.x, setting.weights), setting.weights)


def _optimised(setting: Setting, edit: str) -> np.ndarray:
    """Latents optimised for targets of several strengths; the one nearest to a fidelity is scaled to it."""
    x, weights, trials = setting.x, setting.weights, setting.trials
    acts, indices = encode(x, weights)
    latents = np.zeros((len(x), weights.n_latents), np.float32)
    np.put_along_axis(latents, indices.astype(np.int64), acts, axis=1)
    rows = np.arange(len(x))
    reach = setting.directions.statistics.reach[trials.raised]
    shifts, cosines = [], []
    for strength in _STRENGTHS if edit != "down" else (1.0,):
        target = latents.copy()
        if edit != "up":
            target[rows, trials.lowered] = 0
        if edit != "down":
            target[rows, trials.raised] = strength * reach
        shift = optimise(x, target, weights).change @ weights.W_dec * np.float32(weights.scale)
        vectors = x + shift
        shifts.append(shift)
        cosines.append((vectors * x).sum(1) / np.linalg.norm(vectors, axis=1) / np.linalg.norm(x, axis=1))
    found = np.full((len(FIDELITIES), *x.shape), np.nan, np.float32)
    for i, fidelity in enumerate(FIDELITIES):
        nearest = np.abs(np.stack(cosines) - fidelity).argmin(0)
        shift = np.stack(shifts)[nearest, rows]
        found[i] = x + amounts_for(x, x, shift, fidelity)[:, None] * shift
    return found


def _by_template(setting: Setting, edit: str) -> list[list[str]]:
    """The wish of each trial in the words of every template."""
    trials, templates = setting.trials, TEMPLATES["both" if edit == "even" else edit]
    return [
        [
            template.format(q=query, up=in_words(setting.labels[up]), down=in_words(setting.labels[down]))
            for template in templates
        ]
        for query, up, down in zip(setting.texts, trials.raised, trials.lowered, strict=True)
    ]


def _by_model(setting: Setting, edit: str) -> list[list[str]]:
    assert setting.rewrite is not None
    trials = setting.trials
    wishes = []
    for up, down in zip(trials.raised, trials.lowered, strict=True):
        wish = {"more": in_words(setting.labels[up]), "less": in_words(setting.labels[down])}
        wishes.append({k: v for k, v in wish.items() if edit in ("both", "even") or k == _WISHES[edit]})
    return setting.rewrite(setting.texts, wishes)


def _nearest(setting: Setting, versions: list[list[str]]) -> np.ndarray:
    """Of each trial's rewritten queries the one nearest to a fidelity, where one comes near enough."""
    x = setting.x
    found = np.full((len(FIDELITIES), *x.shape), np.nan, np.float32)
    texts = [text for own in versions for text in own]
    if not texts:
        return found
    vectors = setting.embed(texts)
    start = 0
    for row, own in enumerate(versions):
        mine = vectors[start : start + len(own)]
        start += len(own)
        if not len(mine):
            continue
        lengths = np.linalg.norm(mine, axis=1) * np.linalg.norm(x[row])
        cosines = mine @ x[row] / np.maximum(lengths, 1e-12)
        for i, fidelity in enumerate(FIDELITIES):
            nearest = int(np.abs(cosines - fidelity).argmin())
            if abs(cosines[nearest] - fidelity) <= _REWRITTEN:
                found[i, row] = mine[nearest]
    return found


def in_words(label: str) -> str:
    """A label as it would stand in a sentence: its phrases joined by "and"."""
    return " and ".join(part.strip() for part in label.split(";") if part.strip())
