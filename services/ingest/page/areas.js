// What is drawn on a camera's picture, in shares of it: privacy and ignored areas, zones, a line; and their settings.

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

/** Whether all points are on one line, so that nothing is inside. */
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

/** Whether a zone may be called so: `ZoneId` of proto/types.py, without the name that stands for the whole site. */
export function isZoneId(id) {
  return /^[a-z0-9](?:[a-z0-9-]{0,30}[a-z0-9])?$/.test(id);
}

/**
 * The settings of a camera, each section only where something belongs to it. `areas` have `points`, the `kind` "privacy"
 * or "ignore" (a `name` becomes a comment, which the settings lack) or "zone" (`zone` is its id); `line` has two
 * `points` and `counts`, or is null. `size` is what privacy areas were drawn for.
 */
export function yaml(size, areas, line) {
  const kinds = [isBlack, isZone, isIgnored].map((is) => areas.filter(is));
  const sections = [privacy(size, kinds[0]), zoneAreas(kinds[1]), ignored(kinds[2]), counting(line)];
  return `${sections.flat().join("\n")}\n`;
}

/** Whether an area is made black. */
export function isBlack({ kind }) {
  return kind === "privacy";
}

/** Whether an area is a zone of its own. */
export function isZone({ kind }) {
  return kind === "zone";
}

/** Whether nobody is counted in an area. */
export function isIgnored({ kind }) {
  return kind === "ignore";
}

function privacy({ width, height }, areas) {
  if (areas.length === 0) return [];
  return ["privacy:", `  drawn_for: [${width}, ${height}]`, "  areas:", ...named(areas, "    ")];
}

function ignored(areas) {
  return areas.length === 0 ? [] : ["ignore:", ...named(areas, "  ")];
}

/** One entry for each area, below its name as a comment. */
function named(areas, indent) {
  return areas.flatMap(({ name, points }) => {
    const note = name.replace(/[\p{C}\s]+/gu, " ").trim();
    return [...(note ? [`${indent}# ${note}`] : []), `${indent}- ${polygon(points)}`];
  });
}

/** Ids are quoted: YAML takes some that are bare (no, 12, 1e3) for something else. */
function zoneAreas(areas) {
  if (areas.length === 0) return [];
  return ["zone_areas:", ...areas.map(({ zone, points }) => `  - {zone: "${zone}", area: ${polygon(points)}}`)];
}

function counting(line) {
  if (line === null) return [];
  const [start, end] = line.points.map(pair);
  return [`line: {start: ${start}, end: ${end}, counts: ${line.counts}}`];
}

function polygon(points) {
  return `[${points.map(pair).join(", ")}]`;
}

function pair([x, y]) {
  return `[${x}, ${y}]`;
}
