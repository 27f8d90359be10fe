"""The page in a real browser: what is clicked, dragged and played, held against the arrays."""

import re
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from rrjax.analysis import auc
from rrjax.page.assemble import make_report
from tests.tools import shown as made

CHROMIUM = Path("/usr/bin/chromium")
if not CHROMIUM.exists():
    pytest.skip(f"a browser is needed: there is no {CHROMIUM}", allow_module_level=True)
sync_api = pytest.importorskip("playwright.sync_api", reason="a browser is driven by playwright")

EVIL = '"><img src=x onerror="window.hacked=1"></script><script>window.hacked=1</script>'
TEXTS = """board => [...board.querySelectorAll("text")].map(text => [
    ...text.getAttribute("transform").match(/[-\\d.]+/g).slice(0, 2).map(Number),
    text.textContent])"""
"""The texts of a board with their places."""

POINTS = """chart => [...chart.querySelectorAll("[aria-label*='puzzle: ']")].map(point => {
    const box = point.getBoundingClientRect();
    return [Number(point.getAttribute("aria-label").match(/puzzle: (\\d+)/)[1]),
            box.x + box.width / 2, box.y + box.height / 2]; })"""
"""The numbers of the puzzles with the places of their points on the screen."""


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    spectrum = made.spectrum()
    spectrum.record["model"]["name"] = EVIL
    missing = dict.fromkeys(("labels", "answers", "answers_by_segment"))
    bare = made.spectrum(exponents=np.full((24, 4), np.nan), solved=np.ones(24, bool), **missing)
    bare.experiment = None  # which would read what is missing
    runs = {
        EVIL: spectrum,
        "basin": made.basin(),
        "plane": made.plane(),
        "bare": bare,
        "panels": made.panelled(),
        "training": made.training(EVIL),
    }
    file = tmp_path_factory.mktemp("report") / "report.html"
    make_report(runs).save(file)
    with sync_api.sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        page = browser.new_page(viewport={"width": 1300, "height": 1600})
        page.asked_for, page.told = [], []
        page.on("request", lambda request: page.asked_for.append(request.url))
        page.on("console", lambda message: page.told.append(message.text))
        page.on("pageerror", lambda error: page.told.append(str(error)))
        page.goto(file.as_uri())
        page.wait_for_function("document.documentElement.dataset.ready")
        yield page
        browser.close()


def part(page: Any, name: str, run: int = 0) -> Any:
    return page.locator("article").nth(run).locator(f'[data-part="{name}"]')


def eventually(read: Callable[[], Any], expected: Any) -> None:
    """Asserts that what is read becomes what is expected: charts follow a moment later."""
    end = time.monotonic() + 10
    while read() != expected and time.monotonic() < end:
        time.sleep(0.02)
    assert read() == expected


def text(page: Any, name: str, run: int = 0) -> str:
    return part(page, name, run).inner_text()


