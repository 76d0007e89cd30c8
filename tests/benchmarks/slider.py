"""What a slider's move costs: score update and top 10 from kept columns, beside computing everything anew.

``python tests/benchmarks/slider.py [--folder FOLDER] [N_DOCUMENTS D_IN …]`` (272000 1536 and 30000 384 where nothing
is named) makes a search matrix of clustered unit vectors on disk, memory-mapped as a store's is, and measures in one
run: a move of a slider whose column is known, with one, four and eight edited features, and of one after the other of
eight; the same query searched anew;
a new feature's column; a new query; and a plain float32 product over all embeddings. Making the larger matrix takes
a minute or two; with ``--folder`` it is kept there for the next time.
"""

import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).parents[2]))

from sae.search import Searcher, quantise
from sae.steer import Steered, cosine

SHAPES = ((272_000, 1536), (30_000, 384))
BLOCK = 8_000
TOPICS = 300


class MappedCorpus:
    """Embeddings and search rows as a store maps them."""

    def __init__(self, folder: Path, n_documents: int, d_in: int) -> None:
        shape = (n_documents, d_in)
        folder = folder / f"{n_documents}x{d_in}"
        if not (folder / "scales.npy").exists():
            folder.mkdir(parents=True, exist_ok=True)
            self._make(folder, shape)
        self.search_scales = np.load(folder / "scales.npy")
        self.embeddings = np.load(folder / "embeddings.npy", mmap_mode="r")
        self.search_rows = np.load(folder / "search.npy", mmap_mode="r")

    @staticmethod
    def _make(folder: Path, shape: tuple[int, int]) -> None:
        n_documents, d_in = shape
        rng = np.random.default_rng(0)
        topics = rng.standard_normal((TOPICS, d_in), np.float32) + 0.5 * rng.standard_normal(d_in)
        noise = rng.standard_normal((BLOCK, d_in), np.float32)
        rows = np.lib.format.open_memmap(folder / "embeddings.npy", "w+", np.float16, shape)
        coarse = np.lib.format.open_memmap(folder / "search.npy", "w+", np.int8, shape)
        scales = np.zeros((n_documents, 2), np.float32)
        for start in range(0, n_documents, BLOCK):
            piece = slice(start, min(n_documents, start + BLOCK))
            size = piece.stop - start
            # The same noise in another order of dimensions: another document for the price of a copy.
            made = (
                topics[rng.integers(0, TOPICS, size)] + np.float32(1.2) * noise[:size, rng.permutation(d_in)]
            )
            rows[piece] = made / np.linalg.norm(made, axis=1, keepdims=True)
            coarse[piece], scales[piece] = quantise(rows[piece])
        rows.flush()
        coarse.flush()
        np.save(folder / "scales.npy", scales)


def milliseconds(call: Callable[[int], object], repeats: int) -> float:
    """Median time of a call."""
    times = []
    for i in range(repeats):
        started = time.perf_counter()
        call(i)
        times.append(1e3 * (time.perf_counter() - started))
    return float(np.median(times))


def measure(n_documents: int, d_in: int, kept: Path | None) -> dict[str, float]:
    """Median milliseconds by what was done."""
    rng = np.random.default_rng(1)
    with tempfile.TemporaryDirectory() as folder:
        corpus = MappedCorpus(kept or Path(folder), n_documents, d_in)
        searcher = Searcher(corpus)
        x = corpus.embeddings[17].astype(np.float32)
        directions = rng.standard_normal((64, d_in)).astype(np.float32)
        directions /= np.linalg.norm(directions, axis=1, keepdims=True)
        searcher.columns([x, *directions[:8]])

        def steered(n: int, i: int, which: int = 0) -> Steered:
            amounts = [0.02] * n
            amounts[which] = 0.1 + 0.001 * i
            vector = (x + amounts @ directions[:n]).astype(np.float32)
            return Steered(vector, cosine(x, vector), x, list(directions[:n]), amounts)

        moves = {n: [steered(n, i) for i in range(40)] for n in (1, 4, 8)}
        times = {
            f"a slider's move, {n} edited": milliseconds(lambda i, m=m: searcher.search_steered(m[i]), 40)
            for n, m in moves.items()
        }
        turns = [steered(8, i, i % 8) for i in range(40)]
        times["one after the other of 8 edited"] = milliseconds(
            lambda i: searcher.search_steered(turns[i]), 40
        )
        times["the same, searched anew"] = milliseconds(lambda i: searcher.search(moves[1][i].vector), 5)
        times["a new feature's column"] = milliseconds(lambda i: searcher.columns([directions[8 + i]]), 5)
        times["a new query"] = milliseconds(lambda i: searcher.search(-moves[1][i].vector), 5)

        def plain(_: int) -> None:
            scores = np.concatenate(
                [
                    corpus.embeddings[start : start + BLOCK].astype(np.float32) @ moves[1][0].vector
                    for start in range(0, n_documents, BLOCK)
                ]
            )
            np.argpartition(scores, -10)

        times["plain float32 product of all"] = milliseconds(plain, 2)
    return times


def main() -> None:
    """Print one line a measurement: milliseconds, and how many moves it is worth."""
    words, kept = sys.argv[1:], None
    if "--folder" in words:
        at = words.index("--folder")
        kept = Path(words[at + 1])
        del words[at : at + 2]
    sizes = [int(word) for word in words]
    for n_documents, d_in in list(zip(sizes[::2], sizes[1::2], strict=True)) or SHAPES:
        times = measure(n_documents, d_in, kept)
        one = times["a slider's move, 1 edited"]
        print(f"\n{n_documents:,} × {d_in}\n{'':34}{'ms':>10}{'moves':>10}")
        for name, value in times.items():
            print(f"{name:34}{value:10.2f}{value / one:10.1f}")


if __name__ == "__main__":
    main()
