// A window's figures in words.

import { figure } from "./model.js";
import { number, percent, range, text } from "./text.js";

/** A figure in words, or why there is none. */
export function said(window, name) {
  const { value, why } = figure(window, name);
  if (why) return text(`why.${why}`);
  return name === "interval" ? range(value) : ["rate", "coverage"].includes(name) ? percent(value) : number(value);
}

/** What was published of a window or a period, in words; of what was not, nothing. */
export function* values(one) {
  const isThere = (name) => figure(one, name).why === undefined;
  yield isThere("interval") ? `${said(one, "rate")} (${said(one, "interval")})` : said(one, "rate");
  if (isThere("persons")) yield text(one.persons === 1 ? "persons.one" : "persons.of", { n: said(one, "persons") });
  if (isThere("coverage")) yield text("coverage.of", { coverage: said(one, "coverage") });
}