def board(page: Any, run: int = 0) -> list[int]:
    """The digits on the board, row by row."""
    cell = 100  # pixels
    places = part(page, "board", run).evaluate(TEXTS)
    return [int(text) for _, _, text in sorted((y // cell, x, text) for x, y, text in places)]


def go(page: Any, segment: int) -> None:
    part(page, "segment").fill(str(segment))


def digits(tokens: np.ndarray) -> list[int]:
    return (tokens.astype(int) - 1).tolist()


def test_a_click_opens_the_puzzle_with_its_digits_at_the_segment(page):
    for puzzle, segment in ((7, 2), (12, 5)):
        page.evaluate("scrollTo(0, 0)")
        places = {number: (x, y) for number, x, y in part(page, "scatter").evaluate(POINTS)}
        page.mouse.click(*places[puzzle])
        go(page, segment)
        eventually(lambda: text(page, "heading"), f"Puzzle {puzzle}")
        eventually(lambda: board(page), digits(made.answers()[puzzle, segment]))
        wrong = int((made.answers()[puzzle, segment] != made.LABELS[puzzle]).sum())
        assert text(page, "state").startswith(f"{wrong} cells are wrong")
    part(page, "shown").select_option("labels")
    eventually(lambda: board(page), digits(made.LABELS[12]))
    part(page, "shown").select_option("answers")


def test_the_slider_moves_the_marks(page):
    rules = """chart => [...chart.querySelectorAll(".mark-rule.role-mark line")].map(line =>
        Math.round(line.getAttribute("transform").match(/[-\\d.]+/)[0]))"""
    for segment, place in ((0, 0), (5, 240), (1, 48)):  # of 240 pixels
        go(page, segment)
        # growth begins before the first segment, the other four curves at it
        eventually(lambda: part(page, "curves").evaluate(rules)[1:], [place] * 4)
    assert text(page, "when") == "after segment 2 of 6"


def test_it_plays_to_the_end_and_stops(page):
    go(page, 4)
    part(page, "play").click()
    eventually(lambda: text(page, "when"), "after segment 6 of 6")
    eventually(lambda: text(page, "play"), "Play")


def chosen(page: Any) -> tuple[int, int, int, str]:
    """Puzzles, solved and failed ones that the sentence names, and their AUC."""
    sentence = text(page, "separation")
    number, solved, failed = map(int, re.findall(r"(\d+) (?:puzzles|solved|failed)", sentence)[:3])
    return number, solved, failed, re.findall(r"\(AUC\) of (\S+) among the", sentence)[0]


def test_a_brush_changes_the_counts(page):
    page.evaluate("scrollTo(0, 0)")
    points = {number: (x, y) for number, x, y in part(page, "scatter").evaluate(POINTS)}
    middle = (min(x for x, _ in points.values()) + max(x for x, _ in points.values())) / 2
    box = part(page, "scatter").locator(".mark-group.role-frame .background").first.bounding_box()
    inside = [number for number, (x, _) in points.items() if x < middle]
    page.mouse.move(box["x"] + 8, box["y"] + 8)  # the background is wider than the plane
    page.mouse.down()
    page.mouse.move(middle - 20, box["y"] + 50)
    page.mouse.move(middle, box["y"] + box["height"] - 8)
    page.mouse.up()
    solved = int(made.SOLVED[inside].sum())
    assert 0 < len(inside) < 24
    eventually(lambda: chosen(page)[:3], (len(inside), solved, len(inside) - solved))
    part(page, "all").click()
    eventually(lambda: chosen(page)[0], 24)


def test_the_keyboard_chooses_too_and_the_auc_is_ours(page):
    residual = made.spectrum()["residual"][:, -1]
    titles = part(page, "x").locator("option").all_inner_texts()
    part(page, "x").select_option(str(next(i for i, t in enumerate(titles) if "residual" in t)))
    eventually(lambda: "larger residual" in text(page, "separation"), True)
    part(page, "to").fill("0.002")
    keep = residual <= 0.002
    expected = auc(residual[keep], ~made.SOLVED[keep])
    counts = keep.sum(), made.SOLVED[keep].sum(), (keep & ~made.SOLVED).sum()
    eventually(lambda: chosen(page), (*counts, f"{expected:.3f}"))


def test_a_run_that_is_clicked_shows_its_answer(page):
    results = made.basin()
    part(page, "puzzle", 1).select_option("0")
    for sigma, repeat in ((1, 1), (0, 0)):
        run = np.flatnonzero((results["sigma"] == sigma) & (results["repeat"] == repeat))[0]
        mark = f"[aria-label*='sigma: {sigma};'][aria-label*='repeat: {repeat};']"
        part(page, "restarts", 1).locator(mark).last.click()  # the letter lies upon the mark
        eventually(lambda run=run: board(page, 1), digits(results["answers"][0, run]))


def test_a_start_that_is_clicked_shows_its_answer(page):
    part(page, "slice", 2).locator("[aria-label*='answer: answer 2']").first.click()
    eventually(lambda: board(page, 2), digits(made.plane()["distinct_answers"][1]))


def test_another_run_of_the_same_puzzles_follows(page):
    part(page, "puzzle").select_option("9")
    eventually(lambda: text(page, "heading", 1), "Puzzle 9")
    assert part(page, "puzzle", 1).input_value() == "9"
    go(page, 3)
    eventually(lambda: text(page, "when", 1), "after segment 6 of 6")  # the 4th of 1, 2, 4, 6


def test_the_trajectory_says_what_its_plane_holds(page):
    before = text(page, "held")
    part(page, "plane").select_option("1")
    assert "% of the variance" in before
    eventually(lambda: "linear discriminant" in text(page, "held"), True)


MARKS = """chart => [...chart.querySelectorAll(".mark-symbol.role-mark path")].filter(
    mark => mark.hasAttribute("aria-label") && mark.getAttribute("d")).length"""
"""The number of marks that are drawn in a chart."""


def test_an_experiment_shows_its_own_panels(page):
    assert part(page, "scatter", 4).count() == 0
    names = page.locator("article").nth(4).locator("h3").all_inner_texts()
    assert names[:4] == ["Rows & intervals", "Curves", "A plane", "A board"]
    counts = [part(page, f"panel-{place}", 4).evaluate(MARKS) for place in range(4)]
    assert counts == [18, 18, 2, 16]
    texts = part(page, "panel-0", 4).locator("text").all_text_contents()
    assert {"first", "random", "a share", "two"} <= {*texts}


def test_training_runs_have_their_curves(page):
    texts = page.locator("#training text").all_text_contents()
    assert "loss" in texts
    assert EVIL[:20] in " ".join(texts)


def test_nothing_is_asked_for_and_nothing_is_complained_of(page):
    assert [url for url in page.asked_for if not url.startswith("file://")] == []
    assert len(page.asked_for) == 1
    assert page.told == []
    assert page.evaluate("window.hacked") is None
    assert EVIL in page.locator("h2").first.inner_text()


def test_a_run_prints_on_one_page(page):
    others = "article:not(:first-of-type), header p, article > p, main + section"
    page.evaluate(f"document.querySelectorAll('{others}').forEach(part => part.remove())")
    page.evaluate(
        "document.querySelectorAll('h1, h2, pre').forEach(one => one.textContent = 'run')"
    )
    assert page.pdf(prefer_css_page_size=True).count(b"/Type /Page\n") == 1
