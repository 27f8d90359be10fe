"""What a cell is: its architecture (an official `arch:` block) and the sizes of its data."""

import dataclasses
import difflib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, get_args

CellName = Literal["trm", "trm_singlez", "trm_hier6", "hrm", "transformer", "srm", "lstm", "mixer"]
Positions = Literal["rope", "learned", "none"]
LossType = Literal["stablemax_cross_entropy", "softmax_cross_entropy"]
Dtype = Literal["bfloat16", "float32", "float64"]


@dataclass(frozen=True)
class Arch:
    """An architecture, with the key names of the official `arch:` blocks.

    Attributes:
      name: the cell.
      hidden_size: width of a token's vector.
      num_heads: attention heads; unused where tokens are mixed otherwise.
      expansion: SwiGLU expansion before the factor 2/3 and the rounding up to 256; unused by SRM
        and LSTM.
      H_cycles: cycles in one segment (ignored by the baselines, which have one update).
      L_cycles: latent updates in one cycle; SRM: updates.
      H_layers: blocks of the H level (HRM, baselines); TRM shares the L level and ignores it.
      L_layers: blocks of the L level (TRM, HRM, SRM).
      pos_encodings: `rope`, `learned` or `none`.
      mlp_t: mix tokens by a SwiGLU over the token axis in place of attention, as the mixer always
        does.
      puzzle_emb_ndim: length of a puzzle's embedding vector; 0: none.
      puzzle_emb_len: not HRM or transformer: tokens that vector is zero-padded to; 0: as few as
        hold it.
      no_ACT_continue: likewise: halt on q_halt > 0 and leave q_continue untrained.
      forward_dtype: dtype of states and matrix products; weights are cast at use.
      halt_max_steps: segments a training slot runs at most, and evaluation always runs.
      halt_exploration_prob: probability of demanding a random minimum of segments.
      rms_norm_eps: epsilon of the RMS norms.
      rope_theta: base of the rotary frequencies.
      loss_type: cross-entropy over stablemax (the official recipe) or softmax.
      kappa: SRM only: the gain κ of the coupling, in (0, 1); where it is learned, its start.
      kappa_max: SRM only: learn κ in (0, kappa_max); 0: κ is fixed.
      alpha: SRM only: the part α of a state that one update replaces, in (0, 1].
      eta: SRM only: the weight η of z_L in the norm that contracts.
    """

    name: CellName = "trm"
    hidden_size: int = 512
    num_heads: int = 8
    expansion: float = 4.0
    H_cycles: int = 3
    L_cycles: int = 6
    H_layers: int = 0
    L_layers: int = 2
    pos_encodings: Positions = "rope"
    mlp_t: bool = False
    puzzle_emb_ndim: int = 0
    puzzle_emb_len: int = 0
    no_ACT_continue: bool = True
    forward_dtype: Dtype = "float32"
    halt_max_steps: int = 16
    halt_exploration_prob: float = 0.1
    rms_norm_eps: float = 1e-5
    rope_theta: float = 10000.0
    loss_type: LossType = "stablemax_cross_entropy"
    kappa: float = 0.86  # ln κ = −0.15 nats per update
    kappa_max: float = 0.0
    alpha: float = 1.0
    eta: float = 1.0

    def __post_init__(self):
        for key in _CHOICES:
            _check_choice(key, getattr(self, key))
        _check_numbers(self)
        _check_combination(self)

    @property
    def halts_on_sign(self) -> bool:
        """Whether a training slot halts on q_halt > 0, rather than on q_halt > q_continue."""
        return self.name not in _WITHOUT_TRM_KEYS and self.no_ACT_continue

    @property
    def bootstraps_q_continue(self) -> bool:
        """Whether q_continue is trained on the next segment's q values."""
        learns = self.name not in _WITHOUT_TRM_KEYS and not self.no_ACT_continue
        return self.name == "hrm" or learns

    @property
    def mixes_along_tokens(self) -> bool:
        """Whether tokens are mixed by a map over the token axis, which has no heads."""
        return self.mlp_t or self.name in ("mixer", "srm")


