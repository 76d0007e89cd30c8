"""The forward pass of all-MiniLM-L6-v2, written out: fewer, larger and fused operations, and no framework.

A BERT encoder (Devlin et al. 2019) of 6 layers, width 384, 12 heads; the sentence vector is the mean of the
last layer's tokens, scaled to unit length (Reimers & Gurevych 2019; Wang et al. 2020 for MiniLM).
"""

from dataclasses import dataclass
from pathlib import Path

import torch
from safetensors.torch import load_file
from torch import Tensor
from torch.nn import functional

N_LAYERS = 6
N_HEADS = 12
D_IN = 384
EPSILON = 1e-12

EMBEDDINGS = "embeddings"
WORDS = "embeddings.word_embeddings.weight"
POSITIONS = "embeddings.position_embeddings.weight"
KINDS = "embeddings.token_type_embeddings.weight"


def layer_names(i: int) -> dict[str, tuple[str, ...]]:
    """Names in the weights file of the products of layer i; query, key and value are one product."""
    prefix = f"encoder.layer.{i}"
    return {
        "query_key_value": tuple(f"{prefix}.attention.self.{part}" for part in ("query", "key", "value")),
        "attention_out": (f"{prefix}.attention.output.dense",),
        "attention_norm": (f"{prefix}.attention.output.LayerNorm",),
        "widen": (f"{prefix}.intermediate.dense",),
        "narrow": (f"{prefix}.output.dense",),
        "out_norm": (f"{prefix}.output.LayerNorm",),
    }


def has_bfloat16_units() -> bool:
    """Whether the processor multiplies bfloat16 in hardware; emulated, it is slower than float32."""
    found = torch.cpu.get_capabilities()
    units = any(found.get(name) for name in ("amx_bf16", "avx512_bf16", "bf16"))
    return units and torch.backends.mkldnn.is_available()


class Linear:
    """x (m, n_inputs) -> x Wᵀ + bias (m, n_outputs), with GELU on top when ``gelu``.

    ``pack`` lays the weights out as oneDNN wants them. The packed operation adds the bias and applies GELU
    while the result is still in registers: 1.2 to 2 times as fast as the plain calls. torch has it for its
    compiler and does not document it, so where it is missing the plain calls stay.
    """

    def __init__(self, weight: Tensor, bias: Tensor, *, gelu: bool = False) -> None:
        self.weight, self.bias, self.gelu = weight, bias, gelu
        self.packed: Tensor | None = None

    def pack(self, n_tokens: int) -> None:
        """Lay the weights out for about ``n_tokens`` rows; other numbers of rows work too."""
        operations = torch.ops.mkldnn
        if hasattr(operations, "_linear_pointwise") and hasattr(operations, "_reorder_linear_weight"):
            self.packed = operations._reorder_linear_weight(self.weight, n_tokens)

    def __call__(self, x: Tensor) -> Tensor:
        if self.packed is not None:
            attribute, algorithm = ("gelu", "none") if self.gelu else ("none", "")
            return torch.ops.mkldnn._linear_pointwise(x, self.packed, self.bias, attribute, [], algorithm)
        y = functional.linear(x, self.weight, self.bias)
        return functional.gelu(y) if self.gelu else y


@dataclass(frozen=True)
class _Norm:
    weight: Tensor
    bias: Tensor

    def __call__(self, x: Tensor) -> Tensor:
        return functional.layer_norm(x, (D_IN,), self.weight, self.bias, EPSILON)


@dataclass(frozen=True)
class _Layer:
    query_key_value: Linear
    attention_out: Linear
    attention_norm: _Norm
    widen: Linear
    narrow: Linear
    out_norm: _Norm


class Encoder:
    """ids (n, length) int64, mask (n, length) bool or None -> unit rows (n, 384) float32.

    ``mask`` is True where a token stands; None when no row is padded. For inference only.
    """

    def __init__(self, path: Path, dtype: torch.dtype = torch.float32) -> None:
        weights = {
            name: tensor.to(dtype) for name, tensor in load_file(path).items() if tensor.is_floating_point()
        }

        def linear(names: tuple[str, ...], *, gelu: bool = False) -> Linear:
            weight, bias = (
                torch.cat([weights[f"{name}.{part}"] for name in names]) for part in ("weight", "bias")
            )
            return Linear(weight, bias, gelu=gelu)

        def norm(name: str) -> _Norm:
            return _Norm(weights[f"{name}.weight"], weights[f"{name}.bias"])

        self.words = weights[WORDS]
        # There is one kind of token here, so its embedding is part of the position's.
        self.positions = weights[POSITIONS] + weights[KINDS][0]
        self.norm = norm(f"{EMBEDDINGS}.LayerNorm")
        self.layers = []
        for names in map(layer_names, range(N_LAYERS)):
            self.layers.append(
                _Layer(
                    linear(names["query_key_value"]),
                    linear(names["attention_out"]),
                    norm(*names["attention_norm"]),
                    linear(names["widen"], gelu=True),
                    linear(names["narrow"]),
                    norm(*names["out_norm"]),
                )
            )

    def pack(self, n_tokens: int) -> "Encoder":
        """Lay the weights out for batches of about ``n_tokens`` tokens."""
        for layer in self.layers:
            for linear in (layer.query_key_value, layer.attention_out, layer.widen, layer.narrow):
                linear.pack(n_tokens)
        return self

    def __call__(self, ids: Tensor, mask: Tensor | None = None) -> Tensor:
        n, length = ids.shape
        # One row a token: the packed product wants matrices.
        x = functional.embedding(ids, self.words) + self.positions[:length]
        x = self.norm(x.view(-1, D_IN))
        bias = None
        if mask is not None:
            # The largest negative number, not −inf: exactly 0 after the softmax, and never 0/0.
            lowest = torch.finfo(x.dtype).min
            bias = torch.zeros_like(mask, dtype=x.dtype).masked_fill_(~mask, lowest)[:, None, None, :]
        for layer in self.layers:
            heads = layer.query_key_value(x).view(n, length, 3, N_HEADS, D_IN // N_HEADS)
            query, key, value = heads.permute(2, 0, 3, 1, 4).unbind(0)
            mixed = functional.scaled_dot_product_attention(query, key, value, attn_mask=bias)
            mixed = mixed.transpose(1, 2).reshape(-1, D_IN)
            x = layer.attention_norm(layer.attention_out(mixed).add_(x))
            x = layer.out_norm(layer.narrow(layer.widen(x)).add_(x))
        tokens = x.float().view(n, length, D_IN)
        if mask is None:
            return functional.normalize(tokens.mean(1), dim=1)
        shown = mask[:, :, None].float()
        return functional.normalize((tokens * shown).sum(1) / shown.sum(1), dim=1)
