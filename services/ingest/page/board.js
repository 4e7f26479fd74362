// What the drawing board shows: the still, and over it what is drawn. Nothing is decided here.

import { isBlack, isIgnored, isZone } from "./areas.js";

const COLOURS = ["#ffd166", "#5be3ff", "#ff9ec4", "#b6f09c"];
const ARROW = 34;
const HEAD = 11;
const HATCH = 16;

/** Paint a `Drawing` on its canvas. `isFocused`: show the cross-hair also before the first point. */
export function paint({ board, still, areas, line, draft, cross }, isFocused) {
  const context = board.getContext("2d");
  const scale = board.width / (board.clientWidth || board.width);
  context.clearRect(0, 0, board.width, board.height);
  if (still) context.drawImage(still, 0, 0);
  areas.forEach((area, index) => paintArea(context, area, index, scale));
  if (line) paintLine(context, line, scale);
  if (draft.length > 0) {
    trace(context, [...draft, cross]);
    outline(context, "#ffffff", 2 * scale);
    for (const one of draft) dot(context, one, scale);
  }
  if (still && (draft.length > 0 || isFocused)) crossHair(context, cross, scale);
}

/** Black is shown black, though not quite, so that it can be checked; a zone is tinted, an ignored area hatched. */
function paintArea(context, area, index, scale) {
  const colour = COLOURS[index % COLOURS.length];
  ring(context, area.points);
  if (isIgnored(area)) hatch(context, colour, scale);
  else {
    context.globalAlpha = isBlack(area) ? 0.75 : 0.35;
    context.fillStyle = isBlack(area) ? "#000000" : colour;
    context.fill("nonzero");
    context.globalAlpha = 1;
  }
  ring(context, area.points);
  outline(context, colour, 2 * scale);
  label(context, area.points, isZone(area) ? `${index + 1} ${area.zone}` : `${index + 1}`, scale);
}

/** Fill the current path with slanted lines: they differ from a tint also for readers who see no colours. */
function hatch(context, colour, scale) {
  const { width, height } = context.canvas;
  context.save();
  context.clip("nonzero");
  context.beginPath();
  for (let x = -height; x < width; x += HATCH * scale) {
    context.moveTo(x, height);
    context.lineTo(x + height, 0);
  }
  outline(context, colour, 2 * scale);
  context.restore();
}

/** The line, with an arrow to each side that those who are counted go to. */
function paintLine(context, { points, counts }, scale) {
  trace(context, points);
  outline(context, "#ffffff", 3 * scale);
  for (const one of points) dot(context, one, scale);
  const [[ax, ay], [bx, by]] = points.map((one) => at(context, one));
  const length = Math.hypot(bx - ax, by - ay);
  // To the right of who goes from the first point to the second: the picture's y grows downwards.
  const right = [(ay - by) / length, (bx - ax) / length];
  for (const [side, way] of [["rightwards", 1], ["leftwards", -1]]) {
    if (![side, "both"].includes(counts)) continue;
    arrow(context, [(ax + bx) / 2, (ay + by) / 2], [right[0] * way, right[1] * way], scale);
  }
}

function arrow(context, [x, y], [dx, dy], scale) {
  const [tipX, tipY] = [x + dx * ARROW * scale, y + dy * ARROW * scale];
  const [backX, backY] = [tipX - dx * HEAD * scale, tipY - dy * HEAD * scale];
  context.beginPath();
  context.moveTo(x, y);
  context.lineTo(tipX, tipY);
  context.moveTo(backX - dy * HEAD * scale, backY + dx * HEAD * scale);
  context.lineTo(tipX, tipY);
  context.lineTo(backX + dy * HEAD * scale, backY - dx * HEAD * scale);
  outline(context, "#ffffff", 3 * scale);
}

function crossHair(context, cross, scale) {
  const [x, y] = at(context, cross);
  context.beginPath();
  context.moveTo(x, 0);
  context.lineTo(x, context.canvas.height);
  context.moveTo(0, y);
  context.lineTo(context.canvas.width, y);
  outline(context, "#ffffff", scale);
}

/** Where a point, in shares of the picture, is on the canvas. */
function at({ canvas }, [x, y]) {
  return [x * canvas.width, y * canvas.height];
}

function trace(context, points) {
  context.beginPath();
  for (const one of points) context.lineTo(...at(context, one));
}

function ring(context, points) {
  trace(context, points);
  context.closePath();
}

/** A light line on a dark one, to be seen on any still. */
function outline(context, colour, width) {
  context.lineJoin = "round";
  context.strokeStyle = "#000000";
  context.lineWidth = width * 2;
  context.stroke();
  context.strokeStyle = colour;
  context.lineWidth = width;
  context.stroke();
}

function dot(context, point, scale) {
  context.beginPath();
  context.arc(...at(context, point), 5 * scale, 0, 2 * Math.PI);
  context.fillStyle = "#ffffff";
  context.fill();
  outline(context, "#ffffff", 1.25 * scale);
}

/** White on black, to be read on a tint too. */
function label(context, points, words, scale) {
  const middle = [0, 1].map((axis) => points.reduce((sum, one) => sum + one[axis], 0) / points.length);
  context.font = `bold ${18 * scale}px system-ui, sans-serif`;
  context.textAlign = "center";
  context.textBaseline = "middle";
  context.lineJoin = "round";
  context.lineWidth = 4 * scale;
  context.strokeStyle = "#000000";
  context.strokeText(words, ...at(context, middle));
  context.fillStyle = "#ffffff";
  context.fillText(words, ...at(context, middle));
}
