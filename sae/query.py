"""Embed a query where the dashboard runs: the exported model in onnxruntime, without torch."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from tokenizers import Tokenizer

from sae.errors import UserError

MODEL_FILE = "model.onnx"
WEIGHTS_FILE = "weights.bin"
TOKENIZER_FILE = "tokenizer.json"
INPUT = "input_ids"
OUTPUT = "sentence_vector"

MAX_TOKENS = 256
"""What all-MiniLM-L6-v2 was trained to read; its tokenizer file says 128, so it is set explicitly."""

MAX_CHARACTERS = 16_384
"""Longer texts are cut before they are split into tokens: 256 tokens of prose end long before."""


def load_tokenizer(path: Path) -> Tokenizer:
    """The tokenizer of a file, truncating at MAX_TOKENS and adding no padding of its own."""
    tokenizer = Tokenizer.from_file(str(path))
    tokenizer.enable_truncation(max_length=MAX_TOKENS)
    tokenizer.no_padding()
    return tokenizer


def readable(text: str) -> str:
    """The text as the tokenizer can take it: at most MAX_CHARACTERS, lone surrogates replaced."""
    return text[:MAX_CHARACTERS].encode("utf-8", "replace").decode("utf-8")


class QueryEncoder:
    """The local embedding model of a build.

    Reads ``model.onnx``, ``weights.bin`` (memory-mapped) and ``tokenizer.json`` from a folder that
    `build.query_encoder` wrote. One instance may be shared by threads. Raises UserError when the folder lacks
    a file or a file cannot be read.
    """

    def __init__(self, folder: str | Path, threads: int = 1) -> None:
        folder = Path(folder)
        for name in (MODEL_FILE, WEIGHTS_FILE, TOKENIZER_FILE):
            if not (folder / name).is_file():
                raise UserError(f"The query encoder in {folder} lacks {name}. Run `make artifacts`.")
        try:
            self._tokenizer = load_tokenizer(folder / TOKENIZER_FILE)
            self._session = _open_session(folder / MODEL_FILE, threads)
        except Exception as error:  # both libraries raise bare exceptions of their own
            reason = str(error).splitlines()[0][:200]
            raise UserError(
                f"The query encoder in {folder} cannot be read ({reason}). "
                "Run `make verify`, then `make artifacts`."
            ) from None
        self.d_in = int(self._session.get_outputs()[0].shape[1])

    def encode(self, texts: Sequence[str]) -> np.ndarray:
        """Embeddings of the texts: float32 (n, d_in), unit rows. A text beyond MAX_TOKENS is cut there.

        One text a run: nothing is padded, a vector does not depend on its neighbours, and the memory of a run
        stays small (16 long texts together take 250 MB for a moment).
        """
        out = np.empty((len(texts), self.d_in), np.float32)
        for row, text in enumerate(texts):
            ids = np.array([self._tokenizer.encode(readable(text)).ids], np.int64)
            out[row] = self._session.run([OUTPUT], {INPUT: ids})[0][0]
        return out


def _open_session(path: Path, threads: int) -> Any:
    # Imported here, so that the words above can be shared with code that needs no onnxruntime.
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.enable_cpu_mem_arena = False  # the arena keeps the peak of the longest query for ever
    options.enable_mem_pattern = False  # query lengths vary: a pattern is planned for each and kept
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")  # an idle server stays idle
    options.log_severity_level = 3
    return onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
