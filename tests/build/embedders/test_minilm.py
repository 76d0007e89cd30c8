"""The local embedder: equal to the slow way, whatever the batch, and the same after a kill."""

import subprocess
import sys
from functools import cache
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.numpy import load_file

from build.embedders import embed_corpus, make_embedder
from build.embedders.bert import Encoder, has_bfloat16_units
from build.embedders.minilm import (
    TOKENS_A_BATCH,
    WEIGHTS_FILE,
    MiniLMEmbedder,
    check_files,
    model_folder,
)
from sae.errors import UserError
from sae.query import load_tokenizer

WORDS = ["stars", "gas", "model", "field", "network", "learning", "galaxy", "noise", "the", "of", "in"]


def make_texts(n: int, seed: int = 0, longest: int = 300) -> list[str]:
    rng = np.random.default_rng(seed)
    return [" ".join(rng.choice(WORDS, rng.integers(1, longest))) for _ in range(n)]


@pytest.fixture(scope="module")
def embedder() -> MiniLMEmbedder:
    return MiniLMEmbedder()


@cache
def float64_weights() -> dict[str, np.ndarray]:
    tensors = load_file(model_folder() / WEIGHTS_FILE)
    return {name: tensor.astype(np.float64) for name, tensor in tensors.items()}


def by_hand(text: str) -> np.ndarray:
    """BERT as its paper writes it, in float64, one text at a time and one head at a time."""
    weights = float64_weights()

    def linear(x: np.ndarray, name: str) -> np.ndarray:
        return x @ weights[f"{name}.weight"].T + weights[f"{name}.bias"]

    def norm(x: np.ndarray, name: str) -> np.ndarray:
        centred = x - x.mean(1, keepdims=True)
        scaled = centred / np.sqrt((centred**2).mean(1, keepdims=True) + 1e-12)
        return scaled * weights[f"{name}.weight"] + weights[f"{name}.bias"]

    ids = load_tokenizer(model_folder() / "tokenizer.json").encode(text).ids
    names = [f"embeddings.{kind}_embeddings.weight" for kind in ("word", "position", "token_type")]
    x = weights[names[0]][ids] + weights[names[1]][: len(ids)] + weights[names[2]][0]
    x = norm(x, "embeddings.LayerNorm")
    for i in range(6):
        layer = f"encoder.layer.{i}"
        query, key, value = (
            linear(x, f"{layer}.attention.self.{part}") for part in ("query", "key", "value")
        )
        mixed = np.empty_like(x)
        for head in range(12):
            part = slice(32 * head, 32 * head + 32)
            weight = np.exp(query[:, part] @ key[:, part].T / np.sqrt(32))
            mixed[:, part] = weight / weight.sum(1, keepdims=True) @ value[:, part]
        x = norm(x + linear(mixed, f"{layer}.attention.output.dense"), f"{layer}.attention.output.LayerNorm")
        wide = torch.nn.functional.gelu(torch.from_numpy(linear(x, f"{layer}.intermediate.dense"))).numpy()
        x = norm(x + linear(wide, f"{layer}.output.dense"), f"{layer}.output.LayerNorm")
    mean = x.mean(0)
    return mean / np.linalg.norm(mean)


def test_float32_equals_the_forward_pass_by_hand() -> None:
    texts = [*make_texts(3), "", "Ünïcode ✨ 数据", "deep learning"]
    found = MiniLMEmbedder(arithmetic="float32").embed(texts)
    expected = np.stack([by_hand(text) for text in texts])
    np.testing.assert_allclose(found, expected, atol=2e-6)


def test_chosen_arithmetic_stays_close_to_float32(embedder: MiniLMEmbedder) -> None:
    texts = make_texts(60)
    cosines = (embedder.embed(texts) * MiniLMEmbedder(arithmetic="float32").embed(texts)).sum(axis=1)
    assert cosines.min() > 0.997


def test_bfloat16_is_close_even_where_it_is_emulated() -> None:
    texts = make_texts(8, longest=40)
    bfloat16, float32 = (MiniLMEmbedder(arithmetic=a).embed(texts) for a in ("bfloat16", "float32"))
    assert (bfloat16 * float32).sum(axis=1).min() > 0.997


def test_unpacked_products_give_the_same_to_rounding() -> None:
    encoder = Encoder(model_folder() / WEIGHTS_FILE)
    ids = torch.randint(1000, 20000, (3, 24), generator=torch.Generator().manual_seed(0))
    mask = torch.ones(3, 24, dtype=torch.bool)
    mask[1, 10:] = False
    with torch.inference_mode():
        plain = encoder(ids, mask)
        packed = encoder.pack(72)(ids, mask)
    torch.testing.assert_close(plain, packed, atol=1e-5, rtol=0)


def test_rows_are_unit_float32_in_the_order_of_the_texts(embedder: MiniLMEmbedder) -> None:
    texts = make_texts(40)
    found = embedder.embed(texts)
    assert found.dtype == np.float32
    assert found.shape == (40, 384)
    np.testing.assert_allclose(np.linalg.norm(found, axis=1), 1, atol=1e-6)
    alone = np.stack([embedder.embed([text])[0] for text in texts[:6]])
    assert (alone * found[:6]).sum(axis=1).min() > 0.9999


