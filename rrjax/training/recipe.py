"""The hyperparameters of a training run, with the official names and defaults."""

from dataclasses import dataclass, field

from rrjax.checks import check_count
from rrjax.training.augment import Augmentation
from rrjax.training.floss import Floss


@dataclass(frozen=True)
class Recipe:
    """How a cell is trained.

    Attributes:
      global_batch_size: slots (puzzles at a time), over all devices.
      steps: optimizer steps in all; one step is one segment of every slot, or what
        `augmentation.rollout` says.
      lr: peak learning rate of AdamATan2.
      lr_min_ratio: final learning rate of the cosine, as a fraction of the peak.
      lr_warmup_steps: steps of linear warm-up.
      beta1: decay of AdamATan2's first moment.
      beta2: decay of its second moment.
      weight_decay: decoupled decay, on all weights.
      puzzle_emb_lr: peak learning rate of the puzzle embeddings' SignSGD.
      puzzle_emb_weight_decay: its decoupled decay, on the rows present in a batch.
      ema: evaluate and save the exponential moving average of the weights.
      ema_rate: its decay per step.
      seed: of initial weights, sampling, augmentation and exploration.
      augmentation: perturbed starts; none as it stands.
      floss: gradient flossing; none as it stands.
    """

    global_batch_size: int = 768
    steps: int = 10_000
    lr: float = 1e-4
    lr_min_ratio: float = 1.0
    lr_warmup_steps: int = 2000
    beta1: float = 0.9
    beta2: float = 0.95
    weight_decay: float = 0.1
    puzzle_emb_lr: float = 1e-2
    puzzle_emb_weight_decay: float = 0.1
    ema: bool = True
    ema_rate: float = 0.999
    seed: int = 0
    augmentation: Augmentation = field(default_factory=Augmentation)
    floss: Floss = field(default_factory=Floss)

    def __post_init__(self):
        for name in ("global_batch_size", "steps"):
            check_count(name, getattr(self, name), least=1)
        for name in ("lr", "puzzle_emb_lr", "weight_decay", "puzzle_emb_weight_decay"):
            if not 0 <= getattr(self, name) < float("inf"):
                raise ValueError(
                    f"{name} must be finite and not negative, got {getattr(self, name)}"
                )
        for name in ("beta1", "beta2", "ema_rate"):
            if not 0 <= getattr(self, name) < 1:
                raise ValueError(f"{name} must lie in [0, 1), got {getattr(self, name)}")
        if not 0 <= self.lr_min_ratio <= 1:
            raise ValueError(f"lr_min_ratio must lie in 0..1, got {self.lr_min_ratio}")
        check_count("lr_warmup_steps", self.lr_warmup_steps)
        if not 0 <= self.seed < 2**32:  # of a wider seed JAX's keys would keep the low half alone
            raise ValueError(f"seed must lie in 0..{2**32 - 1}, got {self.seed}")
