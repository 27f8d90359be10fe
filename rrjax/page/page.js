// The glue of the page: Vega draws; this keeps all panels at one puzzle and one segment. Words from
// the data go into textContent, never into HTML.
"use strict";
const page = JSON.parse(document.getElementById("data").textContent);
async function draw(place, spec) {
  // without eval, and without warnings of charts that are still empty
  const settings = {actions: false, renderer: "svg", ast: true, logLevel: 1};
  return (await vegaEmbed(place, structuredClone(spec), settings)).view;
}

function refill(view, data) {
  for (const [name, rows] of Object.entries(data)) view?.data(name, structuredClone(rows));
  return view?.resize().runAsync();
}

// P(x of a failed puzzle > x of a solved one), where ties count half; NaN if a group is empty.
function failureAuc(rows) {
  const of = outcome => rows.filter(row => row.outcome === outcome && row.x !== null);
  const [failed, solved] = [of("failed"), of("solved")];
  const won = failed.flatMap(f => solved.map(s => f.x > s.x ? 1 : f.x === s.x ? 0.5 : 0));
  return won.reduce((sum, one) => sum + one, 0) / won.length;
}

const inWords = ([value, low, high]) => value === null ? "undefined" : `${value.toFixed(3)} (` +
  (low === null ? "no interval)" : `95 % interval ${low.toFixed(3)} to ${high.toFixed(3)})`);

class Run {
  constructor(run, index) {
    Object.assign(this, {run, views: {}, place: 0, at: 0, answer: null, others: []});
    this.points = run.overview?.points ?? [{puzzle: 0, outcome: "unknown"}];
    this.root = document.querySelectorAll("article")[index];
  }

  part(name) { return this.root.querySelector(`[data-part="${name}"]`); }
  on(name, event, action) { this.part(name).addEventListener(event, action); }
  clicked(name, action) { // calls the action with the datum of a mark that is clicked
    this.views[name]?.addEventListener("click", (_, item) => item?.datum && action(item.datum));
  }
  place_of(number) { return this.points.findIndex(point => point.puzzle === number); }

  async start() {
    const {charts, overview, slice, restarts} = this.run;
    for (const [name, chart] of Object.entries(charts))
      this.views[name] = await draw(this.part(name), chart);
    if (overview) {
      for (const name of ["x", "y"]) this.on(name, "change", () => this.axes());
      for (const name of ["from", "to"]) this.on(name, "change", () => this.range());
      this.on("all", "click", () => this.axes());
      await this.axes();
    }
    this.on("puzzle", "change", event => this.choose(Number(event.target.value)));
    this.on("segment", "input", event => this.go(Number(event.target.value)));
    for (const name of ["shown", "direction"]) this.on(name, "change", () => this.go(this.at));
    this.on("plane", "change", () => this.choose(this.place));
    this.on("play", "click", () => this.play(!this.timer));
    this.clicked("slice", row => this.show(slice.answers[row.answer]));
    this.clicked("restarts", row => this.show(restarts.answers[this.place]?.[row.class]));
    this.choose(Math.max(0, this.points.findIndex(point => point.outcome === "failed")));
  }

  async axes() { // scales and titles belong to a chart: other axes are another chart
    const {points, quantities, chart} = this.run.overview, spec = structuredClone(chart);
    const [x, y] = ["x", "y"].map(axis => quantities[this.part(axis).value]);
    for (const [axis, q] of Object.entries({x, y})) {
      spec.encoding[axis].title = q.title;
      if (q.log) spec.encoding[axis].scale = {type: "log"};
    }
    const value = (row, q) => q.log && row[q.key] <= 0 ? null : row[q.key];
    this.rows = points.map(row => ({...row, x: value(row, x), y: value(row, y)}));
    for (const row of this.rows) row.h = x.log && row.x !== null ? Math.log10(row.x) : row.x;
    this.part("binned").textContent = (x.log ? "log₁₀ of: " : "") + x.title;
    this.views.scatter = await draw(this.part("scatter"), spec);
    this.views.scatter.addSignalListener("brush", (_, ranges) => this.brush(ranges));
    this.clicked("scatter", row => "puzzle" in row && this.choose(this.place_of(row.puzzle)));
    this.views.scatter.signal("chosen", this.points[this.place].puzzle);
    await refill(this.views.scatter, {points: this.rows});
    this.brush({});
  }