def test_odd_texts_are_embedded(embedder: MiniLMEmbedder) -> None:
    odd = ["", " ", "\x00", "\ud83d", "🌌" * 500, "x" * 100_000, "a\n\nb", "\u200b"]
    found = embedder.embed(odd)
    assert np.isfinite(found).all()
    np.testing.assert_allclose(np.linalg.norm(found, axis=1), 1, atol=1e-6)
    assert embedder.embed([]).shape == (0, 384)


@settings(max_examples=30, deadline=None)
@given(st.lists(st.text("ab ", max_size=900), max_size=60))
def test_batches_hold_every_text_once_and_are_not_too_large(
    embedder: MiniLMEmbedder, texts: list[str]
) -> None:
    batches = embedder.plan_batches(texts)
    assert sorted(i for batch in batches for i in batch.positions) == list(range(len(texts)))
    for batch in batches:
        lengths = [len(ids) for ids in batch.inputs]
        assert len(lengths) * max(lengths) <= TOKENS_A_BATCH
        assert max(lengths) - min(lengths) < 8


def test_texts_that_are_cut_are_counted(embedder: MiniLMEmbedder) -> None:
    embedder.plan_batches(["short", "word " * 300, "word " * 254, "word " * 255])
    assert embedder.truncated == 2


class KilledError(Exception):
    pass


@pytest.mark.parametrize("kill_at", [1, 7, 20])
def test_a_killed_run_that_goes_on_gives_the_same_bits(
    embedder: MiniLMEmbedder, tmp_path: Path, kill_at: int
) -> None:
    texts = make_texts(500, longest=30) + make_texts(60, seed=1)
    undisturbed = embed_corpus(embedder, texts, tmp_path / "whole.sqlite")
    calls = 0

    def kill(done: int, total: int, note: str) -> None:
        nonlocal calls
        calls += 1
        if calls == kill_at:
            raise KilledError

    with pytest.raises(KilledError):
        embed_corpus(embedder, texts, tmp_path / "killed.sqlite", kill)
    notes = []
    resumed = embed_corpus(embedder, texts, tmp_path / "killed.sqlite", lambda *report: notes.append(report))
    np.testing.assert_array_equal(resumed, undisturbed)
    assert notes[0][0] > 0
    assert "from the cache" in notes[0][2]
    assert notes[-1][0] == notes[-1][1]
    again = []
    rerun = embed_corpus(embedder, texts, tmp_path / "killed.sqlite", lambda *report: again.append(report))
    np.testing.assert_array_equal(rerun, undisturbed)
    assert again == [(560 - len(texts) + len(set(texts)), len(set(texts)), "all from the cache")]


def test_repeated_texts_are_embedded_once(embedder: MiniLMEmbedder, tmp_path: Path) -> None:
    totals = set()
    texts = ["dark matter", "deep learning", "dark matter"]
    found = embed_corpus(embedder, texts, tmp_path / "c.sqlite", lambda done, total, note: totals.add(total))
    assert totals == {2}
    np.testing.assert_array_equal(found[0], found[2])


def test_threads_are_left_as_they_were(embedder: MiniLMEmbedder) -> None:
    before = torch.get_num_threads()
    embedder.embed(["a", "b c d e f g h i j k l"])
    assert torch.get_num_threads() == before


def test_changed_weights_are_refused(tmp_path: Path) -> None:
    for name in (WEIGHTS_FILE, "tokenizer.json"):
        (tmp_path / name).write_bytes((model_folder() / name).read_bytes())
    check_files(tmp_path)
    with (tmp_path / WEIGHTS_FILE).open("r+b") as file:
        file.seek(50_000_000)
        byte = file.read(1)[0]
        file.seek(50_000_000)
        file.write(bytes([byte ^ 1]))
    with pytest.raises(UserError, match=r"model.safetensors has sha256"):
        MiniLMEmbedder(folder=tmp_path).embed(["a"])
    (tmp_path / WEIGHTS_FILE).unlink()
    with pytest.raises(UserError, match="cannot be read"):
        MiniLMEmbedder(folder=tmp_path).embed(["a"])


def test_no_package_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(UserError, match="pip install"):
        model_folder()


def test_making_it_reads_nothing_and_loads_no_framework() -> None:
    code = (
        "import sys; from build.embedders import make_embedder;"
        "assert make_embedder({'kind': 'minilm'}).d_in == 384;"
        "sys.exit(any(name in sys.modules for name in ('torch', 'transformers', 'openai')))"
    )
    assert subprocess.run([sys.executable, "-c", code], cwd=Path(__file__).parents[3]).returncode == 0


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        ({"kind": "word2vec"}, "kind is 'word2vec'"),
        ({}, "kind is None"),
        ({"kind": "minilm", "modle": "x"}, "no modle"),
        ({"kind": "minilm", "arithmetic": "int4"}, "int4"),
        ({"kind": "precomputed"}, "path"),
        ({"kind": "precomputed", "path": "nowhere.npy"}, "does not exist"),
    ],
)
def test_a_wrong_table_is_told(spec: dict[str, str], message: str) -> None:
    with pytest.raises(UserError, match=message):
        make_embedder(spec)


def test_bfloat16_needs_units() -> None:
    flags = Path("/proc/cpuinfo").read_text() if Path("/proc/cpuinfo").exists() else ""
    if "flags" in flags:
        assert has_bfloat16_units() == ("avx512_bf16" in flags or "amx_bf16" in flags)
