"""Options are what the functions say: their names, types, defaults and words."""

import importlib
import inspect

import pytest

from rrjax.commands import basin, ptrm, rollout, slice, spectrum, toy
from rrjax.commands.options import read_function

EXPERIMENTS = {
    "spectrum": "spectra",
    "rollout": "rollouts",
    "basin": "basins",
    "ptrm": "noisy",
    "slice": "slices",
    "toy": "toys",
}


FUNCTIONS = [
    (f"rrjax.experiments.{file}", function)
    for name, file in EXPERIMENTS.items()
    for function in (name, "numbers", "figures")
    if (name, function) != ("toy", "numbers")
]


@pytest.mark.parametrize(("module", "wanted"), FUNCTIONS)
def test_a_function_read_from_its_source_is_the_imported_one(module, wanted):
    real = getattr(importlib.import_module(module), wanted)
    defaults = {
        parameter.name: parameter.default
        for parameter in inspect.signature(real).parameters.values()
        if parameter.default is not parameter.empty and parameter.name not in ("folder", "progress")
    }
    read = read_function(module, wanted)
    assert {name: parameter.default for name, parameter in read.parameters.items()} == defaults
    assert all(parameter.help.endswith(".") for parameter in read.parameters.values())
    assert inspect.getdoc(real).startswith(read.description)


def test_words_become_values_of_the_functions_types():
    options = basin.parse(
        ["m", "--sigmas", "0", "0.5", "--states", "z_L", "--readout-segment", "3"]
    )
    assert options["run"]["sigmas"] == [0.0, 0.5]
    assert options["run"]["states"] == ["z_L"]
    assert options["numbers"] == options["figures"] == {"readout_segment": 3}
    assert options["load"]["model"] == "m"
    assert options["run"]["num_restarts"] == 8
    assert spectrum.parse(["--attribution"])["run"]["attribution"] is True
    assert slice.parse(["--directions", "lyapunov"])["run"]["directions"] == "lyapunov"
    assert ptrm.parse([])["run"]["states"] is None
    assert rollout.parse([])["numbers"]["halt_q"] is None
    assert str(toy.parse([])["out"]["out"]) == "runs/toy"


@pytest.mark.parametrize("words", [["--num-puzzles", "2"], ["--folder", "x"]])
def test_what_is_no_option_is_refused(words, capsys):
    with pytest.raises(SystemExit):
        slice.parse(words)
    assert words[0] in capsys.readouterr().err
