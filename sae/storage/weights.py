"""The weights of an SAE in a store: written once by the build, checked whenever they are read."""

import math
from collections.abc import Callable
from pathlib import Path

import numpy as np

from sae import schema
from sae.encode import Weights
from sae.storage.arrays import Group, write_group
from sae.storage.manifest import StoreError

_THRESHOLD = "threshold"
"""Attribute of an SAE trained with BatchTopK, beside schema.SAE_ATTRIBUTES; other SAEs have none."""


def write_weights(path: Path, weights: Weights) -> None:
    """Write a Zarr group with the arrays of schema.SAE_ARRAYS, k and scale as attributes, and a threshold where
    there is one."""
    arrays = {name: getattr(weights, name) for name in schema.SAE_ARRAYS}
    attributes = {"k": weights.k, "scale": float(weights.scale)}
    if weights.threshold:
        attributes[_THRESHOLD] = float(weights.threshold)
    write_group(path, arrays, schema.SAE_ARRAYS, **attributes)


def read_weights(
    path: Path,
    d_in: int | None = None,
    n_latents: int | None = None,
    verified: Callable[[Path], object] | None = None,
) -> Weights:
    """Read what write_weights wrote. Raises StoreError unless shapes agree and every number is finite."""
    group = Group(path, schema.SAE_ARRAYS, schema.SAE_ATTRIBUTES, (_THRESHOLD,), verified)
    k, scale = group.attributes["k"], group.attributes["scale"]
    threshold = group.attributes.get(_THRESHOLD, 0.0)
    found = group.shape("W_enc")
    rows, width = found if len(found) == 2 else (0, 0)
    shapes = {"W_dec": (rows, width), "pre_bias": (width,), "latent_bias": (rows,), "mean": (width,)}
    sound = (
        (d_in is None or width == d_in)
        and (n_latents is None or rows == n_latents)
        and all(group.shape(name) == shape for name, shape in shapes.items())
        and type(k) is int
        and 0 < k <= rows
        and isinstance(scale, float)
        and math.isfinite(scale)
        and scale > 0
        and isinstance(threshold, float)
        and math.isfinite(threshold)
        and threshold >= 0
    )
    arrays = {name: group.read(name) for name in schema.SAE_ARRAYS} if sound else {}
    if not sound or not all(np.isfinite(array).all() for array in arrays.values()):
        raise StoreError(f"{path} does not hold a valid SAE. Run `make verify` to list every damaged file.")
    return Weights(**arrays, scale=scale, k=k, threshold=threshold)