  range() { // the keyboard's brush
    const end = (name, none) => this.part(name).value === "" ? none : Number(this.part(name).value);
    this.brush({x: [end("from", -Infinity), end("to", Infinity)]});
  }

  brush(ranges) {
    const rows = this.rows.filter(row => Object.entries(ranges).every(([axis, ends]) =>
      row[axis] !== null && row[axis] >= Math.min(...ends) && row[axis] <= Math.max(...ends)));
    for (const name of ["histogram", "spectrum"]) refill(this.views[name], {points: rows});
    const count = outcome => rows.filter(row => row.outcome === outcome).length;
    const {quantities, num_puzzles} = this.run.overview, here = failureAuc(rows);
    const {title, auc} = quantities[this.part("x").value];
    this.part("separation").textContent = `${rows.length} puzzles are chosen: ${count("solved")} ` +
      `solved, ${count("failed")} failed. A failed puzzle has the larger ${title} with a ` +
      `probability (AUC) of ${Number.isNaN(here) ? "undefined" : here.toFixed(3)} among the ` +
      `chosen ones, and of ${inWords(auc)} among all ${num_puzzles} of the run.`;
  }

  choose(place, is_told = false) {
    const {puzzle, trajectory, restarts, slice} = this.run, {puzzle: number} = this.points[place];
    Object.assign(this, {place, answer: null});
    this.part("puzzle").value = place;
    this.part("heading").textContent = slice ? "The answer of a start" : `Puzzle ${number}`;
    this.views.scatter?.signal("chosen", number).runAsync();
    refill(this.views.curves, {series: [puzzle.series[place]]});
    const plane = Object.values(trajectory ?? {})[this.part("plane").value];
    if (plane) refill(this.views.trajectory, {path: [plane.paths[place]], ends: plane.ends});
    this.part("held").textContent = plane?.words;
    if (restarts) refill(this.views.restarts, {runs: restarts.runs[place]});
    this.go(this.at);
    if (!is_told) for (const other of this.others)
      if (other.place_of(number) >= 0) other.choose(other.place_of(number), true);
  }

  show(answer) {
    this.answer = answer;
    this.go(this.at);
  }

  go(at) {
    const {segments, board} = this.run.puzzle;
    this.at = Math.min(at, segments.length - 1);
    this.part("segment").value = this.at;
    this.part("when").textContent = `after segment ${segments[this.at]} of ${segments.at(-1)}`;
    for (const name of ["curves", "trajectory"])
      this.views[name]?.signal("at", segments[this.at]).runAsync();
    if (board) this.board(board, this.run.puzzle.overlay);
  }

  board(board, overlay) {
    const where = board.kept.indexOf(this.place), kind = this.part("shown").value;
    const at = Math.min(this.at, (board.answers[where]?.length ?? 1) - 1);
    const answer = this.answer ?? board.answers[where]?.[at] ?? "";
    const codes = kind === "answers" ? answer : board[kind][where];
    const own = overlay?.kept.indexOf(this.place) ?? -1, direction = this.part("direction").value;
    const depths = own >= 0 && direction !== "" ? atob(overlay.bytes[own]) : "";
    const first = (at * overlay?.directions.length + Number(direction)) * codes.length;
    const cells = [...codes].map((code, cell) =>
      ({cell, code: code.codePointAt(0), depth: depths && depths.charCodeAt(first + cell)}));
    refill(this.views.board, {cells});
    const count = bit => cells.filter(cell => cell.code & bit).length;
    this.part("state").textContent = !codes ? "The board of this puzzle is not in this page." :
      `${board.labels ? `${count(2)} cells are wrong` : "No solution is known"}; ` +
      `${count(4)} changed over the last segment, ${count(8)} break a rule.`;
  }

  play(starts) {
    clearInterval(this.timer);
    const isAtEnd = () => this.at === this.run.puzzle.segments.length - 1;
    if (starts && isAtEnd()) this.go(0);
    const step = () => isAtEnd() ? this.play(false) : this.go(this.at + 1);
    this.timer = starts && setInterval(step, 500);
    this.part("play").textContent = starts ? "Stop" : "Play";
  }
}

async function start() {
  const runs = page.runs.map((run, index) => new Run(run, index));
  for (const run of runs) run.others = page.linked ? runs.filter(other => other !== run) : [];
  for (const run of runs) await run.start();
  if (page.training) await draw("#training", page.training);
  document.documentElement.dataset.ready = "true";
}
start();
