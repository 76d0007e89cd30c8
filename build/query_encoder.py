"""Stage: export the local embedding model for the dashboard, and check it against the model itself.

The graph is written node by node instead of being traced: the same bytes every time, a second instead of
twenty, and no exporter to depend on. Weights are stored as float16 and widened when the file is opened: half
the size, at a cosine of 0.999999 to float32. They stand in a file of their own, which onnxruntime
memory-maps.
"""

import shutil
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper
from safetensors.numpy import load_file

from build.embedders.bert import (
    D_IN,
    EMBEDDINGS,
    EPSILON,
    KINDS,
    N_HEADS,
    N_LAYERS,
    POSITIONS,
    WORDS,
    layer_names,
)
from build.embedders.minilm import WEIGHTS_FILE as MODEL_WEIGHTS
from build.embedders.minilm import WEIGHTS_SHA256, MiniLMEmbedder, check_files, model_folder
from build.work import Target, Work
from sae import schema
from sae.errors import UserError
from sae.progress import Progress, silent
from sae.query import INPUT, MAX_TOKENS, MODEL_FILE, OUTPUT, TOKENIZER_FILE, WEIGHTS_FILE, QueryEncoder

LEAST_COSINE = 0.9999
"""To the float32 model; below it, the export is refused."""

_PAGE = 4096  # Weights begin at a page's edge, as memory maps want it.
_INLINE_BYTES = 8192  # Smaller arrays stay in the graph.

CHECK_TEXTS = (
    "",
    " ",
    "a",
    "?",
    "dark matter",
    "graph neural networks for molecules",
    "papers that question benchmarks, not methods",
    "Café naïve façade Zürich Ωmega ﬁnal — “quoted”",
    "机器学习 与 深度 学习",
    "машинное обучение и нейронные сети",
    "تعلم الآلة",
    "🌌 galaxies 🔭 and 🤖 robots 👩‍🔬",
    "e\u0301 combining, \u200b zero width, \u00a0 no-break",
    "tab\tand\nnew line\r\nand \x00 control",
    "\ud83d lone surrogate",
    "https://example.org/a?b=c&d=%20 x_1^2 + \\alpha_{ij} = 3.14e-10",
    "supercalifragilisticexpialidocious" * 4,
    "x" * 300,
    "the " * 1000,
    "Stars form in cold clouds of gas. " * 60,
    "0123456789 " * 40,
    "MiXeD CaSe TITLE: A Study\n\nWe study things. " * 3,
    *(
        f"{word} " * n
        for word, n in (("lens", 5), ("model", 20), ("field", 60), ("noise", 120), ("flow", 254))
    ),
)


def settings(target: Target) -> object:
    return [_is_local(target.config.embedder), WEIGHTS_SHA256, MAX_TOKENS]


def run(work: Work) -> dict[str, Any]:
    if not _is_local(work.target.config.embedder):
        return {}
    return export_query_encoder(work.out / schema.QUERY_ENCODER, work.progress)


def _is_local(embedder: dict[str, Any]) -> bool:
    """Whether queries must be embedded by MiniLM; ``query`` names the model behind precomputed vectors."""
    table = embedder.get("query") or embedder
    return table.get("kind") == "minilm"


def export_query_encoder(folder: Path, progress: Progress | None = None) -> dict[str, Any]:
    """Write model.onnx, weights.bin and tokenizer.json to a folder; facts for the manifest.

    Equal weights give equal bytes. Raises UserError when the export strays from the float32 model.
    """
    progress = progress or silent
    source = model_folder()
    check_files(source)
    folder.mkdir(parents=True, exist_ok=True)
    graph = _Graph()
    _write_encoder(graph, load_file(source / MODEL_WEIGHTS))
    graph.save(folder)
    shutil.copyfile(source / TOKENIZER_FILE, folder / TOKENIZER_FILE)
    exported = QueryEncoder(folder).encode(CHECK_TEXTS)
    reference = MiniLMEmbedder(arithmetic="float32").embed(CHECK_TEXTS, progress)
    cosine = float((exported * reference).sum(axis=1).min())
    if not cosine > LEAST_COSINE:
        raise UserError(
            f"The exported query encoder has a cosine of {cosine:.5f} to the model, below {LEAST_COSINE}. "
            "Install the versions of requirements.txt and run `make artifacts` again."
        )
    return {"model": "all-MiniLM-L6-v2", "weights_sha256": WEIGHTS_SHA256, "least_cosine": round(cosine, 6)}


