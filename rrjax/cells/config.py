"""The settings of a cell: its architecture (an official `arch:` block) and its data's sizes."""

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass, field
from math import isqrt
from typing import Any, Literal

from rrjax.checks import MOST_SEGMENTS_TRAINED, check_choices, check_count, check_number, read_block

CellName = Literal["trm", "trm_singlez", "trm_hier6", "hrm", "transformer", "srm", "lstm", "mixer"]
Positions = Literal["rope", "rope2d", "learned", "none"]
Gating = Literal["silu", "normed"]
LossType = Literal["stablemax_cross_entropy", "softmax_cross_entropy"]
Dtype = Literal["bfloat16", "float32", "float64"]


@dataclass(frozen=True)
class Arch:
    """The architecture, with the key names of the official `arch:` blocks.

    Attributes:
      name: The cell.
      hidden_size: Width of a token's vector.
      num_heads: Number of attention heads. It is unused where tokens are mixed without attention.
      expansion: Expansion of the SwiGLU, before the factor 2/3 and the rounding up to a multiple of
        256. SRM and LSTM do not use it.
      swiglu: How the SwiGLU gates. `silu` is silu(gate) · up, as in the official code. `normed` is
        σ(gate) · rms(gate · up), with which Muon trains well (Dillon 2026, arXiv 2601.19085). SRM
        and LSTM do not use it.
      H_cycles: Number of cycles in one segment. The baselines, which have one update, ignore it.
      L_cycles: Number of latent updates in one cycle; for SRM, of updates.
      H_layers: Number of blocks of the H level (HRM and the baselines). TRM shares the blocks of
        the L level and ignores it.
      L_layers: Number of blocks of the L level (TRM, HRM and SRM).
      pos_encodings: Position encodings: rotary ones of the place in the sequence (`rope`), rotary
        ones of row and column (`rope2d`, which is not official and needs puzzles that are squares),
        `learned` ones, or `none`.
      mlp_t: Mix tokens by a SwiGLU over the token axis instead of attention, as the mixer always
        does.
      puzzle_emb_ndim: Length of a puzzle's embedding vector; 0 means that there is none.
      puzzle_emb_len: Number of tokens that the puzzle vector fills; 0 means the fewest that hold
        it. HRM and transformer do not have this setting.
      register_tokens: Number of learned tokens in front of the puzzle. They exclude puzzle
        embeddings.
      no_ACT_continue: Halt where q_halt > 0, and do not train q_continue. HRM and transformer do
        not have this setting.
      forward_dtype: Type of states and matrix products. Weights are cast when they are used.
      halt_max_steps: Largest number of segments of a training slot. Evaluation runs all of them.
      halt_exploration_prob: Probability with which a slot must run a random minimum of segments.
      rms_norm_eps: The epsilon of the RMS norms.
      rope_theta: Base of the rotary frequencies.
      loss_type: Cross-entropy over stablemax (the official recipe) or softmax.
      damping: TRM and HRM only: the part of the old state that every update keeps, in [0, 1), so
        that z ← damping · z + (1 − damping) · f(…). EqR keeps 0.05, which is 1 − λ of its code
        (arXiv 2605.21488).
      kappa: SRM only: the gain κ of the coupling, in (0, 1). It is the first value if κ is learned.
      kappa_max: SRM only: learn κ in (0, kappa_max); 0 means that κ is fixed.
      alpha: SRM only: the part α of a state that one update replaces, in (0, 1].
      eta: SRM only: the weight η of z_L in the norm that contracts.
    """

    name: CellName = "trm"
    hidden_size: int = 512
    num_heads: int = 8
    expansion: float = 4.0
    swiglu: Gating = "silu"
    H_cycles: int = 3
    L_cycles: int = 6
    H_layers: int = 0
    L_layers: int = 2
    pos_encodings: Positions = "rope"
    mlp_t: bool = False
    puzzle_emb_ndim: int = 0
    puzzle_emb_len: int = 0
    register_tokens: int = 0
    no_ACT_continue: bool = True
    forward_dtype: Dtype = "float32"
    halt_max_steps: int = 16
    halt_exploration_prob: float = 0.1
    rms_norm_eps: float = 1e-5
    rope_theta: float = 10000.0
    loss_type: LossType = "stablemax_cross_entropy"
    damping: float = 0.0
    kappa: float = 0.86  # ln κ = −0.15 nats per update
    kappa_max: float = 0.0
    alpha: float = 1.0
    eta: float = 1.0

    def __post_init__(self):
        check_choices(self, "arch.")
        _check_numbers(self)
        _check_combination(self)

    @property
    def halts_on_sign(self) -> bool:
        """Whether a training slot halts on q_halt > 0 instead of on q_halt > q_continue."""
        return self.name not in _WITHOUT_TRM_KEYS and self.no_ACT_continue

    @property
    def bootstraps_q_continue(self) -> bool:
        """Whether q_continue is trained on the next segment's q values."""
        learns = self.name not in _WITHOUT_TRM_KEYS and not self.no_ACT_continue
        return self.name == "hrm" or learns

    @property
    def rotates(self) -> bool:
        """Whether positions are rotary ones."""
        return self.pos_encodings in ("rope", "rope2d")

    @property
    def attends(self) -> bool:
        """Whether tokens are mixed by attention, the only one to use heads and rotary positions."""
        return self.name != "lstm" and not self.mixes_along_tokens

    @property
    def mixes_along_tokens(self) -> bool:
        """Whether tokens are mixed by a map over the token axis, which needs no heads."""
        return self.mlp_t or self.name in ("mixer", "srm")


