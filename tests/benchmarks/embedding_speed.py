"""How much faster the local embedder is than sentence-transformers as it comes, in one run, alternating.

    python tests/benchmarks/embedding_speed.py [texts.parquet | texts.txt] [--n 300] [--rounds 3]

Texts: a Parquet file with columns title and abstract (or text), a file with one text a line, or generated
ones with the lengths of abstracts. sentence-transformers is needed here and nowhere else.
"""

import argparse
import os
import sys
import time
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).parents[2]))
os.environ["HF_HUB_OFFLINE"] = "1"


def read_texts(path: Path | None, n: int) -> list[str]:
    if path is None:
        rng = np.random.default_rng(0)
        words = ["the", "of", "model", "field", "data", "noise", "network", "galaxy", "inference", "bound"]
        return [
            " ".join(rng.choice(words, size)) for size in rng.normal(200, 50, n).clip(20, 250).astype(int)
        ]
    if path.suffix == ".parquet":
        import pyarrow.parquet as pq

        table = pq.read_table(path)
        body = "abstract" if "abstract" in table.column_names else "text"
        pairs = zip(table["title"].to_pylist(), table[body].to_pylist(), strict=True)
        texts = [" ".join(title.split()) + "\n\n" + " ".join(text.split()) for title, text in pairs]
    else:
        texts = path.read_text(encoding="utf-8").splitlines()
    chosen = np.random.default_rng(0).permutation(len(texts))[:n]
    return [texts[i] for i in chosen]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("texts", nargs="?", type=Path)
    parser.add_argument("--n", type=int, default=300)
    parser.add_argument("--rounds", type=int, default=3)
    arguments = parser.parse_args()
    texts = read_texts(arguments.texts, arguments.n)

    from sentence_transformers import SentenceTransformer

    from build.embedders.minilm import MiniLMEmbedder, model_folder

    theirs = SentenceTransformer(str(model_folder()), device="cpu")
    ours = MiniLMEmbedder()
    tokens = sum(len(ids) for batch in ours.plan_batches(texts) for ids in batch.inputs) / len(texts)
    print(f"{len(texts)} texts of {tokens:.0f} tokens on average; {ours.name}", flush=True)
    runs = {
        "sentence-transformers": lambda t: theirs.encode(t, normalize_embeddings=True),
        "sextant": ours.embed,
    }
    rates: dict[str, list[float]] = {name: [] for name in runs}
    vectors: dict[str, np.ndarray] = {}
    for name in runs:
        runs[name](texts[:8])  # loads the weights
    for number in range(arguments.rounds):
        for name, run in runs.items():
            start, busy = time.perf_counter(), time.process_time()
            vectors[name] = np.asarray(run(texts))
            seconds, busy = time.perf_counter() - start, time.process_time() - busy
            rates[name].append(len(texts) / seconds)
            print(
                f"round {number + 1}  {name:22s} {len(texts) / seconds:7.1f} documents/s "
                f"({len(texts) / busy:.1f} for a second of one core)",
                flush=True,
            )
    ratios = np.array(rates["sextant"]) / np.array(rates["sentence-transformers"])
    cosine = (vectors["sextant"] * vectors["sentence-transformers"]).sum(axis=1).min()
    print(f"ratio: median {np.median(ratios):.2f}, rounds {np.round(ratios, 2)}; least cosine {cosine:.5f}")


if __name__ == "__main__":
    main()
