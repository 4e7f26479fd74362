// A zone's trend of a day: its chart, the values of one window, a table, and a file for spreadsheets.

import { chart, draw, layout, mark, summary } from "./chart.js";
import { csv, save } from "./csv.js";
import { dateOf, day } from "./day.js";
import { fill, make, put, table } from "./elements.js";
import { said } from "./figures.js";
import { figure, MS } from "./model.js";
import { Reading } from "./reading.js";
import { clock, dayName, percent, text } from "./text.js";

const LEGEND = ["rate", "interval", "bound", "suppressed", "gap"];
const COLUMNS = ["time", "rate", "interval", "persons", "coverage"];

export class Trend {
  constructor(id) {
    this.chart = chart(id);
    this.title = make("figcaption");
    this.axis = make("div", "axis", make("span"), make("span"), make("span"));
    this.scale = make("div", "scale", make("span"), make("span"), make("span"));
    for (const one of [this.axis, this.scale]) one.setAttribute("aria-hidden", "true");
    this.legend = make("ul", "legend", ...LEGEND.map((one) => make("li", `key-${one}`)));
    this.reading = new Reading(this.chart.svg, (one) => mark(this.chart, one, this.from, this.until));
    this.table = table(COLUMNS.length);
    this.table.details.addEventListener("toggle", () => this.showRows());
    this.csv = Object.assign(make("button"), { type: "button" });
    this.csv.addEventListener("click", () => save(`${this.file}.csv`, csv(this.rows.shown)));
    const plot = make("div", "plot", this.scale, this.chart.svg, this.axis, this.reading.element);
    this.element = make("figure", "trend", this.title, plot, this.legend, make("div", "below", this.table.details, this.csv));
  }

  show(name, todays, { nowMs, timeZone, asked: askedToday, bounds, picked, file, length }) {
    const { periods, asked } = picked ?? { periods: todays, asked: askedToday };
    const [from, until] = picked?.borders ?? span(periods, nowMs, timeZone, length);
    Object.assign(this, { from, until, file: `${file}-${picked?.date ?? dateOf(nowMs, timeZone)}` });
    const shown = periods.filter((one) => one.end > from && one.start < until);
    const isComplete = asked === "answered"; // otherwise what is missing may have been published
    draw(this.chart, layout(shown, from, until, isComplete, bounds));
    const label = this.label(picked, timeZone);
    const missing = { failed: "trend.failed", refused: picked ? "trend.refused" : "trend.none", asking: picked && "trend.asking" }[asked];
    put(this.title, missing ? `${label}. ${text(missing)}` : label);
    this.chart.svg.setAttribute("aria-label", `${name}. ${sentence(label, summary(shown, isComplete))}`);
    this.showAxes(timeZone);
    this.showLegend(shown, bounds);
    const thenMs = picked ? from / MS : nowMs; // times of the picked day need no date beside them
    this.reading.show(shown, from, until, (one) => read(one, thenMs, timeZone));
    this.showTable(`${name}. ${label}`, { shown, nowMs: thenMs, timeZone });
  }

  /** Of which time it is. */
  label(picked, timeZone) {
    if (picked) return text("trend.of", { day: dayName((this.from + this.until) / 2 / MS, timeZone) });
    const isDay = this.until - this.from >= 20 * 3_600_000 * MS;
    return isDay ? text("trend") : text("trend.short", { time: clock(this.from / MS, timeZone) });
  }

  showAxes(timeZone) {
    [1, 0.5, 0].forEach((share, index) => put(this.scale.children[index], percent(share)));
    const ticks = [this.from, (this.from + this.until) / 2, this.until];
    ticks.forEach((at, index) => put(this.axis.children[index], clock(at / MS, timeZone)));
  }

  showLegend(shown, bounds) {
    const below = bounds.map(percent).join(", ");
    LEGEND.forEach((one, index) => put(this.legend.children[index], text(`legend.${one}`, { below })));
    this.legend.children[1].hidden = !shown.some((one) => one.interval);
    this.legend.children[2].hidden = bounds.length === 0;
  }

  showTable(caption, rows) {
    put(this.table.summary, text("trend.table"));
    put(this.table.caption, caption);
    COLUMNS.forEach((one, index) => put(this.table.headings[index], text(`column.${one}`)));
    put(this.csv, text("csv"));
    this.rows = rows;
    this.showRows();
  }

  showRows() {
    if (!this.table.details.open || !this.rows) return;
    const { shown, nowMs, timeZone } = this.rows;
    fill(this.table.body, [...shown].reverse().map((one) => row(one, nowMs, timeZone)));
  }
}

/** The axis: the site's day, or with short windows as much as there is of it. */
function span(periods, nowMs, timeZone, length) {
  if (length < 300_000 * MS) return [periods[0].start, periods.at(-1).end];
  return day(nowMs, timeZone).map((ms) => ms * MS);
}

function sentence(label, { windows, suppressed, gaps, known }) {
  const counted = { label, windows: text("trend.windows", { n: windows }), suppressed, gaps };
  if (known === null) return text("trend.empty", counted);
  return text("trend.said", { ...counted, ...Object.fromEntries(Object.entries(known).map(([key, share]) => [key, percent(share)])) });
}

/** A period in a sentence. */
export function read(one, nowMs, timeZone) {
  const time = text("from", { start: clock(one.start / MS, timeZone, nowMs), end: clock(one.end / MS, timeZone, one.start / MS) });
  if (one.published === 0) return text("reading.gap", { time });
  const { why } = figure(one, "rate");
  if (why) return text("reading.why", { time, why: text(`why.${why}`) });
  return text("reading.of", { time, values: [...values(one)].join(", ") });
}

/** What was published of a period, in words; of what was not, nothing. */
function* values(one) {
  const isThere = (name) => figure(one, name).why === undefined;
  yield isThere("interval") ? `${said(one, "rate")} (${said(one, "interval")})` : said(one, "rate");
  if (isThere("persons")) yield text(one.persons === 1 ? "persons.one" : "persons.of", { n: said(one, "persons") });
  if (isThere("coverage")) yield text("coverage.of", { coverage: said(one, "coverage") });
}

function row(one, nowMs, timeZone) {
  const time = clock(one.start / MS, timeZone, nowMs);
  if (one.published === 0) return [time, text("legend.gap"), "", "", ""];
  return [time, ...COLUMNS.slice(1).map((name) => said(one, name))];
}
