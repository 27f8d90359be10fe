// The glue: Vega draws, this keeps all panels at one puzzle and segment. It writes text, never HTML.
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

class Run {
  constructor(run, index) {
    Object.assign(this, {run, views: {}, place: 0, at: 0, others: []});
    this.points = run.overview?.points ?? [{puzzle: 0, outcome: "unknown"}];
    this.root = document.querySelectorAll("article")[index];
  }

  part(name) { return this.root.querySelector(`[data-part="${name}"]`); }
  place_of(number) { return this.points.findIndex(point => point.puzzle === number); }
  clicked(name, action) { // calls the action with the datum of a mark that is clicked
    this.views[name]?.addEventListener("click", (_, item) => item?.datum && action(item.datum));
  }

  async start() {
    const {charts, overview, slice, restarts} = this.run, again = () => this.go(this.at);
    for (const [name, chart] of Object.entries(charts))
      this.views[name] = await draw(this.part(name), chart);
    if (!this.run.puzzle) return;
    if (overview) await this.axes();
    for (const [name, action] of Object.entries({
      x: () => this.axes(), y: () => this.axes(), from: () => this.range(), to: () => this.range(),
      puzzle: place => this.choose(Number(place)),
      segment: at => [this, ...this.others].forEach(run => run.go(Number(at))),
      shown: again, direction: again, plane: () => this.path(),
      others: () => this.path(),
    })) this.part(name).addEventListener("input", event => action(event.target.value));
    this.part("all").addEventListener("click", () => this.axes());
    this.part("play").addEventListener("click", () => this.play(!this.timer));
    this.clicked("slice", row => this.go(this.at, slice.answers[row.answer]));
    this.clicked("restarts", row => this.go(this.at, restarts.answers[this.place]?.[row.class]));
    this.choose(Math.max(0, this.points.findIndex(point => point.outcome === "failed")));
  }

  async axes() { // scales and titles belong to a chart, so that other axes are another chart
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
    for (const end of ["from", "to"]) this.part(end).value = "";
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
    this.chosen = new Set(rows.map(row => row.puzzle));
    this.path();
    const count = outcome => rows.filter(row => row.outcome === outcome).length;
    const {title, auc, number} = this.run.overview.quantities[this.part("x").value];
    const here = failureAuc(rows);
    this.part("separation").textContent = `${rows.length} puzzles are chosen: ${count("solved")} ` +
      `solved, ${count("failed")} failed. A failed puzzle has the larger ${title} with a ` +
      `probability (AUC) of ${isNaN(here) ? "undefined" : here.toFixed(3)} among the chosen ` +
      `ones, and of ${auc} among all ${number} of the run that have this number.`;
  }

  choose(place, is_told = false) {
    const {puzzle, restarts, slice} = this.run, {puzzle: number} = this.points[place];
    this.part("puzzle").value = this.place = place;
    this.part("heading").textContent = slice ? "The answer of a start" : `Puzzle ${number}`;
    this.views.scatter?.signal("chosen", number).runAsync();
    refill(this.views.curves, {series: [puzzle.series[place]]});
    this.path();
    if (restarts) refill(this.views.restarts, {runs: restarts.runs[place]});
    this.go(this.at);
    if (!is_told) for (const other of this.others)
      if (other.place_of(number) >= 0) other.choose(other.place_of(number), true);
  }

  path() {
    const plane = Object.values(this.run.trajectory ?? {})[this.part("plane").value];
    const ends = plane?.ends.filter(end =>
      this.part("others").checked && this.chosen.has(end.puzzle));
    if (plane) refill(this.views.trajectory, {path: plane.paths[this.place], ends});
    this.part("held").textContent = plane?.words;
  }

  go(at, answer) { // an answer stands for another run than that of the segments
    const {segments, board, overlay} = this.run.puzzle;
    this.at = Math.min(at, segments.length - 1);
    this.part("segment").value = this.at;
    this.part("when").textContent = `after segment ${segments[this.at]} of ${segments.at(-1)}`;
    for (const name of ["curves", "trajectory"])
      this.views[name]?.signal("at", segments[this.at]).runAsync();
    if (board) this.board(board, overlay, answer);
  }

  board(board, overlay, answer) {
    const where = board.kept.indexOf(this.place), kind = this.part("shown").value;
    const at = Math.min(this.at, (board.answers[where]?.length ?? 1) - 1);
    const own = answer ?? board.answers[where]?.[at];
    const isAnswer = kind === "answers", codes = (isAnswer ? own : board[kind][where]) ?? "";
    const direction = this.part("direction").value;
    const bytes = direction && overlay.bytes[overlay.kept.indexOf(this.place)];
    const depths = bytes ? atob(bytes) : "";
    const first = (at * overlay?.directions.length + Number(direction)) * codes.length;
    const cells = [...codes].map((code, cell) =>
      ({cell, code: code.codePointAt(0), depth: depths ? depths.charCodeAt(first + cell) : 0}));
    refill(this.views.board, {cells});
    const count = bit => cells.filter(cell => cell.code & bit).length;
    const wrong = board.labels ? `${count(2)} cells are wrong` : "No solution is known";
    this.part("state").textContent = !codes ? "The board of this puzzle is not in this page." :
      isAnswer ? `${wrong}; ${count(4)} changed in the last segment, ${count(8)} break a rule.` : "";
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
  for (const run of runs) await run.start();
  const explored = runs.filter(run => run.run.puzzle); // others have charts alone
  for (const run of explored) if (page.linked) run.others = explored.filter(one => one !== run);
  explored[0]?.choose(explored[0].place);
  if (page.training) await draw("#training", page.training);
  document.documentElement.dataset.ready = "true";
}
start();
