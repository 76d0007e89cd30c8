"""A build that torchrun starts as two processes trains in both and writes once, what one process writes."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from sae import schema
from sae.storage.arrays import read_table
from tests.build.here import build

PROFILE = """
[[corpora]]
name = "planted"
source = { kind = "synthetic", n_documents = 150, seed = 0 }
[[saes]]
k = 3
n_latents = 64
[training]
steps = 20
batch_size = 51
learning_rate = 3e-3
path = "reference"
[tuning]
input_noise = [0.2, 0.4]
steps = 20
"""


@pytest.mark.slow
def test_two_processes_build_what_one_builds(tmp_path: Path) -> None:
    (tmp_path / "p.toml").write_text(PROFILE)
    options = ["--profile", str(tmp_path / "p.toml"), "--only", "train", "--out"]
    assert build(*options, tmp_path / "one") == 0
    torchrun = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
    command = [*torchrun, "-m", "build", *options, str(tmp_path / "two"), "--plain"]
    ended = subprocess.run(command, capture_output=True, text=True, timeout=900)
    assert ended.returncode == 0, ended.stdout + ended.stderr[-2000:]
    assert ended.stdout.count("train planted SAE3 …") == 1  # one process speaks
    tables = []
    for name in ("one", "two"):
        (folder,) = (tmp_path / name / "work" / "stages").glob("train-*")
        tables.append(read_table(folder / schema.TRAINING, schema.TRAINING_COLUMNS).to_pandas())
    for column in tables[0]:
        np.testing.assert_allclose(tables[1][column], tables[0][column], rtol=1e-4, err_msg=column)
