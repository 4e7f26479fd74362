// One zone's card: rate, interval, people, coverage, its window's time and age, and the trend.

import { chart, draw, layout, summary } from "./chart.js";
import { day } from "./day.js";
import { fill, make, pair, put, table } from "./elements.js";
import { figure, MS, oldSince } from "./model.js";
import { age, clock, number, percent, range, text } from "./text.js";

const FIGURES = ["interval", "persons", "coverage", "unknown", "verdicts"];
let made = 0;

export class ZoneCard {
  constructor(isWhole) {
    this.id = `zone-${(made += 1)}`;
    this.title = Object.assign(make("h3"), { id: this.id });
    this.rate = make("strong", "rate");
    this.label = make("span", "label");
    this.old = Object.assign(make("p", "old"), { hidden: true });
    this.time = make("p", "time");
    this.figures = Object.fromEntries(FIGURES.map((name) => [name, pair()]));
    this.gaps = make("p", "gaps");
    this.trend = new Trend(this.id);
    const list = make("dl", "figures", ...Object.values(this.figures).map(({ whole }) => whole));
    const head = make("p", "headline", this.rate, " ", this.label);
    this.element = make("article", `zone${isWhole ? " whole" : ""}`, this.title, head, this.old, list, this.time, this.gaps, this.trend.element);
    this.element.setAttribute("aria-labelledby", this.id);
  }

  /** Show a window; `periods` are the trend's, `timeZone` the site's if it is known, `asked` what became of the question for its history. */
  show(name, window, periods, { nowMs, timeZone, asked }) {
    put(this.title, name);
    const rate = figure(window, "rate");
    put(this.rate, rate.why ? "–" : percent(rate.value));
    put(this.label, rate.why ? text(`why.${rate.why}`) : text("rate"));
    for (const name of FIGURES) {
      const { term, value, whole } = this.figures[name];
      put(term, text(name));
      put(value, said(window, name));
      value.classList.toggle("why", Boolean(figure(window, name === "verdicts" ? "masked" : name).why));
      whole.hidden = Boolean(window.suppressed) && name !== "coverage" && name !== "persons";
    }
    this.showTime(window, nowMs, timeZone);
    this.trend.show(name, periods, { nowMs, timeZone, asked, length: window.end - window.start });
  }

  showTime(window, nowMs, timeZone) {
    const [start, end] = [window.start / MS, window.end / MS];
    const seconds = start % 60_000 !== 0 || end % 60_000 !== 0;
    const span = text("from", { start: clock(start, timeZone, nowMs, seconds), end: clock(end, timeZone, nowMs, seconds) });
    put(this.time, `${text("window")} ${span}, ${text("ago", { age: age(Math.max(0, nowMs - end)) })}`);
    const since = oldSince(window, nowMs);
    this.old.hidden = since === null;
    this.element.classList.toggle("is-old", since !== null);
    if (since !== null) put(this.old, text("old", { time: clock(since, timeZone, nowMs, seconds) }));
    const gaps = window.gaps ?? [];
    put(this.gaps, gaps.map((one) => text(`gap.${one}`)).join(", "));
    this.gaps.hidden = gaps.length === 0;
  }
}

/** A figure in words, or why there is none. */
export function said(window, name) {
  if (name === "verdicts") {
    const parts = ["masked", "unmasked", "incorrect"].map((one) => figure(window, one));
    return parts[0].why ? text(`why.${parts[0].why}`) : parts.map(({ value }) => number(value)).join(" · ");
  }
  const { value, why } = figure(window, name);
  if (why) return text(`why.${why}`);
  if (name === "interval" && window.model_errors?.counted > 0) {
    return text("interval.counted", { interval: range(value), n: number(window.model_errors.counted) });
  }
  return name === "interval" ? range(value) : ["rate", "coverage"].includes(name) ? percent(value) : number(value);
}

class Trend {
  constructor(id) {
    this.chart = chart(id);
    this.title = make("figcaption");
    this.axis = make("div", "axis", make("span"), make("span"), make("span"));
    this.scale = make("div", "scale", make("span"), make("span"), make("span"));
    for (const one of [this.axis, this.scale]) one.setAttribute("aria-hidden", "true");
    this.legend = make("ul", "legend", ...["rate", "interval", "suppressed", "gap"].map((one) => make("li", `key-${one}`)));
    this.table = table(5);
    this.table.details.addEventListener("toggle", () => this.showRows());
    this.element = make("figure", "trend", this.title, make("div", "plot", this.scale, this.chart.svg, this.axis), this.legend, this.table.details);
  }

  show(name, periods, { nowMs, timeZone, asked, length }) {
    const [from, until] = span(periods, nowMs, timeZone, length);
    const shown = periods.filter((one) => one.end > from && one.start < until);
    const isComplete = asked === "answered"; // otherwise what is missing may have been published
    draw(this.chart, layout(shown, from, until, isComplete));
    [1, 0.5, 0].forEach((share, index) => put(this.scale.children[index], percent(share)));
    const ticks = [from, (from + until) / 2, until].map((one) => clock(one / MS, timeZone, one / MS));
    [...this.axis.children].forEach((one, index) => put(one, ticks[index]));
    const isDay = until - from >= 20 * 3_600_000 * MS;
    const label = isDay ? text("trend") : text("trend.short", { time: ticks[0] });
    const missing = { failed: "trend.failed", refused: "trend.none" }[asked];
    put(this.title, missing ? `${label}. ${text(missing)}` : label);
    this.chart.svg.setAttribute("aria-label", `${name}. ${sentence(label, summary(shown, isComplete))}`);
    ["rate", "interval", "suppressed", "gap"].forEach((one, index) => put(this.legend.children[index], text(`legend.${one}`)));
    this.legend.children[1].hidden = !shown.some((one) => one.interval);
    put(this.table.summary, text("trend.table"));
    put(this.table.caption, `${name}. ${label}`);
    ["time", "rate", "interval", "persons", "coverage"].forEach((one, index) => put(this.table.headings[index], text(`column.${one}`)));
    this.rows = { shown, nowMs, timeZone };
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

function row(one, nowMs, timeZone) {
  const time = clock(one.start / MS, timeZone, nowMs);
  if (one.published === 0) return [time, text("legend.gap"), "", "", ""];
  const values = ["rate", "interval", "persons", "coverage"].map((name) => said(one, name));
  return [time, ...values];
}
