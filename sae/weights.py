"""The weights of an SAE in a store: written once by the build, checked whenever they are read."""

import math
from pathlib import Path
from typing import Any

import numpy as np

from sae import schema
from sae.arrays import Group, write_group
from sae.encode import Weights
from sae.manifest import StoreError


def write_weights(path: Path, weights: Weights) -> None:
    """Write a Zarr group with the arrays of schema.SAE_ARRAYS and k and scale as attributes."""
    arrays = {name: getattr(weights, name) for name in schema.SAE_ARRAYS}
    write_group(path, arrays, schema.SAE_ARRAYS, k=weights.k, scale=float(weights.scale))


def read_weights(path: Path, d_in: int | None = None, n_latents: int | None = None) -> Weights:
    """Read what write_weights wrote. Raises StoreError unless shapes agree and every number is finite."""
    group = Group(path, schema.SAE_ARRAYS, schema.SAE_ATTRIBUTES)
    arrays = {name: group.read(name) for name in schema.SAE_ARRAYS}
    k: Any = group.attributes["k"]
    scale: Any = group.attributes["scale"]
    n_latents, width = arrays["W_enc"].shape if arrays["W_enc"].ndim == 2 else (0, 0)
    shapes = {
        "W_dec": (n_latents, width),
        "pre_bias": (width,),
        "latent_bias": (n_latents,),
        "mean": (width,),
    }
    sound = (
        (d_in is None or width == d_in)
        and all(arrays[name].shape == shape for name, shape in shapes.items())
        and isinstance(k, int)
        and 0 < k <= n_latents
        and isinstance(scale, float)
        and math.isfinite(scale)
        and scale > 0
        and all(np.isfinite(array).all() for array in arrays.values())
    )
    if not sound:
        raise StoreError(f"{path} does not hold a valid SAE. Run `make verify` to list every damaged file.")
    return Weights(**arrays, scale=scale, k=k)
