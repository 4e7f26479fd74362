// The values of one window of a trend: the one under the pointer, or that the slider below the chart is at.

import { make, put } from "./elements.js";
import { text } from "./text.js";

/** The place of the period that holds a time, or of the one before it; -1 where there is none. */
export function placeOf(periods, time) {
  return periods.findLastIndex((one) => one.start <= time);
}

export class Reading {
  /** `svg` is the chart, `mark` is called with the period that is read, or null. */
  constructor(svg, mark) {
    this.mark = mark;
    this.slider = Object.assign(make("input"), { type: "range", min: "0", step: "1" });
    this.words = make("span", "values"); // no output: it would be read out beside the slider
    this.element = make("p", "reading", this.slider, this.words);
    this.periods = [];
    this.start = null;
    for (const kind of ["pointerdown", "pointermove"]) svg.addEventListener(kind, ({ clientX }) => {
      const { left, width } = svg.getBoundingClientRect();
      this.under((clientX - left) / width);
    });
    svg.addEventListener("pointerleave", ({ pointerType }) => pointerType === "mouse" && this.read(null)); // a finger has gone
    this.slider.addEventListener("focus", () => this.start ?? this.read(this.periods.at(-1) ?? null)); // where it stands
    this.slider.addEventListener("input", () => this.read(this.periods[this.slider.value] ?? null));
    this.slider.addEventListener("blur", () => this.read(null));
  }

  under(share) {
    const at = this.periods[placeOf(this.periods, this.from + share * (this.until - this.from))];
    this.read(at ?? null);
  }

  read(one) {
    this.start = one?.start ?? null;
    this.tell();
  }

  /** What can be read: periods between two times; `sayOf` says one of them in words. */
  show(periods, from, until, sayOf) {
    Object.assign(this, { periods, from, until, sayOf });
    this.slider.max = String(Math.max(0, periods.length - 1));
    const shares = [periods[0]?.start ?? from, periods.at(-1)?.end ?? until].map((time) => (Math.min(Math.max(time, from), until) - from) / (until - from));
    this.slider.style.marginInlineStart = `${100 * shares[0]}%`; // it lies below what it goes through
    this.slider.style.width = `${100 * (shares[1] - shares[0])}%`;
    this.slider.setAttribute("aria-label", text("reading.label"));
    this.element.hidden = periods.length === 0;
    this.tell();
  }

  tell() {
    const place = this.start === null ? -1 : this.periods.findIndex((one) => one.start === this.start);
    const one = this.periods[place] ?? null;
    this.slider.value = String(one === null ? this.periods.length - 1 : place);
    const words = one === null ? "" : this.sayOf(one);
    put(this.words, words);
    this.slider.setAttribute("aria-valuetext", words || text("reading.none"));
    this.mark(one);
  }
}
