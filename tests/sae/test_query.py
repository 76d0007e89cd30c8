"""The dashboard's query encoder against the model that embedded the corpus."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from build.embedders.minilm import MiniLMEmbedder
from build.query_encoder import CHECK_TEXTS, LEAST_COSINE, export_query_encoder
from sae import schema
from sae.errors import UserError
from sae.query import MODEL_FILE, TOKENIZER_FILE, WEIGHTS_FILE, QueryEncoder
from sae.store import open_store

FILES = (MODEL_FILE, WEIGHTS_FILE, TOKENIZER_FILE)


@pytest.fixture(scope="module")
def exported(tiny_store: Path) -> Path:
    """What the build exported, in another process."""
    return open_store(tiny_store).path / schema.QUERY_ENCODER


@pytest.fixture(scope="module")
def encoder(exported: Path) -> QueryEncoder:
    return QueryEncoder(exported)


def test_vectors_are_the_models(encoder: QueryEncoder) -> None:
    texts = [*CHECK_TEXTS, "steerable search", "planets " * 3]
    found = encoder.encode(texts)
    assert found.dtype == np.float32
    assert found.shape == (len(texts), encoder.d_in) == (len(texts), 384)
    np.testing.assert_allclose(np.linalg.norm(found, axis=1), 1, atol=1e-6)
    reference = MiniLMEmbedder(arithmetic="float32").embed(texts)
    assert (found * reference).sum(axis=1).min() > 0.9999


def test_a_vector_does_not_depend_on_its_neighbours(encoder: QueryEncoder) -> None:
    texts = ["dark matter", "a much longer query about the formation of stars in cold clouds", ""]
    np.testing.assert_array_equal(encoder.encode(texts)[1], encoder.encode(texts[1:2])[0])
    assert encoder.encode([]).shape == (0, 384)


def test_256_tokens_are_read_and_not_128(encoder: QueryEncoder) -> None:
    words = ["field"] * 254  # and two marks: 256 tokens
    vectors = encoder.encode([" ".join(words), " ".join([*words[:-1], "bread"]), " ".join([*words, "bread"])])
    assert not np.array_equal(vectors[0], vectors[1])
    np.testing.assert_array_equal(vectors[0], vectors[2])


def test_exporting_again_gives_the_same_bytes(exported: Path, tmp_path: Path) -> None:
    facts = export_query_encoder(tmp_path)
    assert facts["least_cosine"] > LEAST_COSINE
    for name in FILES:
        assert (tmp_path / name).read_bytes() == (exported / name).read_bytes()


@pytest.mark.parametrize("name", FILES)
@pytest.mark.parametrize("damage", ["missing", "empty", "garbage"])
def test_a_damaged_folder_is_told(exported: Path, tmp_path: Path, name: str, damage: str) -> None:
    for other in FILES:
        (tmp_path / other).write_bytes((exported / other).read_bytes())
    if damage == "missing":
        (tmp_path / name).unlink()
    else:
        (tmp_path / name).write_bytes(b"" if damage == "empty" else b"garbage" * 10)
    with pytest.raises(UserError, match="make artifacts"):
        QueryEncoder(tmp_path)


def test_it_runs_without_the_builders_libraries(exported: Path) -> None:
    code = (
        "import sys; from sae.query import QueryEncoder; "
        f"assert QueryEncoder({str(exported)!r}).encode(['a']).shape == (1, 384);"
        "print(*{'torch', 'scipy', 'sklearn', 'openai', 'numba', 'onnx', 'transformers'} & set(sys.modules));"
        # Not getrusage: its maximum is inherited from the process that started this one.
        "from pathlib import Path; status = Path('/proc/self/status');"
        "print(status.read_text().split('VmHWM:')[1].split()[0] if status.exists() else 0)"
    )
    run = [sys.executable, "-c", code]
    loaded, peak = subprocess.check_output(run, cwd=Path(__file__).parents[2], text=True).split("\n")[:2]
    assert loaded == ""
    assert int(peak) < 250 * 1024  # KiB
