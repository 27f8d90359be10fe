"""Settings of a training run: the recipe, perturbed starts, flossing, and the loop.

This module imports neither JAX nor optax, so that the command line can show its help at once.
"""

from dataclasses import dataclass, field, fields
from typing import Literal

from rrjax.checks import (
    MOST_SEGMENTS_TRAINED,
    check_choices,
    check_count,
    check_number,
    check_positive,
    check_seed,
    refuse,
    refuse_idle,
)
from rrjax.flossing.schedule import FlossingSchedule

Which = Literal["all", "failing", "correct"]


@dataclass(frozen=True)
class Augmentation:
    """Settings of perturbed starts: which trajectories a puzzle has, and how far apart they start.

    Attributes:
      objective: Which trajectories of a puzzle are trained on. `clean_ce` takes the clean one,
        `single_perturbed_ce` a perturbed one, and `multi_perturbed_ce` the clean one and
        `num_trajectories` − 1 perturbed ones, whose losses are averaged. With `winner_takes_all`
        only the trajectory with the lowest cross-entropy counts in each segment, and the others go
        on from its answer with their own z_L. This was published with K = 4 and random starts of
        z_L. Its training metrics are those of the winners, which the labels choose.
      rollout: What one optimizer step runs. With `serial_act` it is one segment, and each
        trajectory streams through a slot of its own. With `parallel_fixed` it is all
        `halt_max_steps` segments of new puzzles. `masked_act` is the same, but a trajectory that
        has halted no longer counts.
      num_trajectories: Number of trajectories of a puzzle under `multi_perturbed_ce`, and the
        number K of latent states under `winner_takes_all`.
      starts: What a trajectory that is not clean starts from. `perturbed` is z0 + σ · noise, and
        `random` is truncated normal numbers of size 1 in every component. EqR starts so, under
        `single_perturbed_ce`. Evaluations then have random starts as well.
      sigma: Lowest and highest σ, in the unit of the states. Each trajectory draws its own
        log-uniformly between them; equal numbers give that one.
      p_clean: Probability that a trajectory that would be perturbed stays clean.
      latents: What is perturbed: the answer z_H, the latents z_L, or both.
      clean_steps: Number of optimizer steps before the first noise.
      ramp_steps: Number of optimizer steps, after the clean ones, over which both ends of `sigma`
        grow from 0.
    """

    objective: Literal[
        "clean_ce", "single_perturbed_ce", "multi_perturbed_ce", "winner_takes_all"
    ] = "clean_ce"
    rollout: Literal["serial_act", "parallel_fixed", "masked_act"] = "serial_act"
    num_trajectories: int = 4
    starts: Literal["perturbed", "random"] = "perturbed"
    sigma: tuple[float, float] = (1e-3, 1e-3)
    p_clean: float = 0.0
    latents: Literal["both", "z_H", "z_L"] = "both"
    clean_steps: int = 0
    ramp_steps: int = 0

    def __post_init__(self):
        check_choices(self, "augmentation.")
        check_count("augmentation.num_trajectories", self.num_trajectories, least=1)
        for name in ("clean_steps", "ramp_steps"):
            check_count(f"augmentation.{name}", getattr(self, name))
        check_number("augmentation.p_clean", self.p_clean, least=0, most=1)
        low, high = self.sigma
        if not 0 <= low <= high < float("inf"):
            rule = "be two finite numbers, 0 ≤ lowest ≤ highest"
            refuse("augmentation.sigma", rule, self.sigma)
        if low == 0 < high:
            rule = "have a lowest above 0, because log-uniform draws never reach 0"
            refuse("augmentation.sigma", rule, self.sigma)
        if self.objective == "winner_takes_all":
            self._check_rivals()

    def _check_rivals(self) -> None:
        """Refuses trajectories that do not run side by side, or that would be equal."""
        rules = {
            "rollout": (self.rollout == "serial_act", "be serial_act"),
            "num_trajectories": (self.num_trajectories > 1, "be at least 2"),
            "sigma": (self.sigma[1] > 0, "be above 0"),
            "p_clean": (self.p_clean < 1, "be below 1"),
            "latents": (self.latents != "z_H", "be both or z_L, because z_H is the winner's,"),
        }
        for name, (is_kept, rule) in rules.items():
            if not is_kept:
                rule = f"{rule} with augmentation.objective winner_takes_all"
                refuse(f"augmentation.{name}", rule, getattr(self, name))

    def refuse_idle(self) -> None:
        """Refuses settings that the objective does not read."""
        if self.objective == "clean_ce":
            idle = {f.name for f in fields(self)} - {"objective", "rollout"}
            refuse_idle("augmentation.", self, idle, "augmentation.objective")
        elif self.objective == "single_perturbed_ce":
            needed = "augmentation.objective multi_perturbed_ce or winner_takes_all"
            refuse_idle("augmentation.", self, ("num_trajectories",), needed)
        if self.starts == "random":
            idle = ("sigma", "clean_steps", "ramp_steps")
            refuse_idle("augmentation.", self, idle, "augmentation.starts perturbed")

    @property
    def trajectories(self) -> int:
        """Number of trajectories of one puzzle."""
        has_many = self.objective in ("multi_perturbed_ce", "winner_takes_all")
        return self.num_trajectories if has_many else 1

    @property
    def evaluates_random_starts(self) -> bool:
        """Whether puzzles are trained from random starts alone, and so evaluated."""
        return self.objective == "single_perturbed_ce" and self.starts == "random"


