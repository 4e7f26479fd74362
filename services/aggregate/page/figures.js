// A window's figures in words.

import { figure } from "./model.js";
import { number, percent, range, text } from "./text.js";

/** A figure in words, or why there is none. */
export function said(window, name) {
  const { value, why } = figure(window, name);
  if (why) return text(`why.${why}`);
  return name === "interval" ? range(value) : ["rate", "coverage"].includes(name) ? percent(value) : number(value);
}