@dataclass(frozen=True)
class Config:
    """A cell on its data: what fixes every parameter's shape.

    Attributes:
      arch: the architecture.
      seq_len: tokens of a puzzle.
      vocab_size: token values.
      num_puzzle_identifiers: rows of the puzzle-embedding table.
    """

    arch: Arch = field(default_factory=Arch)
    seq_len: int = 81
    vocab_size: int = 11
    num_puzzle_identifiers: int = 1

    def __post_init__(self):
        for name in ("seq_len", "vocab_size", "num_puzzle_identifiers"):
            _check_at_least(name, getattr(self, name), 1)

    @property
    def puzzle_tokens(self) -> int:
        """Tokens in front of the puzzle that hold its embedding vector."""
        arch = self.arch
        return arch.puzzle_emb_len or -(-arch.puzzle_emb_ndim // arch.hidden_size)

    @property
    def num_tokens(self) -> int:
        """Tokens of a state: puzzle-embedding tokens and sequence."""
        return self.puzzle_tokens + self.seq_len


def config_to_dict(config: Config) -> dict[str, Any]:
    """A JSON-able mapping from which `config_from_dict` makes an equal config."""
    mapping = dataclasses.asdict(config)
    if config.arch.name != "srm":
        mapping["arch"] = {k: v for k, v in mapping["arch"].items() if k not in SRM_KEYS}
    return mapping


def config_from_dict(mapping: Mapping[Any, Any]) -> Config:
    """The inverse of `config_to_dict`.

    Raises:
      ValueError: for unknown or ill-typed entries.
    """
    sizes = {f.name for f in dataclasses.fields(Config)}
    for key in mapping:
        if key not in sizes:
            raise ValueError(f"config has no key {key!r}{nearest(key, sizes)}")
    arch = mapping.get("arch")
    if not isinstance(arch, Mapping):
        raise ValueError(f"config.arch must be a mapping, got {arch!r}")
    for key in arch:
        if key not in _TYPES:
            raise ValueError(f"config.arch has no key {key!r}{nearest(key, _TYPES)}")
    fields = {key: coerce(key, value) for key, value in arch.items()}
    numbers = {key: _integer(key, mapping[key]) for key in sizes - {"arch"} if key in mapping}
    return Config(arch=Arch(**fields), **numbers)


_TYPES: dict[str, Any] = {f.name: f.type for f in dataclasses.fields(Arch)}
_CHOICES = {"name": CellName, "pos_encodings": Positions, "loss_type": LossType}
_CHOICES["forward_dtype"] = Dtype

_COUNTED = ("hidden_size", "num_heads", "H_cycles", "L_cycles", "halt_max_steps")
# blocks are unrolled when compiled, and every one has entries in the table of parameters;
# what is counted is a 32-bit integer on every device
_MOST = {"H_layers": 1000, "L_layers": 1000, "expansion": 1000} | dict.fromkeys(
    (*_COUNTED, "puzzle_emb_ndim", "puzzle_emb_len"), 2**31 - 1
)

SRM_KEYS = ("kappa", "kappa_max", "alpha", "eta")
"""What only `srm` has."""

HAVE_H_LEVEL = ("hrm", "transformer", "lstm", "mixer")
_HAVE_L_LEVEL = ("trm", "trm_singlez", "trm_hier6", "hrm", "srm")
_WITHOUT_TRM_KEYS = ("hrm", "transformer")
"""Upstream's cells that know neither `puzzle_emb_len` nor `no_ACT_continue`."""


def coerce(key: str, value: Any) -> Any:
    """PyYAML reads `1e-4` as a string; the field's type says what was meant."""
    kind = _TYPES[key]
    if kind is bool:
        if not isinstance(value, bool):
            raise ValueError(f"arch.{key} must be true or false, got {value!r}")
        return value
    if kind is int:
        return _integer(f"arch.{key}", value)
    if kind is float:
        return _number(f"arch.{key}", value)
    _check_choice(key, value)
    return value


def _integer(key: str, value: Any) -> int:
    if isinstance(value, bool) or not isinstance(value, int):
        raise ValueError(f"{key} must be an integer, got {value!r}")
    return value


def _number(key: str, value: Any) -> float:
    try:
        if isinstance(value, bool):
            raise ValueError
        return float(value)
    except (TypeError, ValueError, OverflowError):
        raise ValueError(f"{key} must be a number, got {value!r}") from None


def _check_choice(key: str, value: Any) -> None:
    choices = get_args(_CHOICES[key])
    if value not in choices:
        raise ValueError(
            f"arch.{key} must be one of {', '.join(choices)}; got {value!r}"
            f"{nearest(value, choices)}"
        )


def _check_numbers(arch: Arch) -> None:
    for key in _COUNTED:
        _check_at_least(f"arch.{key}", getattr(arch, key), 1)
    for key in ("H_layers", "L_layers", "puzzle_emb_ndim", "puzzle_emb_len"):
        _check_at_least(f"arch.{key}", getattr(arch, key), 0)
    for key, most in _MOST.items():
        if getattr(arch, key) > most:
            raise ValueError(f"arch.{key} is at most {most}, got {getattr(arch, key)}")
    for key in ("expansion", "rms_norm_eps", "rope_theta"):
        if not 0 < getattr(arch, key) < float("inf"):
            raise ValueError(f"arch.{key} must be positive, got {getattr(arch, key)}")
    if not 0 <= arch.halt_exploration_prob <= 1:
        raise ValueError(
            f"arch.halt_exploration_prob must lie in 0..1, got {arch.halt_exploration_prob}"
        )


def _check_combination(arch: Arch) -> None:
    if arch.name in _HAVE_L_LEVEL:
        _check_at_least("arch.L_layers", arch.L_layers, 1)
    if arch.name in HAVE_H_LEVEL:
        _check_at_least("arch.H_layers", arch.H_layers, 1)
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
    _check_heads(arch)
    _check_srm(arch)


def _check_heads(arch: Arch) -> None:
    head_dim = arch.hidden_size // arch.num_heads
    attends = arch.name != "lstm" and not arch.mixes_along_tokens
    if attends and (head_dim < 1 or (arch.pos_encodings == "rope" and head_dim % 2)):
        raise ValueError(
            f"arch.num_heads {arch.num_heads} splits hidden_size {arch.hidden_size} into heads of "
            f"{head_dim}; rotary attention needs a positive even number"
        )


_ETA = (1e-6, 1e6)


def _check_srm(arch: Arch) -> None:
    if arch.name != "srm":
        _refuse_srm_keys(arch)
    if not 0 < arch.kappa < 1:
        raise ValueError(f"arch.kappa must lie between 0 and 1, got {arch.kappa}")
    if arch.kappa_max and not arch.kappa < arch.kappa_max < 1:
        raise ValueError(
            f"arch.kappa_max must be 0 (κ is fixed) or lie between arch.kappa {arch.kappa} and 1, "
            f"got {arch.kappa_max}"
        )
    if not 0 < arch.alpha <= 1:
        raise ValueError(f"arch.alpha must lie in 0..1 and not be 0, got {arch.alpha}")
    low, high = _ETA  # the excess of finite times over the certificate grows with |ln η|
    if not low <= arch.eta <= high:
        raise ValueError(f"arch.eta must lie in {low:.0e}..{high:.0e}, got {arch.eta}")


def _refuse_srm_keys(arch: Arch) -> None:
    for key in SRM_KEYS:
        if getattr(arch, key) != getattr(Arch, key):
            raise ValueError(
                f"arch.{key} belongs to srm; {arch.name} leaves it at {getattr(Arch, key)}, "
                f"got {getattr(arch, key)}"
            )


def _check_at_least(key: str, value: int, least: int) -> None:
    if isinstance(value, bool) or not isinstance(value, int) or value < least:
        raise ValueError(f"{key} must be an integer of at least {least}, got {value!r}")


def nearest(name: Any, known: Iterable[str]) -> str:
    """What to say of an unknown name: the closest known one, or else all of them."""
    close = difflib.get_close_matches(str(name), sorted(known), n=1, cutoff=0.5)
    return f"; did you mean {close[0]!r}?" if close else f"; known: {', '.join(sorted(known))}"
