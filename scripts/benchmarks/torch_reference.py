"""The token-mixing TRM in PyTorch, as fast as we can: forward, spectrum and training step.

These are lean functions instead of the official modules, which are slower. They need the extra
`torch`, and run on PyTorch's default device. `wrap` is what the function of a block is passed
through, such as `torch.compile`.
"""

import functools
import math
from collections.abc import Callable
from typing import Any

import numpy as np

from rrjax.cells import Config, flatten, is_trained
from rrjax.puzzles.batch import IGNORE_LABEL, Batch
from rrjax.training.settings import Recipe

Weights = dict[str, Any]
Wrap = Callable[[Callable], Callable]


def as_is(function: Callable) -> Callable:
    """Returns the function itself."""
    return function


def forward(
    torch: Any,
    config: Config,
    num_segments: int,
    params: Any,
    tokens: np.ndarray,
    wrap: Wrap = as_is,
) -> Callable[[], Any]:
    """Returns a function that runs a batch of puzzles (n, seq) and returns z_H."""
    weights, x = _prepare(torch, config, params, tokens)
    block = wrap(functools.partial(reason, torch))

    def run() -> Any:
        z_H, z_L = (weights[name].expand_as(x) for name in ("H_init", "L_init"))
        with torch.inference_mode():
            for _ in range(num_segments * config.arch.H_cycles):
                z_H, z_L = cycle(block, weights, config, (z_H, z_L), x)
        return z_H

    return run


def product(torch: Any, size: int, dtype: str = "float32") -> Callable[[], Any]:
    """Returns a function that multiplies two square matrices."""
    square = torch.randn(size, size, dtype=getattr(torch, dtype))
    return lambda: square @ square


def training_step(
    torch: Any,
    config: Config,
    recipe: Recipe,
    params: Any,
    batch: Batch,
    wrap: Wrap = as_is,
) -> Callable[[], Any]:
    """Returns an optimizer step on the first segment of a batch; it returns the summed loss.

    The weights are float32, and the network computes in the forward dtype of the config. Only the
    last cycle carries gradient. The loss is the cross-entropy of stablemax in float64 and
    the binary one of q_halt. AdamATan2 updates every weight at the peak rate, and an EMA follows.
    There are no puzzle embeddings and no refilling.
    """
    weights = _tensors(torch, params)
    trained = [weights[name].requires_grad_() for name in weights if is_trained(name)]
    means, squares = ([torch.zeros_like(w) for w in trained] for _ in range(2))
    averages = [w.detach().clone() for w in trained]
    tokens, labels = (torch.tensor(np.asarray(leaf)).long() for leaf in batch[:2])
    block, dtype = wrap(functools.partial(reason, torch)), getattr(torch, config.arch.forward_dtype)
    done = 0

    def run() -> Any:
        nonlocal done
        done += 1
        cast = {name: weight.to(dtype) for name, weight in weights.items()}
        total = _loss(torch, block, cast, config, tokens, labels)
        grads = torch.autograd.grad(total / len(tokens), trained)
        with torch.no_grad():
            _adam_atan2(torch, recipe, done, trained, grads, means, squares)
            torch._foreach_lerp_(averages, trained, 1 - recipe.ema_rate)
        return total.detach()

    return run


def _loss(
    torch: Any, block: Callable, weights: Weights, config: Config, tokens: Any, labels: Any
) -> Any:
    x = _embed(torch, weights, config, tokens)
    z = tuple(weights[name].expand_as(x) for name in ("H_init", "L_init"))
    with torch.no_grad():
        for _ in range(config.arch.H_cycles - 1):
            z = cycle(block, weights, config, z, x)
    z_H, _ = cycle(block, weights, config, z, x)
    linear = torch.nn.functional.linear
    logits = linear(z_H[:, config.leading_tokens :], weights["lm_head.weight"]).double()
    q_halt = linear(z_H[:, 0], weights["q_head.weight"], weights["q_head.bias"])[:, 0].float()
    s = torch.where(logits < 0, 1 / (1 - logits + 1e-30), logits + 1)
    log_p = torch.log(s / s.sum(-1, keepdim=True))
    valid = labels != IGNORE_LABEL
    picked = log_p.gather(-1, torch.where(valid, labels, 0)[..., None])[..., 0]
    lm_loss = -(torch.where(valid, picked, 0).sum(-1) / valid.sum(-1).clamp_min(1)).sum()
    solved = ((logits.argmax(-1) == labels) | ~valid).all(-1).to(q_halt.dtype)
    binary = torch.nn.functional.binary_cross_entropy_with_logits
    return lm_loss + 0.5 * binary(q_halt, solved, reduction="sum")


def _adam_atan2(
    torch: Any, recipe: Recipe, t: int, weights: Any, grads: Any, means: Any, squares: Any
) -> None:
    """p ← p(1 − lr·wd) − lr/(1 − β1ᵗ)·atan2(m, √v/√(1 − β2ᵗ)), for all weights at once."""
    c1, c2 = 1 - recipe.beta1**t, 1 - recipe.beta2**t
    torch._foreach_lerp_(means, grads, 1 - recipe.beta1)
    torch._foreach_mul_(squares, recipe.beta2)
    torch._foreach_addcmul_(squares, grads, grads, 1 - recipe.beta2)
    torch._foreach_mul_(weights, 1 - recipe.lr * recipe.weight_decay)
    for weight, m, v in zip(weights, means, squares, strict=True):
        weight.sub_(torch.atan2(m, v.sqrt() / c2**0.5), alpha=recipe.lr / c1)


