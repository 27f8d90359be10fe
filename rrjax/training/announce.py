"""What a training says beforehand and after its first steps: its size, its time, its memory."""

from collections.abc import Sequence

from rrjax.analysis.format import count
from rrjax.jobs.devices import Device
from rrjax.jobs.memory import peak_memory, size_in_words
from rrjax.jobs.progress import Bar, duration
from rrjax.training.task import TrainingTask


class Announcer:
    """Says what the first steps take, and keeps a bar at the number of steps done."""

    def __init__(self, bar: Bar, device: Device):
        """Begins before the first step.

        Args:
          bar: the bar of all steps.
          device: the device whose memory is named.
        """
        self._bar, self._device, self._calls = bar, device, 0

    def moved(self, done: int, seconds: float) -> None:
        """Takes the number of steps done, and the seconds that the last of them took."""
        bar, left = self._bar, self._bar.total - done
        self._calls += 1
        if self._calls == 1:
            bar.start(done)
            if left:
                beginning = f"going on after step {done:,}; " if done else ""
                bar.say_doing(f"{beginning}compiling the step")
            return
        if self._calls == 2:
            bar.start(done)  # the speed is that without the compilation
            bar.tell(f"compiled; the first step was done after {duration(seconds)}")
        elif left:  # the row of the last step is reported with its numbers
            bar.report(done)
        if self._calls == 3 and left:
            bar.tell(
                f"a step takes {duration(seconds)}: {duration(seconds * left)} for the other "
                f"{left:,} steps, evaluations aside{_memory(self._device)}"
            )


def describe(task: TrainingTask, devices: Sequence[Device]) -> str:
    """Returns the size of a training in words."""
    arch, recipe = task.config.arch, task.recipe
    weights = sum(task.num_weights().values())
    kind = devices[0].device_kind
    return (
        f"{arch.name} of width {arch.hidden_size}, {weights:,} weights; {recipe.steps:,} steps, "
        f"each of {task.updates_per_step()} updates at batch size {recipe.global_batch_size}, with "
        f"{task.config.seq_len} tokens a puzzle; on "
        f"{count(len(devices), 'device')} ({kind})"
    )


def _memory(device: Device) -> str:
    memory = peak_memory(device)
    return "" if memory is None else f"; it has taken {size_in_words(memory)} of memory so far"
