// A zone's trend of a day, a week or a month: its chart, the values of one period, a table, and a file for spreadsheets.

import { chart, draw, layout, mark, summary } from "./chart.js";
import { Compared } from "./compared.js";
import { csv, save } from "./csv.js";
import { dateOf, day } from "./day.js";
import { fill, make, put, table } from "./elements.js";
import { said, values } from "./figures.js";
import { figure, MS } from "./model.js";
import { Reading } from "./reading.js";
import { fileName } from "./spans.js";
import { clock, dayName, percent, separator, shortDay, spanName, text } from "./text.js";

const LEGEND = ["rate", "interval", "bound", "suppressed", "gap"];
const COUNTED = { day: "windows", week: "hours", month: "days" };
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
    this.compared = new Compared();
    this.csv = Object.assign(make("button"), { type: "button" });
    this.csv.addEventListener("click", () => save(`${this.file}.csv`, csv(this.rows.shown, this.rows.timeZone, separator())));
    const plot = make("div", "plot", this.scale, this.chart.svg, this.axis, this.reading.element);
    this.element = make("figure", "trend", this.title, this.compared.element, plot, this.legend, make("div", "below", this.table.details, this.csv));
  }

  show(name, todays, { nowMs, timeZone, asked: askedToday, bounds, picked, file, length }) {
    const { periods, asked } = picked ?? { periods: todays, asked: askedToday };
    const [from, until] = picked?.borders ?? span(periods, nowMs, timeZone, length);
    Object.assign(this, { from, until, kind: picked?.span.kind ?? "day", file: `${file}-${picked ? fileName(picked.span) : dateOf(nowMs, timeZone)}` });
    const shown = periods.filter((one) => one.end > from && one.start < until);
    const isComplete = asked === "answered"; // otherwise what is missing may have been published
    draw(this.chart, layout(shown, from, until, isComplete, bounds));
    const label = this.label(picked, timeZone);
    const missing = { failed: "trend.failed", refused: picked ? "trend.refused" : "trend.none", asking: picked && "trend.asking" }[asked];
    put(this.title, missing ? `${label}. ${text(missing)}` : label);
    this.chart.svg.setAttribute("aria-label", `${name}. ${sentence(label, this.kind, summary(shown, isComplete))}`);
    this.compared.show(picked, until / MS > nowMs);
    this.showAxes(timeZone);
    this.showLegend(shown, bounds);
    const thenMs = picked ? from / MS : nowMs; // times of the picked day need no date beside them
    this.reading.show(shown, from, until, (one) => read(one, thenMs, timeZone, this.kind));
    this.showTable(`${name}. ${label}`, { shown, nowMs: thenMs, timeZone });
  }

  /** Of which time it is. */
  label(picked, timeZone) {
    if (picked) return spanName(picked.span, (this.from + this.until) / 2 / MS, timeZone);
    const isDay = this.until - this.from >= 20 * 3_600_000 * MS;
    return isDay ? text("trend") : text("trend.short", { time: clock(this.from / MS, timeZone) });
  }

  showAxes(timeZone) {
    [1, 0.5, 0].forEach((share, index) => put(this.scale.children[index], percent(share)));
    const isDay = this.kind === "day";
    const ticks = [this.from, (this.from + this.until) / 2, isDay ? this.until : this.until - MS].map((at) => at / MS);
    ticks.forEach((ms, index) => put(this.axis.children[index], isDay ? clock(ms, timeZone) : shortDay(ms, timeZone)));
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
    fill(this.table.body, [...shown].reverse().map((one) => row(one, nowMs, timeZone, this.kind)));
  }
}

/** The axis: the site's day, or with short windows as much as there is of it. */
function span(periods, nowMs, timeZone, length) {
  if (length < 300_000 * MS) return [periods[0].start, periods.at(-1).end];
  return day(nowMs, timeZone).map((ms) => ms * MS);
}

function sentence(label, kind, { windows, suppressed, gaps, known }) {
  const counted = { label, windows: text(`trend.${COUNTED[kind]}`, { n: windows }), suppressed, gaps };
  if (known === null) return text("trend.empty", counted);
  return text("trend.said", { ...counted, ...Object.fromEntries(Object.entries(known).map(([key, share]) => [key, percent(share)])) });
}

/** When a period is, in the trend of a day, a week or a month. */
function startOf({ start }, nowMs, timeZone, kind) {
  if (kind === "day") return clock(start / MS, timeZone, nowMs);
  const day = shortDay(start / MS, timeZone);
  return kind === "week" ? `${day}, ${clock(start / MS, timeZone)}` : day;
}

/** A period in a sentence. */
export function read(one, nowMs, timeZone, kind = "day") {
  const start = startOf(one, nowMs, timeZone, kind);
  const time = kind === "month" ? start : text("from", { start, end: clock(one.end / MS, timeZone, kind === "day" ? one.start / MS : one.end / MS) });
  if (one.published === 0) return text("reading.gap", { time });
  const { why } = figure(one, "rate");
  if (why) return text("reading.why", { time, why: text(`why.${why}`) });
  return text("reading.of", { time, values: [...values(one)].join(", ") });
}

function row(one, nowMs, timeZone, kind) {
  const time = startOf(one, nowMs, timeZone, kind);
  if (one.published === 0) return [time, text("legend.gap"), "", "", ""];
  return [time, ...COLUMNS.slice(1).map((name) => said(one, name))];
}