def householder_qr(torch: Any, columns: Any) -> tuple[Any, Any]:
    """Returns Q and R of a batch of matrices (..., m, k) by the library's batched QR."""
    return torch.linalg.qr(columns)


def cholesky_qr2(torch: Any, columns: Any) -> tuple[Any, Any]:
    """Returns Q and R of a batch of matrices (..., m, k) by Cholesky's factorisation, twice.

    On a GPU it is several times as fast as the library's QR.
    """
    total = None
    for _ in range(2):
        r = torch.linalg.cholesky(columns.mT @ columns).mT
        columns = torch.linalg.solve_triangular(r, columns, upper=True, left=False)
        total = r if total is None else r @ total
    return columns, total


def spectrum(
    torch: Any,
    config: Config,
    num_segments: int,
    k: int,
    params: Any,
    tokens: np.ndarray,
    qr: Callable = householder_qr,
) -> Callable[[], Any]:
    """Returns a function that returns ln Rᵢᵢ (updates, n, k), by `torch.func.jvp` and batched QR.

    Only the tangents of an update's input go through the network, because the state that an update
    does not change keeps its tangents. This is the smallest number of products.
    """
    weights, x = _prepare(torch, config, params, tokens)
    n, length, width = x.shape

    def push(a: Any, tangents: Any) -> tuple[Any, Any]:
        def along(tangent: Any) -> tuple[Any, Any]:
            return torch.func.jvp(lambda a: reason(torch, weights, config, a), (a,), (tangent,))

        return torch.func.vmap(along, in_dims=1, out_dims=(None, 1))(tangents)

    def orthonormalize(*tangents: Any) -> tuple[Any, Any, Any]:
        columns = torch.cat([t.reshape(n, k, -1) for t in tangents], dim=-1).mT
        q, r = qr(torch, columns)
        halves = q.mT.reshape(n, k, 2, length, width).unbind(2)
        return *halves, torch.diagonal(r, dim1=-2, dim2=-1).abs().log()

    def run() -> Any:
        z_H, z_L = (weights[name].expand_as(x) for name in ("H_init", "L_init"))
        t_H, t_L, _ = orthonormalize(*torch.randn(2, n, k, length, width))
        growth = []
        with torch.no_grad():
            for _ in range(num_segments * config.arch.H_cycles):
                for _ in range(config.arch.L_cycles):
                    z_L, t_L = push(z_L + (z_H + x), t_L + t_H)
                    t_H, t_L, step = orthonormalize(t_H, t_L)
                    growth.append(step)
                z_H, t_H = push(z_H + z_L, t_H + t_L)
                t_H, t_L, step = orthonormalize(t_H, t_L)
                growth.append(step)
        return torch.stack(growth)

    return run


def cycle(block: Callable, weights: Weights, config: Config, z: tuple[Any, Any], x: Any) -> tuple:
    """Returns z_H and z_L after a cycle of calls of `block`, which is `reason` or made of it."""
    z_H, z_L = z
    for _ in range(config.arch.L_cycles):
        z_L = block(weights, config, z_L + (z_H + x))
    return block(weights, config, z_H + z_L), z_L


def reason(torch: Any, weights: Weights, config: Config, x: Any) -> Any:
    """Applies all token-mixing blocks of the L level to (..., tokens, width)."""
    linear, silu = torch.nn.functional.linear, torch.nn.functional.silu

    def swiglu(name: str, x: Any) -> Any:
        gate, up = linear(x, weights[f"{name}.gate_up_proj.weight"]).chunk(2, dim=-1)
        return linear(silu(gate) * up, weights[f"{name}.down_proj.weight"])

    def norm(x: Any) -> Any:
        wide = x.float() if x.dtype == torch.bfloat16 else x
        mean_square = wide.square().mean(-1, keepdim=True)
        return (wide * torch.rsqrt(mean_square + config.arch.rms_norm_eps)).to(x.dtype)

    for index in range(config.arch.L_layers):
        layer = f"L_level.layers.{index}"
        channels = x.mT
        x = norm(channels + swiglu(f"{layer}.mlp_t", channels)).mT
        x = norm(x + swiglu(f"{layer}.mlp", x))
    return x


def _prepare(torch: Any, config: Config, params: Any, tokens: np.ndarray) -> tuple[Weights, Any]:
    weights = _tensors(torch, params)
    return weights, _embed(torch, weights, config, torch.tensor(tokens))


def _tensors(torch: Any, params: Any) -> Weights:
    return {name: torch.tensor(np.asarray(leaf)) for name, leaf in flatten(params).items()}


def _embed(torch: Any, weights: Weights, config: Config, tokens: Any) -> Any:
    embedded = math.sqrt(config.arch.hidden_size) * weights["embed_tokens.embedding_weight"]
    rows = torch.nn.functional.embedding(tokens, embedded)
    return torch.nn.functional.pad(rows, (0, 0, config.leading_tokens, 0))
