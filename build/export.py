"""``python -m build.export [STORE] [FOLDER]``: SAEs as safetensors with a config, features as Parquet and CSV.

The layout is that of SAELens: ``cfg.json`` and ``sae_weights.safetensors`` with W_enc (d_in, n_latents), W_dec
(n_latents, d_in), b_enc and b_dec. The standardisation of embeddings is folded into the weights, so they apply
to embeddings as they are: b_dec = mean + scale · pre_bias, W_enc / scale, W_dec · scale. Activations stay the same.
"""

import json
import shutil
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv
import typer
from safetensors.numpy import save_file

from build.display import Display, fail
from sae import schema
from sae.encode import Weights
from sae.errors import UserError
from sae.store import SAE, open_store


def main(
    store: Annotated[str, typer.Argument(help="An artifacts folder, a bundle, or an address.")] = "artifacts",
    folder: Annotated[Path, typer.Argument(help="Where to write.")] = Path("export"),
) -> None:
    """Write every SAE of a store and its features in forms that other programs read."""
    display = Display()
    try:
        opened = open_store(store)
        for corpus_name in opened.corpora:
            corpus = opened.corpus(corpus_name)
            for name in corpus.saes:
                display.say(f"wrote {export_sae(corpus.sae(name), folder / corpus_name / name)}/")
    except OSError as error:
        fail(f"{folder} cannot be written ({error.strerror}). Name another folder.")
        raise typer.Exit(1) from None
    except UserError as error:
        fail(str(error))
        raise typer.Exit(1) from None


def export_sae(sae: SAE, folder: Path) -> Path:
    """Write cfg.json, sae_weights.safetensors, features.parquet and features.csv of one SAE; the folder."""
    folder.mkdir(parents=True, exist_ok=True)
    tensors = folded(sae.weights)
    save_file(tensors, str(folder / "sae_weights.safetensors"))
    corpus = sae.corpus
    config: dict[str, Any] = {
        "architecture": "topk",
        "k": sae.k,
        "d_in": corpus.d_in,
        "d_sae": sae.n_latents,
        "dtype": "float32",
        "device": "cpu",
        "apply_b_dec_to_input": True,
        "rescale_acts_by_decoder_norm": False,
        "normalize_activations": "none",
        "reshape_activations": "none",
        "metadata": {"corpus": corpus.name, "sae": sae.name, "build": corpus.store.manifest.build},
    }
    if sae.weights.threshold:
        # Trained with BatchTopK. What would be cut off beyond k active features has no place in this layout.
        config["architecture"] = "jumprelu"
        del config["k"]
    (folder / "cfg.json").write_text(json.dumps(config, indent=1) + "\n", encoding="utf-8")
    features = sae.features()
    shutil.copyfile(sae.table(schema.FEATURES), folder / "features.parquet")
    pyarrow.csv.write_csv(_flat(features), folder / "features.csv")
    return folder


def folded(weights: Weights) -> dict[str, np.ndarray]:
    """Weights for embeddings that are not standardised, float32: W_enc, W_dec, b_enc, b_dec."""
    scale = np.float32(weights.scale)
    thresholds = np.full(weights.n_latents, weights.threshold, np.float32)
    return ({"threshold": thresholds} if weights.threshold else {}) | {
        "W_enc": np.ascontiguousarray(weights.W_enc.T / scale),
        "W_dec": np.ascontiguousarray(weights.W_dec * scale),
        "b_enc": np.ascontiguousarray(weights.latent_bias),
        "b_dec": np.ascontiguousarray(weights.mean + scale * weights.pre_bias),
    }


def _flat(table: pa.Table) -> pa.Table:
    """Lists as text with semicolons, since CSV knows no lists; no text that a spreadsheet would run."""
    for at, field in enumerate(table.schema):
        column = table.column(at)
        if pa.types.is_list(field.type):
            column = pc.binary_join(column.cast(pa.list_(pa.string())), "; ")
        if pa.types.is_string(column.type):
            of_text = pa.types.is_string(getattr(field.type, "value_type", field.type))
            column = _neutral(column) if of_text else column
        table = table.set_column(at, field.name, column)
    return table


def _neutral(column: pa.ChunkedArray) -> pa.ChunkedArray:
    """Cells that begin like a formula get an apostrophe before them, so that a spreadsheet shows them as text."""
    return pc.replace_substring_regex(column, r"\A([=+\-@\t\r])", r"'\1")


if __name__ == "__main__":
    typer.run(main)
