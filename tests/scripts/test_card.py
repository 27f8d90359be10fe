"""The script that measures everything on a card: it is rehearsed whole, and survives what fails."""

import json
import sys
import time
from dataclasses import replace

import pytest

from scripts.benchmarks import card
from scripts.benchmarks.card_rows import Recorder, table
from scripts.benchmarks.card_sections import TINY, measure_training, time_calls
from scripts.benchmarks.kernel_profile import kernels


@pytest.mark.slow
def test_the_rehearsal_measures_every_section_and_prints_the_table(tmp_path, capsys):
    out = tmp_path / "card"
    card.main(card.Options(out, tiny=True))
    printed = capsys.readouterr().out
    assert printed == (out / "card.md").read_text()
    record = json.loads((out / "card.json").read_text())
    sections = record["sections"]
    assert list(sections) == list(card.BUDGETS)
    assert {section["status"] for section in sections.values()} == {"done"}
    rows = [row for section in sections.values() for row in section["rows"]]
    reasons = [row["note"] for row in rows if row["value"] is None and row["side"] == "rrjax"]
    assert reasons == ["failed: a processor has no TF32 products", "a processor tells no peak"]
    timed = ("ms per puzzle and segment", "puzzles/s", "s to the first progress", "ms of a call")
    for unit in timed:
        values = [row["value"] for row in rows if row["unit"] == unit and row["value"] is not None]
        assert values, unit
        assert min(values) > 0
    for title in ("2 puzzles, bf16", "PyTorch", "training step, width 16, batch 4, bf16"):
        assert title in printed


def test_a_section_that_outlives_its_budget_is_stopped_and_leaves_its_rows(tmp_path, monkeypatch):
    monkeypatch.setattr(card, "section_command", lambda name, options: ["sleep", "60"])
    Recorder(tmp_path / "products.json").add("of an earlier run", "s", 1.0)
    start = time.monotonic()
    section = card.run_section("products", card.Options(tmp_path), 0.2)
    assert time.monotonic() - start < 30
    assert section["status"] == "stopped after 0 s, its budget"
    assert section["rows"] == []


def test_a_section_that_fails_says_why_and_what_is_left_is_run(tmp_path, monkeypatch, capsys):
    def words(name, options):
        recorder = f"Recorder(Path({str(options.out / f'{name}.json')!r}))"
        text = "from pathlib import Path; from scripts.benchmarks.card_rows import Recorder; "
        text += f"{recorder}.add('a row', 's', 1.5); "
        text += "raise MemoryError('too much')" if name == "torch" else ""
        return [sys.executable, "-c", text]

    monkeypatch.setattr(card, "section_command", words)
    monkeypatch.setattr(card, "device", lambda: "a card")
    card.main(card.Options(tmp_path, sections=("torch", "products")))
    sections = json.loads((tmp_path / "card.json").read_text())["sections"]
    assert sections["torch"]["status"] == "failed: MemoryError: too much"
    assert sections["products"]["status"] == "done"
    assert capsys.readouterr().out.count("| a row | s | 1.5 |  |  |  |") == 2


def test_when_the_time_is_over_the_rest_is_not_run(tmp_path, monkeypatch):
    monkeypatch.setattr(card, "device", lambda: "a card")
    card.main(card.Options(tmp_path, seconds=0.0, sections=("torch",)))
    record = json.loads((tmp_path / "card.json").read_text())
    assert record["sections"]["torch"]["status"] == "not run, no time was left"


def test_an_unknown_section_is_refused(tmp_path, capsys):
    with pytest.raises(SystemExit) as stopped:
        card.main(card.Options(tmp_path, sections=("nothing",)))
    assert stopped.value.code == 2
    assert "unknown sections: nothing; there are products," in capsys.readouterr().err


def test_an_error_is_a_row_and_the_next_size_is_measured(tmp_path, monkeypatch):
    def fail(recorder, scale, title, width, batch_size, options):
        if batch_size == 8:
            raise RuntimeError("RESOURCE_EXHAUSTED: out of memory\nand a long list")
        recorder.add(title, "s", 1.0)

    monkeypatch.setattr("scripts.benchmarks.card_sections._measure_training_step", fail)
    recorder = Recorder(tmp_path / "training.json")
    measure_training(recorder, replace(TINY, trainings=((16, 8), (16, 4))))
    first, second, deterministic, _ = recorder.rows
    assert deterministic.what == f"{second.what}, deterministic operations"
    assert (first.value, first.note) == (None, "failed: RESOURCE_EXHAUSTED: out of memory")
    assert (second.value, second.what) == (1.0, "training step, width 16, batch 4, bf16")
    assert len(json.loads(recorder.path.read_text())["rows"]) == len(recorder.rows)


def test_both_sides_stand_in_one_line_of_the_table(tmp_path):
    recorder = Recorder(tmp_path / "rows.json")
    recorder.add("a product", "TFLOP/s", 123.456, goal="≥ 100")
    recorder.add("a product", "TFLOP/s", 99.0, "PyTorch", "eager")
    rows = json.loads(recorder.path.read_text())["rows"]
    sections = {"products": {"status": "done", "seconds": 1.0, "rows": rows}}
    text = table({"device": "a card", "summary": "Cold.", "sections": sections})
    assert text.startswith("# a card\n\nCold.\n\n## products: done, 1 s\n")
    assert text.endswith("| a product | TFLOP/s | 123.5 | 99 | ≥ 100 | eager |\n")


def test_a_call_is_timed_over_as_many_calls_as_fill_the_time(monkeypatch):
    clock = iter([0.0, 0.1, 10.0, 11.0])  # a call takes .1 s, and then ten take 1 s
    monkeypatch.setattr("scripts.benchmarks.card_sections.time.perf_counter", lambda: next(clock))
    calls = []
    assert time_calls(lambda: calls.append(1), lambda result: None, 1.0) == pytest.approx(0.1)
    assert len(calls) == 2 + 10


def test_kernels_of_a_card_are_what_its_streams_ran():
    def named(kind, pid, name, tid=0):
        return {"ph": "M", "name": kind, "pid": pid, "tid": tid, "args": {"name": name}}

    def ran(pid, tid, name, microseconds):
        return {"ph": "X", "pid": pid, "tid": tid, "name": name, "dur": microseconds}

    events = [
        named("process_name", 1, "/device:GPU:0"),
        named("process_name", 2, "/host:CPU"),
        named("thread_name", 1, "Stream #13(Compute)", 7),
        named("thread_name", 1, "XLA Ops", 8),
        ran(1, 7, "gemm", 3000),
        ran(1, 7, "add", 500),
        ran(1, 7, "gemm", 1000),
        ran(1, 8, "gemm", 4000),  # the same once more, by name of the operation
        {**ran(2, 7, "dot", 9000), "args": {"hlo_op": "dot"}},
    ]
    assert kernels(events, 2) == {"gemm": (0.002, 1.0), "add": (0.00025, 0.5)}
    assert kernels(events[3:], 1) == {"dot": (0.009, 1.0)}
