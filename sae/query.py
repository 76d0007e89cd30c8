"""Embed a query where the dashboard runs: the exported model in onnxruntime, without torch."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from tokenizers import Tokenizer

from sae.errors import UserError

MODEL_FILE = "model.onnx"
TOKENIZER_FILE = "tokenizer.json"
INPUTS = ("input_ids", "attention_mask")
OUTPUT = "sentence_vector"

MAX_TOKENS = 256
"""What all-MiniLM-L6-v2 was trained to read; its tokenizer file says 128, so it is set explicitly."""

MAX_CHARACTERS = 16_384
"""Longer texts are cut before they are split into tokens: 256 tokens of prose end long before."""

_BATCH = 16


def load_tokenizer(path: Path) -> Tokenizer:
    """The tokenizer of a file, truncating at MAX_TOKENS and adding no padding of its own."""
    tokenizer = Tokenizer.from_file(str(path))
    tokenizer.enable_truncation(max_length=MAX_TOKENS)
    tokenizer.no_padding()
    return tokenizer


def readable(text: str) -> str:
    """The text as the tokenizer can take it: at most MAX_CHARACTERS, lone surrogates replaced."""
    return text[:MAX_CHARACTERS].encode("utf-8", "replace").decode("utf-8")


def pad(token_ids: Sequence[Sequence[int]], length: int | None = None) -> tuple[np.ndarray, np.ndarray]:
    """(ids, mask), both int64 (n, length): rows filled up with 0, mask 1 where a token stands.

    ``length`` is that of the longest row when it is not given.
    """
    length = max(map(len, token_ids)) if length is None else length
    ids = np.zeros((len(token_ids), length), np.int64)
    mask = np.zeros((len(token_ids), length), np.int64)
    for row, tokens in enumerate(token_ids):
        ids[row, : len(tokens)] = tokens
        mask[row, : len(tokens)] = 1
    return ids, mask


class QueryEncoder:
    """The local embedding model of a build.

    Reads ``model.onnx`` and ``tokenizer.json`` from a folder that `build.query_encoder` wrote. One instance
    may be shared by threads. Raises UserError when the folder lacks a file or a file cannot be read.
    """

    def __init__(self, folder: str | Path, threads: int = 1) -> None:
        folder = Path(folder)
        for name in (MODEL_FILE, TOKENIZER_FILE):
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
        """Embeddings of the texts: float32 (n, d_in), unit rows. A text beyond MAX_TOKENS is cut there."""
        out = np.empty((len(texts), self.d_in), np.float32)
        for start in range(0, len(texts), _BATCH):
            encodings = self._tokenizer.encode_batch(
                [readable(text) for text in texts[start : start + _BATCH]]
            )
            ids, mask = pad([encoding.ids for encoding in encodings])
            feeds = dict(zip(INPUTS, (ids, mask), strict=True))
            out[start : start + _BATCH] = self._session.run([OUTPUT], feeds)[0]
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