@dataclass(frozen=True)
class Floss(FlossingSchedule):
    """Flossing steps before and during training; the defaults have none.

    Attributes:
      pre: Number of flossing steps before the first training step (preflossing); 0 means none.
      every: Number of training steps between two episodes of interflossing; without it there are
        none.
      episode: Number of flossing steps in each episode.
      at_most: Largest number of episodes; without it there is no limit.
      loss: One of the losses of `rrjax.flossing`.
      target: λ*, the exponent that flossing aims at, in nats per update.
      num_exponents: The number k of exponents.
      segments: The window of segments that counts: the first one, counted from 0, and the end,
        which is left out. Without it all segments that training runs count.
      stride: Count only every so many segments of the window.
      segments_per_qr: Number of segments between two QR decompositions. None stands for a
        decomposition after every update.
      puzzles: Number of training puzzles in a flossing step.
      which: The puzzles that count: all of them, or those that the model fails or solves at the
        window's end.
      kl: Weight of KL(answers before the episode ‖ answers now) at the window's end, in nats per
        token.
      params: Patterns of the names of the weights that change, such as `*L_level*`.
      lr: Learning rate of flossing's own Adam.
      limit: Number of successive steps that are skipped because they are not finite after which the
        training stops.
    """

    loss: Literal["two_sided", "one_sided", "one_sided_leading", "one_sided_volume"] = "two_sided"
    target: float = 0.0
    num_exponents: int = 4
    segments: tuple[int, int] | None = None
    stride: int = 1
    segments_per_qr: int | None = 1
    puzzles: int = 8
    which: Which = "all"
    kl: float = 0.0
    params: tuple[str, ...] = ("*",)
    lr: float = 1e-3
    limit: int = 10

    def __post_init__(self):
        super().__post_init__()
        check_choices(self, "floss.")
        for name in ("num_exponents", "puzzles", "limit"):
            check_count(f"floss.{name}", getattr(self, name), least=1)
        for name in ("stride", "segments_per_qr"):
            check_count(f"floss.{name}", getattr(self, name), least=1, most=MOST_SEGMENTS_TRAINED)
        for name in ("kl", "lr"):
            check_number(f"floss.{name}", getattr(self, name), least=0)
        check_number("floss.target", self.target)
        if self.segments is not None and not 0 <= self.segments[0] < self.segments[1]:
            refuse("floss.segments", "be two counts, the first below the second", self.segments)
        if self.every is not None and not self.episode:
            refuse("floss.episode", "be at least 1 where floss.every is given", self.episode)

    def refuse_idle(self) -> None:
        """Refuses settings of flossing, or of its episodes, where there is none."""
        if not self.active:
            refuse_idle("floss.", self, {f.name for f in fields(self)}, "floss.pre or floss.every")
        elif self.every is None:
            refuse_idle("floss.", self, ("episode", "at_most"), "floss.every")

    @property
    def active(self) -> bool:
        """Whether a run has any flossing step."""
        return self.pre > 0 or self.every is not None

    def window(self, segments: int) -> range:
        """Returns the segments that count, in a run of `segments`."""
        first, end = self.segments or (0, segments)
        return range(first, end, self.stride)