@dataclass(frozen=True)
class Config:
    """An architecture and the sizes of its data, which fix the shape of every parameter.

    Attributes:
      arch: The architecture.
      seq_len: Number of tokens of a puzzle.
      vocab_size: Number of token values.
      num_puzzle_identifiers: Number of rows of the puzzle-embedding table.
    """

    arch: Arch = field(default_factory=Arch)
    seq_len: int = 81
    vocab_size: int = 11
    num_puzzle_identifiers: int = 1

    def __post_init__(self):
        for name in ("seq_len", "vocab_size", "num_puzzle_identifiers"):
            check_count(name, getattr(self, name), least=1, most=LARGEST_SIZE)
        if self.arch.pos_encodings == "rope2d" and isqrt(self.seq_len) ** 2 != self.seq_len:
            raise ValueError(
                "arch.pos_encodings: rope2d needs puzzles that are squares, and these have "
                f"{self.seq_len} tokens; take rope"
            )

    @property
    def leading_tokens(self) -> int:
        """Number of tokens in front of the puzzle: its embedding vector's, or the registers."""
        arch = self.arch
        if arch.register_tokens:
            return arch.register_tokens
        return arch.puzzle_emb_len or -(-arch.puzzle_emb_ndim // arch.hidden_size)

    @property
    def num_tokens(self) -> int:
        """Number of tokens of a state: the leading ones and those of the sequence."""
        return self.leading_tokens + self.seq_len


def config_to_dict(config: Config) -> dict[str, Any]:
    """Returns a mapping for JSON, from which `config_from_dict` makes an equal config.

    Example:
      >>> config = rrjax.cells.Config(
      ...     rrjax.cells.Arch("trm", hidden_size=8, num_heads=1), seq_len=16, vocab_size=6
      ... )
      >>> rrjax.cells.config_to_dict(config)["arch"]["hidden_size"]
      8
    """
    mapping = dataclasses.asdict(config)
    if config.arch.name != "srm":
        mapping["arch"] = {k: v for k, v in mapping["arch"].items() if k not in SRM_KEYS}
    return mapping


def config_from_dict(mapping: Mapping[Any, Any]) -> Config:
    """Returns the config that `config_to_dict` described.

    Raises:
      ValueError: For unknown, missing or ill-typed entries.

    Example:
      >>> config = rrjax.cells.Config(
      ...     rrjax.cells.Arch("trm", hidden_size=8, num_heads=1), seq_len=16, vocab_size=6
      ... )
      >>> rrjax.cells.config_from_dict(rrjax.cells.config_to_dict(config)) == config
      True
    """
    if "arch" not in mapping:
        raise ValueError("config has no key 'arch'")
    return read_block(Config, "config", mapping)


LARGEST_SIZE = 2**24
"""A limit of widths, lengths and rows, so that numbers of weights are not beyond all types. ARC
with its augmentations has a million identifiers."""

_MOST_LAYERS = 1000
"""A limit, because compiling unrolls the blocks and the table of parameters names each of them."""

SRM_KEYS = ("kappa", "kappa_max", "alpha", "eta")
"""Settings that only `srm` has."""

HAVE_H_LEVEL = ("hrm", "transformer", "lstm", "mixer")
_HAVE_L_LEVEL = ("trm", "trm_singlez", "trm_hier6", "hrm", "srm")
_DAMPED = ("trm", "trm_singlez", "trm_hier6", "hrm")
_WITHOUT_TRM_KEYS = ("hrm", "transformer")
"""Cells that have neither `puzzle_emb_len` nor `no_ACT_continue` upstream."""


def _check_numbers(arch: Arch) -> None:
    for key in ("hidden_size", "num_heads"):
        check_count(f"arch.{key}", getattr(arch, key), least=1, most=LARGEST_SIZE)
    for key in ("H_cycles", "L_cycles", "halt_max_steps"):
        check_count(f"arch.{key}", getattr(arch, key), least=1, most=MOST_SEGMENTS_TRAINED)
    for key in ("H_layers", "L_layers"):
        check_count(f"arch.{key}", getattr(arch, key), most=_MOST_LAYERS)
    for key in ("puzzle_emb_ndim", "puzzle_emb_len", "register_tokens"):
        check_count(f"arch.{key}", getattr(arch, key), most=LARGEST_SIZE)
    check_number("arch.expansion", arch.expansion, above=0, most=1000)
    for key in ("rms_norm_eps", "rope_theta"):
        check_number(f"arch.{key}", getattr(arch, key), above=0)
    check_number("arch.damping", arch.damping, least=0, below=1)
    check_number("arch.halt_exploration_prob", arch.halt_exploration_prob, least=0, most=1)


def _check_combination(arch: Arch) -> None:
    if arch.name in _HAVE_L_LEVEL:
        check_count("arch.L_layers", arch.L_layers, least=1)
    if arch.name in HAVE_H_LEVEL:
        check_count("arch.H_layers", arch.H_layers, least=1)
    if arch.name == "trm_hier6" and arch.L_cycles > 6:
        raise ValueError(f"arch.L_cycles of trm_hier6 is at most 6, got {arch.L_cycles}")
    if arch.name == "transformer" and arch.mlp_t:
        raise ValueError("arch.mlp_t: the transformer baseline mixes tokens by attention only")
    if arch.name == "lstm" and arch.mlp_t:
        raise ValueError("arch.mlp_t: the LSTM baseline mixes tokens by its recurrence only")
    if arch.name == "lstm" and arch.hidden_size % 2:
        raise ValueError(f"arch.hidden_size of lstm must be even, got {arch.hidden_size}")
    if arch.puzzle_emb_len and arch.name in _WITHOUT_TRM_KEYS:
        raise ValueError(f"arch.puzzle_emb_len belongs to TRM; {arch.name} derives it")
    if arch.puzzle_emb_len and not arch.puzzle_emb_ndim:
        raise ValueError("arch.puzzle_emb_len must be 0 where puzzle_emb_ndim is 0")
    if arch.puzzle_emb_len and arch.puzzle_emb_len * arch.hidden_size < arch.puzzle_emb_ndim:
        raise ValueError(
            f"arch.puzzle_emb_len {arch.puzzle_emb_len} tokens of width {arch.hidden_size} "
            f"cannot hold puzzle_emb_ndim {arch.puzzle_emb_ndim}"
        )
    if arch.register_tokens and arch.puzzle_emb_ndim:
        raise ValueError(
            f"arch.register_tokens {arch.register_tokens} take the place of the puzzle embedding, "
            f"which has puzzle_emb_ndim {arch.puzzle_emb_ndim}; set one of the two to 0"
        )
    if arch.swiglu != "silu" and arch.name in ("srm", "lstm"):
        raise ValueError(f"arch.swiglu: {arch.name} has no SwiGLU; leave it at silu")
    if arch.damping and arch.name not in _DAMPED:
        raise ValueError(
            f"arch.damping belongs to {', '.join(_DAMPED)}; {arch.name} leaves it at 0, "
            f"got {arch.damping}"
        )
    head_dim = arch.hidden_size // arch.num_heads
    divisor = {"rope": 2, "rope2d": 4}.get(arch.pos_encodings, 1)
    if arch.attends and (head_dim < 1 or head_dim % divisor):
        wanted = (
            "a multiple of 4, for rows and columns" if divisor == 4 else "a positive even number"
        )
        raise ValueError(
            f"arch.num_heads {arch.num_heads} splits hidden_size {arch.hidden_size} into heads of "
            f"{head_dim}; rotary attention needs {wanted}"
        )
    _check_srm(arch)


def _check_srm(arch: Arch) -> None:
    for key in () if arch.name == "srm" else SRM_KEYS:
        value, default = getattr(arch, key), getattr(Arch, key)
        if value != default:
            raise ValueError(
                f"arch.{key} belongs to srm; {arch.name} leaves it at {default}, got {value}"
            )
    check_number("arch.kappa", arch.kappa, above=0, below=1)
    if arch.kappa_max and not arch.kappa < arch.kappa_max < 1:
        raise ValueError(
            f"arch.kappa_max must be 0 (κ is fixed) or lie between arch.kappa {arch.kappa} and 1, "
            f"got {arch.kappa_max}"
        )
    check_number("arch.alpha", arch.alpha, above=0, most=1)
    # the excess of finite times over the certificate grows with |ln η|
    check_number("arch.eta", arch.eta, least=1e-6, most=1e6)
