"""The command with a question for its second word."""

import pytest

from rrjax import cli
from rrjax.commands import inside
from rrjax.commands.job import Job


@pytest.fixture(autouse=True)
def questions(monkeypatch):
    job = Job("rollout", "rollouts", words="inside where")
    monkeypatch.setattr(inside, "QUESTIONS", {"where": (job, "where it goes")})


def test_help_lists_the_questions_and_each_has_its_own(capsys):
    for words, code in ((["--help"], 0), ([], 2)):
        with pytest.raises(SystemExit) as end:
            inside.main(words)
        assert end.value.code == code
        assert "where          where it goes" in capsys.readouterr().out
    with pytest.raises(SystemExit):
        inside.main(["where", "--help"])
    assert "usage: rrjax inside where" in capsys.readouterr().out


def test_a_question_has_the_options_of_its_experiment():
    assert inside.parse(["where", "--num-segments", "3"])["run"]["num_segments"] == 3


def test_an_unknown_question_is_refused():
    with pytest.raises(ValueError, match=r"unknown question 'wher'.*where.*rrjax inside --help"):
        inside.main(["wher"])
    assert cli.run_command(inside.main, ["wher"]) == 2