@dataclass(frozen=True)
class Recipe:
    """How a cell is trained, with the official names and defaults.

    Attributes:
      global_batch_size: Number of slots, over all devices. A slot holds one puzzle at a time.
      steps: Number of optimizer steps of the whole training. One step is one segment of every slot,
        or what `augmentation.rollout` says.
      optimizer: `adam_atan2`, the official one, trains all weights. With `muon`, Muon trains the
        matrices of the blocks and AdamW all other weights.
      lr: Peak learning rate of AdamATan2 or AdamW.
      lr_min_ratio: Final learning rate of the cosine schedule, as a fraction of the peak.
      lr_warmup_steps: Number of steps of linear warm-up.
      beta1: Decay rate of the first moment of AdamATan2 or AdamW.
      beta2: Decay rate of its second moment.
      weight_decay: Decoupled decay of the weights that AdamATan2 or AdamW trains.
      muon_lr: Peak learning rate of Muon.
      muon_weight_decay: Decoupled decay of the weights that Muon trains.
      gradient_clip: Largest norm of the gradient of all weights except the puzzle embeddings. A
        longer gradient is scaled down to it; 0 means no limit.
      label_smoothing: Part of each label's probability that is spread over all token values.
      q_weight: Weight of the loss of both halting values.
      puzzle_emb_lr: Peak learning rate of the puzzle embeddings' SignSGD.
      puzzle_emb_weight_decay: Decoupled decay of the puzzle embeddings' rows that a batch holds.
      ema: Evaluate and save the exponential moving average (EMA) of the weights.
      ema_rate: Decay rate of the average in one step.
      update_noise: Standard deviation of the noise that every update adds to the field that it
        rewrites, in training and in evaluation. EqR has 0.01.
      stagger_slots: Give up the first puzzles of a training after different numbers of segments, so
        that afterwards the slots do not all take new puzzles in the same step. It makes a small
        batch more varied.
      seed: Seed of the initial weights, the sampling, the augmentation and the exploration.
      augmentation: Perturbed starts. The defaults have none.
      floss: Gradient flossing. The defaults have none.
    """

    global_batch_size: int = 768
    steps: int = 10_000
    optimizer: Literal["adam_atan2", "muon"] = "adam_atan2"
    lr: float = 1e-4
    lr_min_ratio: float = 1.0
    lr_warmup_steps: int = 2000
    beta1: float = 0.9
    beta2: float = 0.95
    weight_decay: float = 0.1
    muon_lr: float = 0.02
    muon_weight_decay: float = 0.005
    gradient_clip: float = 0.0
    label_smoothing: float = 0.0
    q_weight: float = 0.5
    puzzle_emb_lr: float = 1e-2
    puzzle_emb_weight_decay: float = 0.1
    ema: bool = True
    ema_rate: float = 0.999
    update_noise: float = 0.0
    stagger_slots: bool = False
    seed: int = 0
    augmentation: Augmentation = field(default_factory=Augmentation)
    floss: Floss = field(default_factory=Floss)

    def __post_init__(self):
        check_choices(self)
        check_positive(self, ("global_batch_size", "steps"))
        check_count("lr_warmup_steps", self.lr_warmup_steps)
        for name in ("lr", "puzzle_emb_lr", "weight_decay", "puzzle_emb_weight_decay"):
            check_number(name, getattr(self, name), least=0)
        for name in ("muon_lr", "muon_weight_decay", "gradient_clip", "q_weight", "update_noise"):
            check_number(name, getattr(self, name), least=0)
        for name in ("beta1", "beta2", "ema_rate", "label_smoothing"):
            check_number(name, getattr(self, name), least=0, below=1)
        check_number("lr_min_ratio", self.lr_min_ratio, least=0, most=1)
        check_seed("seed", self.seed)
        if self.stagger_slots and self.augmentation.rollout != "serial_act":
            rule = "stay off with an augmentation.rollout whose puzzles all end with the step"
            refuse("stagger_slots", rule, f"it with {self.augmentation.rollout}")

    def refuse_idle(self) -> None:
        """Refuses settings that no part of the recipe reads."""
        if self.optimizer != "muon":
            refuse_idle("", self, ("muon_lr", "muon_weight_decay"), "optimizer muon")
        self.augmentation.refuse_idle()
        self.floss.refuse_idle()


