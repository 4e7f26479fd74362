// The trend as shapes: `layout` computes them from periods, `draw` puts them into an SVG. A window is a step from its
// start to its end; what was not published leaves the line open, what was withheld is hatched.

export const WIDTH = 600;
export const HEIGHT = 120;
const NS = "http://www.w3.org/2000/svg";

/** Shapes within WIDTH x HEIGHT for periods between two times: the line's and the band's path, and boxes of the rest.

`isComplete`: whether what lies between two periods is known not to be there. `bounds`: shares below which a rule fires.
*/
export function layout(periods, from, until, isComplete = true, bounds = []) {
  const x = (time) => Math.round(((Math.min(Math.max(time, from), until) - from) / (until - from)) * WIDTH * 100) / 100;
  const y = (share) => Math.round((1 - share) * HEIGHT * 100) / 100;
  const shown = periods.filter((one) => one.end > from && one.start < until);
  let line = "";
  let band = "";
  let last = null;
  for (const one of shown) {
    if (typeof one.rate !== "number") continue;
    const joined = last !== null && last.end === one.start;
    line += `${joined ? "L" : "M"}${x(one.start)} ${y(one.rate)}L${x(one.end)} ${y(one.rate)}`;
    if (one.interval) {
      const [low, high] = one.interval;
      band += `M${x(one.start)} ${y(high)}L${x(one.end)} ${y(high)}L${x(one.end)} ${y(low)}L${x(one.start)} ${y(low)}Z`;
    }
    last = one;
  }
  return { line, band, suppressed: boxes(shown.filter(isWithheld), x), gaps: boxes(holes(shown, isComplete), x), bounds: bounds.map(y) };
}

/** Whether a window was published without its figures. One in which nobody could be judged has no rate to hide. */
const isWithheld = (one) => one.published > 0 && Boolean(one.suppressed);

/** Where nothing was published: periods that say so, and the time between two that are not neighbours. */
export function holes(periods, isComplete = true) {
  const found = [];
  let end = null;
  for (const one of periods) {
    if (isComplete && end !== null && one.start > end) found.push({ start: end, end: one.start });
    if (one.published === 0) found.push(one);
    end = one.end;
  }
  return merged(found);
}

function merged(spans) {
  const found = [];
  for (const { start, end } of spans) {
    if (found.at(-1)?.end === start) found.at(-1).end = end;
    else found.push({ start, end });
  }
  return found;
}

function boxes(spans, x) {
  return merged(spans).map(({ start, end }) => ({ x: x(start), width: Math.max(x(end) - x(start), 0.5) }));
}

/** What a chart says in one sentence: how many windows, the last, lowest and highest rate, what is missing. */
export function summary(periods, isComplete = true) {
  const rates = periods.map((one) => one.rate).filter((one) => typeof one === "number");
  const suppressed = periods.filter(isWithheld).length;
  const gaps = holes(periods, isComplete).length;
  const known = rates.length > 0 ? { last: rates.at(-1), lowest: Math.min(...rates), highest: Math.max(...rates) } : null;
  return { windows: periods.length, suppressed, gaps, known };
}

function shape(name, attributes) {
  const made = document.createElementNS(NS, name);
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  return made;
}

/** An empty chart; `id` tells its hatching from that of other charts. */
export function chart(id) {
  const svg = shape("svg", { viewBox: `0 0 ${WIDTH} ${HEIGHT}`, preserveAspectRatio: "none", role: "img", class: "chart" });
  const hatch = shape("pattern", { id: `hatch-${id}`, width: 6, height: 6, patternUnits: "userSpaceOnUse", patternTransform: "rotate(45)" });
  hatch.append(shape("rect", { width: 2, height: 6, class: "hatch" }));
  const defs = shape("defs", {});
  defs.append(hatch);
  const [content, cursor] = [shape("g", {}), shape("rect", { y: 0, height: HEIGHT, class: "cursor", visibility: "hidden" })];
  svg.append(defs, content, cursor);
  return { svg, content, cursor, fill: `url(#hatch-${id})` };
}

/** Mark a period of a chart between two times; null takes the mark away. */
export function mark({ cursor }, one, from, until) {
  cursor.setAttribute("visibility", one === null ? "hidden" : "visible");
  if (one === null) return;
  const [start, end] = [one.start, one.end].map((time) => ((Math.min(Math.max(time, from), until) - from) / (until - from)) * WIDTH);
  cursor.setAttribute("x", start);
  cursor.setAttribute("width", Math.max(end - start, 1));
}

/** Draw shapes into a chart, in place of those before. */
export function draw({ content, fill }, shapes) {
  const grid = [0, 0.5, 1].map((share) => shape("line", { x1: 0, x2: WIDTH, y1: share * HEIGHT, y2: share * HEIGHT, class: "grid" }));
  const box = (kind, { x, width }) => shape("rect", { x, width, y: 0, height: HEIGHT, class: kind, ...(kind === "suppressed" ? { fill } : {}) });
  content.replaceChildren(
    ...shapes.gaps.map((one) => box("gap", one)),
    ...grid,
    ...shapes.suppressed.map((one) => box("suppressed", one)),
    shape("path", { d: shapes.band, class: "band" }),
    ...shapes.bounds.map((at) => shape("line", { x1: 0, x2: WIDTH, y1: at, y2: at, class: "bound" })),
    shape("path", { d: shapes.line, class: "line" }),
  );
}
