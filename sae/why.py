"""Why a document is found: its cosine with the query as a sum of parts, one for each feature.

Query q and document d, each divided by its length, are written as

    q = common_q + Σ aᵢ wᵢ + rest_q        d = common_d + Σ gⱼ wⱼ + rest_d

with common = (mean + scale · pre_bias) / length, a = scale · latents / length, w the rows of W_dec, and rest what
the features do not express. The features' product Σᵢⱼ aᵢ gⱼ (wᵢ · wⱼ) is shared out evenly between the two features
of each term, so feature f has

    part_f = ½ (a_f w_f · Σ gⱼ wⱼ + g_f w_f · Σ aᵢ wᵢ)

What involves the common part is "common", the same for all documents up to their own lengths; what involves a
rest is "unexplained". Parts, common and unexplained add up to the cosine.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from sae.encode import Weights


@dataclass(frozen=True)
class Why:
    """The parts of one cosine, all float64."""

    cosine: float
    """common + unexplained + the sum of all parts."""
    parts: dict[int, float]
    """feature_id → its part; largest in size first. Features active in query or document, or edited."""
    common: float
    """What any document of the corpus shares with the query."""
    unexplained: float
    """What the features do not express."""

    def top(self, n: int) -> tuple[dict[int, float], float]:
        """The n largest parts, and the sum of the others."""
        shown = dict(list(self.parts.items())[:n])
        return shown, sum(self.parts.values()) - sum(shown.values())


def why(
    query: npt.ArrayLike,
    after: Mapping[int, float],
    documents: npt.ArrayLike,
    top_acts: npt.ArrayLike,
    top_indices: npt.ArrayLike,
    weights: Weights,
) -> list[Why]:
    """Why each of m documents is found.

    ``query`` (d_in,) and ``after``: vector and activations of a ``sae.steer.Steered``; ``documents`` (m, d_in):
    embeddings; ``top_acts`` and ``top_indices`` (m, k): their latents. Anything of zero length has a cosine of 0
    and no parts.
    """
    q = np.asarray(query, np.float64)
    rows = np.asarray(documents, np.float64)
    acts, indices = np.asarray(top_acts, np.float64), np.asarray(top_indices, np.int64)
    length = float(np.linalg.norm(q))
    own = {f: a for f, a in after.items() if a != 0}
    features = np.fromiter(own, np.int64, len(own))
    common = weights.mean.astype(np.float64) + weights.scale * weights.pre_bias.astype(np.float64)
    found = []
    for row, row_acts, row_indices in zip(rows, acts, indices, strict=True):
        row_length = float(np.linalg.norm(row))
        if length == 0 or row_length == 0:
            found.append(Why(0.0, {}, 0.0, 0.0))
            continue
        active = row_acts > 0
        a = np.fromiter(own.values(), np.float64, len(own)) * weights.scale / length
        g = row_acts[active] * weights.scale / row_length
        w_q = weights.W_dec[features].astype(np.float64)
        w_d = weights.W_dec[row_indices[active]].astype(np.float64)
        said_q, said_d = a @ w_q, g @ w_d
        parts: dict[int, float] = {}
        for f, part in zip(features.tolist(), 0.5 * a * (w_q @ said_d), strict=True):
            parts[f] = parts.get(f, 0.0) + float(part)
        for f, part in zip(row_indices[active].tolist(), 0.5 * g * (w_d @ said_q), strict=True):
            parts[f] = parts.get(f, 0.0) + float(part)
        common_q, common_d = common / length, common / row_length
        rest_q, rest_d = q / length - common_q - said_q, row / row_length - common_d - said_d
        shared = float(common_q @ row / row_length + (q / length - common_q) @ common_d)
        unexplained = float(said_q @ rest_d + rest_q @ said_d + rest_q @ rest_d)
        ordered = dict(sorted(parts.items(), key=lambda item: -abs(item[1])))
        found.append(Why(sum(ordered.values()) + shared + unexplained, ordered, shared, unexplained))
    return found
