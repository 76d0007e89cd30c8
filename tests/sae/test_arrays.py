"""Arrays of the store come back as they were written, also where a file would hold nothing but zeros."""

from pathlib import Path

import numpy as np
import pytest

from sae.storage.arrays import Group, write_group


@pytest.mark.parametrize("first", [0, 1])
def test_zeros_are_written_and_read(tmp_path: Path, first: float) -> None:
    values = np.zeros((3000, 600), np.float32)  # more than one shard
    values[0, 0] = first
    write_group(tmp_path / "group", {"a": values}, {"a": "float32"})
    np.testing.assert_array_equal(Group(tmp_path / "group", {"a": "float32"}).read("a"), values)
