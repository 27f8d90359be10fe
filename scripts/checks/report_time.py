"""Makes the report of a large made-up spectrum, and says its size and how soon a browser shows it.

    python -m scripts.checks.report_time

512 Sudokus of 9 × 9, 16 segments of 21 updates, 8 exponents, attribution, and the projections. The
numbers are drawn at random, as those of a real run are to a compressor. The time is from opening
the file to the last chart, as the least of three; Chromium runs without a window.
"""

import argparse
import time
from pathlib import Path

import numpy as np
from playwright.sync_api import Page, sync_playwright

from rrjax.experiments.spectra import SPECTRUM
from rrjax.page.assemble import make_report
from rrjax.puzzles import read
from rrjax.results.results import Results

NUMBER, SEGMENTS, PER_SEGMENT, EXPONENTS = 512, 16, 21, 8
MOST_BYTES, MOST_SECONDS = 10_000_000, 3.0


def made_up() -> Results:
    """Returns the spectrum."""
    rng = np.random.default_rng(0)
    puzzles = read("hard-sudoku9")[:NUMBER]
    shape = NUMBER, SEGMENTS
    wrong = rng.random((*shape, 81)) < np.linspace(0.5, 0, SEGMENTS)[:, None]
    answers = np.where(wrong, rng.integers(2, 11, wrong.shape), puzzles.labels[:, None])
    answers[: NUMBER // 2, :, :9] = 2
    right = (answers == puzzles.labels[:, None]).all(axis=2)
    growth = rng.normal(0, 0.1, (NUMBER, SEGMENTS * PER_SEGMENT, EXPONENTS)).astype(np.float32)
    shares = rng.dirichlet(np.ones(2 * 97), (*shape, EXPONENTS)).astype(np.float32)
    arrays = {
        "exponents": growth.mean(axis=1),
        "log_growth": growth,
        "drift_z_H": rng.lognormal(size=shape).astype(np.float32),
        "residual": rng.lognormal(size=shape).astype(np.float32),
        "q_halt_by_segment": rng.normal(size=shape).astype(np.float32),
        "q_halt": rng.normal(size=NUMBER).astype(np.float32),
        "distance_to_end": rng.lognormal(size=shape).astype(np.float32),
        "projection": rng.normal(size=(*shape, 32)).astype(np.float32),
        "projection_variance": np.full(32, 0.02, np.float32),
        "participation_z_H": shares[..., :97],
        "participation_z_L": shares[..., 97:],
        "inputs": puzzles.inputs.astype(np.uint8),
        "labels": puzzles.labels.astype(np.int16),
        "answers": answers[:, -1].astype(np.uint8),
        "answers_by_segment": answers.astype(np.uint8),
        "snapshot": np.arange(1, SEGMENTS + 1),
        "solved_by_segment": right,
        "solved": right[:, -1],
        "finite": np.ones(NUMBER, bool),
        "failed_at": np.full(NUMBER, -1),
    }
    record = {
        "answer": "z_H",
        "model": {"name": "made up", "sha256": "", "provenance": {}},
        "options": {
            "num_segments": SEGMENTS,
            "attribution": True,
            "precision": "exact",
            "dtype": "float32",
            "num_puzzles": NUMBER,
        },
        "puzzles": {"vocab_size": 11},
        "updates_per_segment": PER_SEGMENT,
        "dimension": 97 * 2 * 128,
    }
    return SPECTRUM.results(arrays, record)


def seconds_to_view(page: Page, file: Path) -> float:
    """Returns the seconds from opening a page to its last chart."""
    page.goto("about:blank")
    start = time.perf_counter()
    page.goto(file.as_uri())
    page.wait_for_function("document.documentElement.dataset.ready")
    return time.perf_counter() - start


def main() -> None:
    """Prints the two numbers; the exit code is 1 where one is above its limit."""
    parser = argparse.ArgumentParser(description="Makes a large report and opens it.")
    parser.add_argument("--out", type=Path, default=Path("report.html"))
    parser.add_argument("--browser", default="/usr/bin/chromium")
    options = parser.parse_args()
    make_report({"made up": made_up()}).save(options.out)
    size = options.out.stat().st_size
    with sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=options.browser, args=["--no-sandbox"])
        page = browser.new_page(viewport={"width": 1300, "height": 900})
        times = [seconds_to_view(page, options.out.resolve()) for _ in range(3)]
        browser.close()
    print(f"{size / 1e6:.1f} MB; {min(times):.1f} s to the last chart, the least of three: {times}")
    raise SystemExit(size > MOST_BYTES or min(times) > MOST_SECONDS)


if __name__ == "__main__":
    main()
