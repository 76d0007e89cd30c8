"""How near the features of a grid's SAEs are to those of its other SAEs: k fixed and n varying, n fixed and k
varying.

O'Neill et al. 2024, appendix D.1: distributions of the cosine of each decoder direction with the nearest one
of another SAE.
"""

from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import Any

import numpy as np

from sae.statistics import nearest

COSINE_STEP = 0.02  # width of a bar
Shape = tuple[int, int]  # k, n_latents


def neighbours(shapes: Sequence[Shape]) -> list[tuple[str, Shape, Shape]]:
    """(what is fixed, SAE, the SAE in which its features are sought) for each step of the grid.

    With k fixed each size is sought in the size below it; with n fixed each k in the k below it.
    """
    found = []
    for k in sorted({k for k, _ in shapes}):
        sizes = sorted(n for of_k, n in shapes if of_k == k)
        found += [("k", (k, larger), (k, smaller)) for smaller, larger in pairwise(sizes)]
    for n in sorted({n for _, n in shapes}):
        ks = sorted(k for k, of_n in shapes if of_n == n)
        found += [("n", (larger, n), (smaller, n)) for smaller, larger in pairwise(ks)]
    return found


def grid_cosines(shapes: Sequence[Shape], directions: Callable[[Shape], np.ndarray]) -> list[dict[str, Any]]:
    """Rows of schema.SCALING_COSINE_COLUMNS: a histogram for each pair of :func:`neighbours`.

    ``directions`` gives an SAE's unit decoder directions (n_latents, d_in); two SAEs are held at a time.
    """
    edges = np.round(np.arange(-0.2, 1.0 + COSINE_STEP / 2, COSINE_STEP), 2)
    rows: list[dict[str, Any]] = []
    for fixed, one, other in neighbours(shapes):
        cosines = nearest(*(directions(shape).astype(np.float32) for shape in (one, other)))[1]
        shares = np.histogram(np.clip(cosines, edges[0], 1 - 1e-6), edges)[0] / max(1, len(cosines))
        pair = {
            "fixed": fixed,
            "k": one[0],
            "n_latents": one[1],
            "other_k": other[0],
            "other_n_latents": other[1],
            "median": float(np.median(cosines)),
        }
        rows += [
            pair | {"x": float(x), "share": float(share)} for x, share in zip(edges, shares, strict=False)
        ]
    return rows
