"""Two processes on this machine train as one does: same curve, same weights, one checkpoint."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from sae.config import SAEConfig
from sae.errors import UserError
from sae.train import choose_path
from sae.training.peers import ALONE, Peers
from tests.sae import train_together


def test_two_processes_have_the_curve_of_one(tmp_path: Path) -> None:
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
    train_together.main(tmp_path / "one")
    torchrun = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
    command = [*torchrun, train_together.__file__, str(tmp_path / "two")]
    ended = subprocess.run(command, capture_output=True, text=True, timeout=900)
    assert ended.returncode == 0, ended.stderr[-2000:]
    one, first, second = (np.load(tmp_path / p) for p in ("one/rank0.npz", "two/rank0.npz", "two/rank1.npz"))
    assert one["aux_loss"].max() > 0
    assert one["dead"].max() > 0
    for name in one.files:
        np.testing.assert_array_equal(first[name], second[name], err_msg=f"{name} of both processes")
        np.testing.assert_allclose(first[name], one[name], rtol=2e-4, atol=2e-5, err_msg=name)


def test_parts_cover_a_batch_once() -> None:
    for n in (0, 1, 5, 1024):
        rows = np.arange(n)
        parts = [rows[Peers(rank, 3).part(n)] for rank in range(3)]
        np.testing.assert_array_equal(np.concatenate(parts), rows)
    assert ALONE.part(7) == slice(0, 7)


def test_what_needs_one_process_says_so() -> None:
    with pytest.raises(UserError, match="torchrun"):
        choose_path("fast", SAEConfig(4, 8, 2), Peers(0, 2))
    with pytest.raises(UserError, match="torchrun"):
        choose_path("auto", SAEConfig(4, 8, 2, batch_topk=True), Peers(0, 2))
    assert choose_path("auto", SAEConfig(4, 8, 2), Peers(1, 2)) == "reference"
