"""The threshold of an autoencoder trained with BatchTopK: what is active when there is no batch."""

import numpy as np
import numpy.typing as npt


def threshold_of(top_acts: npt.NDArray[np.floating], k: int) -> float:
    """Least activation that counts, so that k a document do on average.

    ``top_acts`` (n, width): the largest activations of n documents, clean ones that were not trained on, since
    activations of both kinds are larger in training. 0 where fewer than k · n are above 0.
    """
    count = k * len(top_acts)
    if count == 0 or count > top_acts.size:
        return 0.0
    flat = top_acts.ravel()
    return float(max(0.0, np.partition(flat, flat.size - count)[flat.size - count]))
