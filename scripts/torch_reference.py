"""What one would run instead: the token-mixing TRM and its spectrum in PyTorch, as fast as we can.

Lean functions, not the official modules, which are slower. Needs the extra `torch`.
"""

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from rrjax.cells import Config, flatten

Weights = dict[str, Any]


def forward(
    torch: Any, config: Config, num_segments: int, params: Any, tokens: np.ndarray
) -> Callable[[], Any]:
    """A run of a batch of puzzles (n, seq); it returns z_H."""
    weights, x = _prepare(torch, config, params, tokens)

    def run() -> Any:
        z_H, z_L = (weights[name].expand_as(x) for name in ("H_init", "L_init"))
        with torch.inference_mode():
            for _ in range(num_segments * config.arch.H_cycles):
                for _ in range(config.arch.L_cycles):
                    z_L = reason(torch, weights, config, z_L + (z_H + x))
                z_H = reason(torch, weights, config, z_H + z_L)
        return z_H

    return run


def spectrum(
    torch: Any, config: Config, num_segments: int, k: int, params: Any, tokens: np.ndarray
) -> Callable[[], Any]:
    """ln Rᵢᵢ (updates, n, k) of a batch of puzzles: `vmap` of `torch.func.jvp`, batched QR.

    The tangents of the input, not of the whole state, go through the network: as the state that an
    update does not change keeps its tangents, this is the smallest number of products.
    """
    weights, x = _prepare(torch, config, params, tokens)
    n, length, width = x.shape

    def move(a: Any, tangents: Any) -> tuple[Any, Any]:
        def along(tangent: Any) -> tuple[Any, Any]:
            return torch.func.jvp(lambda a: reason(torch, weights, config, a), (a,), (tangent,))

        return torch.func.vmap(along, in_dims=1, out_dims=(None, 1))(tangents)

    def orthonormalize(*tangents: Any) -> tuple[Any, Any, Any]:
        columns = torch.cat([t.reshape(n, k, -1) for t in tangents], dim=-1).mT
        q, r = torch.linalg.qr(columns)
        halves = q.mT.reshape(n, k, 2, length, width).unbind(2)
        return *halves, torch.diagonal(r, dim1=-2, dim2=-1).abs().log()

    def run() -> Any:
        z_H, z_L = (weights[name].expand_as(x) for name in ("H_init", "L_init"))
        t_H, t_L, _ = orthonormalize(*torch.randn(2, n, k, length, width))
        growth = []
        with torch.no_grad():
            for _ in range(num_segments * config.arch.H_cycles):
                for _ in range(config.arch.L_cycles):
                    z_L, t_L = move(z_L + (z_H + x), t_L + t_H)
                    t_H, t_L, step = orthonormalize(t_H, t_L)
                    growth.append(step)
                z_H, t_H = move(z_H + z_L, t_H + t_L)
                t_H, t_L, step = orthonormalize(t_H, t_L)
                growth.append(step)
        return torch.stack(growth)

    return run


def reason(torch: Any, weights: Weights, config: Config, x: Any) -> Any:
    """All token-mixing blocks of the L level, on (..., tokens, width)."""
    linear, silu = torch.nn.functional.linear, torch.nn.functional.silu

    def swiglu(name: str, x: Any) -> Any:
        gate, up = linear(x, weights[f"{name}.gate_up_proj.weight"]).chunk(2, dim=-1)
        return linear(silu(gate) * up, weights[f"{name}.down_proj.weight"])

    def norm(x: Any) -> Any:
        mean_square = x.square().mean(-1, keepdim=True)
        return x * torch.rsqrt(mean_square + config.arch.rms_norm_eps)

    for index in range(config.arch.L_layers):
        layer = f"L_level.layers.{index}"
        channels = x.mT
        x = norm(channels + swiglu(f"{layer}.mlp_t", channels)).mT
        x = norm(x + swiglu(f"{layer}.mlp", x))
    return x


def _prepare(torch: Any, config: Config, params: Any, tokens: np.ndarray) -> tuple[Weights, Any]:
    weights = {name: torch.tensor(np.asarray(leaf)) for name, leaf in flatten(params).items()}
    embedded = math.sqrt(config.arch.hidden_size) * weights["embed_tokens.embedding_weight"]
    padding = (0, 0, config.puzzle_tokens, 0)
    return weights, torch.nn.functional.pad(embedded[torch.tensor(tokens)], padding)
