"""Options are what the functions say: their names, types, defaults and words."""

import importlib
import inspect
import re

import pytest

from rrjax.cli import COMMANDS, main
from rrjax.commands import basin, ptrm, rollout, slice, spectrum, toy
from rrjax.commands.options import read_function
from tests.tools.commandline import parsed

EXPERIMENTS = {
    "spectrum": "spectra",
    "rollout": "rollouts",
    "basin": "basins",
    "ptrm": "noisy",
    "policies": "spending",
    "slice": "slices",
    "fixed_points": "points",
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


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--num-puzzles", "2"], "no option '--num-puzzles'; did you mean '--puzzles'?"),
        (["--ou", "x"], "no option '--ou'; did you mean '--out'? (see rrjax slice --help)"),
        (["model", "surplus"], "no place for the word 'surplus' (see"),
    ],
)
def test_what_is_no_option_is_refused(words, message):
    with pytest.raises(ValueError, match=re.escape(f"rrjax slice has {message}")):
        slice.parse(words)


@pytest.mark.parametrize("command", COMMANDS)
def test_help_names_types_and_not_how_they_are_held(command, capsys):
    assert main([command, "--help"]) == 0
    words = capsys.readouterr().out
    for fault in ("{None}", "no-no-", "(default: )", "{INT"):
        assert fault not in words


def test_an_option_that_may_be_absent_still_takes_none():
    parsed_options = parsed("train", ["--data", "d", "--out", "o", "--floss.segments", "None"])
    assert parsed_options.recipe.floss.segments is None
    words = ["--data", "d", "--out", "o", "--floss.segments", "2", "4", "--floss.pre", "1"]
    assert parsed("train", words).recipe.floss.segments == (2, 4)


@pytest.mark.parametrize("value", [True, False])
def test_a_negation_takes_a_value(value):
    words = ["--data", "d", "--out", "o", "--arch.no-ACT-continue", str(value)]
    assert parsed("train", words).arch.no_ACT_continue is value
