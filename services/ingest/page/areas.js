// Privacy areas: polygons of points in shares of the picture, and the settings that they make.

export const MOST_AREAS = 32;
export const MOST_POINTS = 64;
const DIGITS = 1e4;

/** A point within the picture, rounded to four digits. */
export function point(x, y) {
  const within = (value) => Math.round(Math.min(1, Math.max(0, value)) * DIGITS) / DIGITS;
  return [within(x), within(y)];
}

/** Twice the area of a triangle, positive one way round, negative the other; exact for rounded points. */
function turn([ax, ay], [bx, by], [cx, cy]) {
  const whole = (value) => Math.round(value * DIGITS);
  return whole(bx - ax) * whole(cy - ay) - whole(by - ay) * whole(cx - ax);
}

/** Whether all points are on one line, so that nothing is hidden. */
export function flat(points) {
  return points.every((last, index) => index < 2 || turn(points[0], points[index - 1], last) === 0);
}

/** Whether two edges that are no neighbours meet. */
export function crossesItself(points) {
  const edges = points.map((from, index) => [from, points[(index + 1) % points.length]]);
  return edges.some((one, i) => edges.some((other, j) => j > i + 1 && j - i < edges.length - 1 && meet(one, other)));
}

function meet([a, b], [c, d]) {
  const sides = [turn(a, b, c), turn(a, b, d), turn(c, d, a), turn(c, d, b)].map(Math.sign);
  if (sides[0] * sides[1] < 0 && sides[2] * sides[3] < 0) return true;
  return (
    (sides[0] === 0 && between(a, b, c)) ||
    (sides[1] === 0 && between(a, b, d)) ||
    (sides[2] === 0 && between(c, d, a)) ||
    (sides[3] === 0 && between(c, d, b))
  );
}

function between([ax, ay], [bx, by], [x, y]) {
  return Math.min(ax, bx) <= x && x <= Math.max(ax, bx) && Math.min(ay, by) <= y && y <= Math.max(ay, by);
}

/** The settings of a camera: `privacy` with the size that was drawn for; names as comments, which the settings lack. */
export function yaml(size, areas) {
  const lines = ["privacy:", `  drawn_for: [${size.width}, ${size.height}]`, "  areas:"];
  for (const { name, points } of areas) {
    const note = name.replace(/[\p{C}\s]+/gu, " ").trim();
    if (note) lines.push(`    # ${note}`);
    lines.push(`    - [${points.map(([x, y]) => `[${x}, ${y}]`).join(", ")}]`);
  }
  return `${lines.join("\n")}\n`;
}