class _Graph:
    """Collects nodes and constants; every method gives the name of a value."""

    def __init__(self) -> None:
        self.nodes: list[onnx.NodeProto] = []
        self.constants: dict[str, onnx.TensorProto] = {}
        self.weights = bytearray()

    def constant(self, name: str, value: Any) -> str:
        array = np.ascontiguousarray(value)
        shape = np.shape(value)
        tensor = TensorProto(name=name, dims=shape, data_type=helper.np_dtype_to_tensor_dtype(array.dtype))
        if array.nbytes < _INLINE_BYTES:
            tensor.raw_data = array.tobytes()
        else:
            self.weights += bytes(-len(self.weights) % _PAGE)
            tensor.data_location = TensorProto.EXTERNAL
            place = {"location": WEIGHTS_FILE, "offset": len(self.weights), "length": array.nbytes}
            for key, entry in place.items():
                tensor.external_data.add(key=key, value=str(entry))
            self.weights += array.tobytes()
        self.constants[name] = tensor
        return name

    def add(self, kind: str, *inputs: str, output: str = "", **attributes: Any) -> str:
        output = output or f"{kind}_{len(self.nodes)}"
        self.nodes.append(helper.make_node(kind, list(inputs), [output], **attributes))
        return output

    def widened(self, value: str) -> str:
        return self.add("Cast", value, to=TensorProto.FLOAT)

    def save(self, folder: Path) -> None:
        ids = helper.make_tensor_value_info(INPUT, TensorProto.INT64, ["n", "length"])
        vector = helper.make_tensor_value_info(OUTPUT, TensorProto.FLOAT, ["n", D_IN])
        graph = helper.make_graph(
            self.nodes, "all-MiniLM-L6-v2", [ids], [vector], list(self.constants.values())
        )
        model = helper.make_model(
            graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=9, producer_name="sextant"
        )
        (folder / WEIGHTS_FILE).write_bytes(self.weights)
        (folder / MODEL_FILE).write_bytes(model.SerializeToString(deterministic=True))
        onnx.checker.check_model(str(folder / MODEL_FILE))


def _write_encoder(graph: _Graph, weights: dict[str, np.ndarray]) -> None:
    """The encoder of `build.embedders.bert`, for texts of one length: ids (n, length) -> unit rows (n, 384)."""

    def linear(x: str, names: tuple[str, ...]) -> str:
        weight = np.concatenate([weights[f"{name}.weight"] for name in names]).T
        bias = np.concatenate([weights[f"{name}.bias"] for name in names])
        product = graph.add(
            "MatMul", x, graph.widened(graph.constant(f"{names[0]}.weight", weight.astype(np.float16)))
        )
        return graph.add("Add", product, graph.constant(f"{names[0]}.bias", bias))

    def norm(x: str, name: str) -> str:
        parts = [graph.constant(f"{name}.{part}", weights[f"{name}.{part}"]) for part in ("weight", "bias")]
        return graph.add("LayerNormalization", x, *parts, axis=-1, epsilon=EPSILON)

    def integers(name: str, *values: int) -> str:
        return graph.constant(name, np.array(values, np.int64))

    zero, one, two = integers("zero", 0), integers("one", 1), integers("two", 2)
    by_head = integers("by_head", 0, 0, 3 * N_HEADS, D_IN // N_HEADS)
    thirds = integers("thirds", N_HEADS, N_HEADS, N_HEADS)
    joined = integers("joined", 0, 0, D_IN)
    root = graph.constant("root", np.array((D_IN / N_HEADS) ** -0.5, np.float32))

    words = graph.add("Gather", graph.constant(WORDS, weights[WORDS].astype(np.float16)), INPUT)
    length = graph.add("Slice", graph.add("Shape", INPUT), one, two)
    positions = graph.constant(POSITIONS, weights[POSITIONS][:MAX_TOKENS] + weights[KINDS][0])
    x = graph.add("Add", graph.widened(words), graph.add("Slice", positions, zero, length, zero))
    x = norm(x, f"{EMBEDDINGS}.LayerNorm")
    for i, names in enumerate(map(layer_names, range(N_LAYERS))):
        heads = graph.add("Reshape", linear(x, names["query_key_value"]), by_head)
        parts = [f"{part}_{i}" for part in ("query", "key", "value")]
        graph.nodes.append(helper.make_node("Split", [heads, thirds], parts, axis=2))
        query = graph.add("Mul", graph.add("Transpose", parts[0], perm=[0, 2, 1, 3]), root)
        key = graph.add("Transpose", parts[1], perm=[0, 2, 3, 1])
        value = graph.add("Transpose", parts[2], perm=[0, 2, 1, 3])
        shares = graph.add("Softmax", graph.add("MatMul", query, key), axis=-1)
        mixed = graph.add("Transpose", graph.add("MatMul", shares, value), perm=[0, 2, 1, 3])
        mixed = linear(graph.add("Reshape", mixed, joined), names["attention_out"])
        x = norm(graph.add("Add", x, mixed), *names["attention_norm"])
        wide = graph.add("Gelu", linear(x, names["widen"]))
        x = norm(graph.add("Add", x, linear(wide, names["narrow"])), *names["out_norm"])
    mean = graph.add("ReduceMean", x, one, keepdims=0)
    graph.add("LpNormalization", mean, axis=1, p=2, output=OUTPUT)
