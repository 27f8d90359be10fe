"""The table of experiments, and results loaded with the experiment that made them."""

from pathlib import Path

from rrjax.experiments.basins import BASIN
from rrjax.experiments.dimensions import DIMENSION
from rrjax.experiments.erasing import ERASE
from rrjax.experiments.fillings import BLANKS
from rrjax.experiments.growths import GROWTH
from rrjax.experiments.information_plane import INFORMATION
from rrjax.experiments.kicks import KICKING
from rrjax.experiments.logit_terms import LOGITS
from rrjax.experiments.mixings import MIXING
from rrjax.experiments.neuron_scores import NEURONS
from rrjax.experiments.noisy import PTRM
from rrjax.experiments.patches import PATCHING
from rrjax.experiments.points import FIXED_POINTS
from rrjax.experiments.probes import PROBE
from rrjax.experiments.recording import STATES
from rrjax.experiments.rollouts import ROLLOUT
from rrjax.experiments.similarities import SIMILARITY
from rrjax.experiments.singles import CIRCUITS
from rrjax.experiments.slices import SLICE
from rrjax.experiments.spectra import SPECTRUM
from rrjax.experiments.spending import POLICIES
from rrjax.experiments.toys import TOY
from rrjax.experiments.vectors import MEANING
from rrjax.results.axes import check_kinds
from rrjax.results.results import Results, read_results

_EVERY_ONE = (
    *(SPECTRUM, ROLLOUT, BASIN, PTRM, POLICIES, SLICE, TOY),
    *(FIXED_POINTS, GROWTH, PATCHING, KICKING),
    *(MIXING, CIRCUITS, LOGITS),
    *(STATES, DIMENSION, SIMILARITY, INFORMATION, NEURONS, BLANKS),
    *(PROBE, ERASE, MEANING),
)
EXPERIMENTS = {each.name: each for each in _EVERY_ONE}


def load_results(path: str | Path) -> Results:
    """Returns results that an experiment wrote, with its tables and figures.

    Args:
      path: The `.npz` file, or the folder with `results.npz` in it.

    Raises:
      FileNotFoundError: There is no such file, or no record beside it.
      ValueError: The file is damaged, of another program or format, or not that of its record.

    Example:
      >>> rrjax.experiments.toy(num_runs=100, readout_times=(4, 8), folder="runs/toy").path.name
      'results.npz'
      >>> rrjax.load_results("runs/toy").exponents.shape
      (100, 2)
    """
    results = read_results(path)
    results.experiment = experiment = EXPERIMENTS.get(results.record["experiment"])
    if experiment is None:
        return results
    try:
        check_kinds(results.arrays, experiment.arrays)
    except ValueError as error:
        raise ValueError(f"{results.path} does not hold a {experiment.name}: {error}") from None
    return results
