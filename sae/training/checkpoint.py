"""Checkpoints of training: one npz file without pickle, replaced in one move, resumed exactly."""

import json
import os
import zipfile
from pathlib import Path
from typing import Any

import numpy as np

from sae.errors import UserError
from sae.training.stepper import State

_DESCRIPTION = "description"


def save_checkpoint(path: Path, description: dict[str, Any], arrays: State) -> None:
    """Write ``arrays`` and ``description`` (what the run is: configs, data, steps done) to ``path``.

    A neighbour file is written and synced first and then moved over ``path``, so that a run killed at any
    moment leaves the old checkpoint or the new one.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    beside = path.with_name(path.name + ".partial")
    text = np.frombuffer(json.dumps(description).encode(), np.uint8)
    with open(beside, "wb") as file:
        np.savez(file, allow_pickle=False, **{_DESCRIPTION: text}, **arrays)
        file.flush()
        os.fsync(file.fileno())
    os.replace(beside, path)


def load_checkpoint(path: Path, expected: dict[str, Any]) -> tuple[dict[str, Any], State] | None:
    """Description and arrays of the checkpoint at ``path``, or None when there is none.

    UserError when it cannot be read, or when it belongs to a run that differs in a key of ``expected``.
    """
    if not path.exists():
        return None
    try:
        with np.load(path, allow_pickle=False) as file:
            description = json.loads(bytes(file[_DESCRIPTION]))
            arrays = {name: file[name] for name in file.files if name != _DESCRIPTION}
    except (OSError, KeyError, ValueError, EOFError, zipfile.BadZipFile) as error:
        raise UserError(f"The checkpoint {path} is damaged ({error}); delete it to start anew.") from error
    for key, value in json.loads(json.dumps(expected)).items():
        if description.get(key) != value:
            raise UserError(
                f"The checkpoint {path} belongs to a run with {key} = {description.get(key)}, this run has "
                f"{value}; delete the checkpoint to start anew."
            )
    return description, arrays