@dataclass(frozen=True)
class LoopSettings:
    """When a run reports, saves and stops, in optimizer steps.

    Attributes:
      log_every: Number of steps between two rows of training metrics.
      eval_every: Number of steps between two evaluations on the test set. Each also saves the model
        in `models/`, and in `models/best` if it is the best so far.
      checkpoint_every: Number of steps between two checkpoints to resume from, a multiple of
        `log_every`.
      eval_puzzles: Number of test puzzles to evaluate, from the first; 0 means all.
      eval_sigmas: Also evaluate from z0 + σ·N(0, 1), for each of these σ.
      log_recursion: With each evaluation, write the loss and the accuracy after every segment to
        `recursion_metrics.csv`.
      log_latents: With each evaluation, write statistics of the latent states after every segment
        to `latent_stats.csv`: their norm, their cosine to the segment before, and their variance
        over puzzles.
      spike_factor: Stop where the loss is more than this many times the median of the last 20
        logged losses, and above the first one; 0 means never.
    """

    log_every: int = 10
    eval_every: int = 250
    checkpoint_every: int = 100
    eval_puzzles: int = 0
    eval_sigmas: tuple[float, ...] = ()
    log_recursion: bool = False
    log_latents: bool = False
    spike_factor: float = 10.0

    def __post_init__(self):
        check_positive(self, ("log_every", "eval_every", "checkpoint_every"))
        for name in ("eval_every", "checkpoint_every"):
            if getattr(self, name) % self.log_every:
                raise ValueError(
                    f"{name} must be a multiple of log_every ({self.log_every}), so that a "
                    f"resumed run logs the same lines; got {getattr(self, name)}"
                )
        check_count("eval_puzzles", self.eval_puzzles)
        for sigma in self.eval_sigmas:
            check_number("eval_sigmas", sigma, least=0)
        if not (self.spike_factor == 0 or 1 < self.spike_factor < float("inf")):
            raise ValueError(f"spike_factor must be 0 or above 1, got {self.spike_factor}")


@dataclass(frozen=True)
class SearchSettings:
    """How a search over trainings draws and judges its trials.

    Attributes:
      num_trials: Number of trials in all, including those of earlier calls.
      num_random: Number of trials that are drawn at random before the sampler (TPE) learns from
        them.
      objective: Whether a training is judged by its best evaluation or by its last one.
      prune: Stop a training whose evaluation is below the median of the earlier ones at that step,
        from the sixth trial on.
      search_seed: Seed of the sampler; `seed` is that of the trainings.
    """

    num_trials: int = 20
    num_random: int = 10
    objective: Literal["best", "final"] = "best"
    prune: bool = False
    search_seed: int = 0

    def __post_init__(self):
        check_choices(self)
        check_positive(self, ("num_trials", "num_random"))
        check_count("search_seed", self.search_seed)
