// What is known of a site's cameras, and of the promise that they measure. Times are milliseconds.

const SILENT_MS = 150_000;
const LIMIT_MS = 100;

/** A site's cameras in order, each with `up`, `state`, `heardMs` and `measuredMs`, by the clock that `nowMs` is of.

`known.heard` is when each camera's last message came or was stored, by the page's own clock, which is `offsetMs` behind. What was
not heard for long is `silent` whatever it said, unless it ended: nothing follows that.
*/
export function cameras(known, site, nowMs, offsetMs = 0) {
  return [...known.cameras.entries()]
    .filter(([, one]) => one.site === site)
    .sort(([one], [other]) => (one < other ? -1 : 1))
    .map(([key, one]) => {
      const [heardMs, measuredMs] = [known.heard, known.measured].map((when) => (when.has(key) ? when.get(key) + offsetMs : null));
      const isSilent = one.state !== "ended" && (heardMs === null || nowMs - heardMs > SILENT_MS);
      return { ...one, state: isSilent ? "silent" : one.state, up: one.state === "live" && !isSilent, heardMs, measuredMs };
    });
}

/** The pixel lifetime of the slowest camera that is up and measured; otherwise `{kept: null, sinceMs}`, the last time there was one. */
export function promise(list) {
  const measured = list.filter((one) => one.up && one.lifetime?.frames > 0);
  if (measured.length === 0) {
    const moments = list.map((one) => one.measuredMs).filter((one) => one !== null);
    return { kept: null, sinceMs: moments.length > 0 ? Math.max(...moments) : null };
  }
  const worst = measured.reduce((one, other) => (other.lifetime.p99_ms > one.lifetime.p99_ms ? other : one));
  const { p50_ms: p50, p99_ms: p99 } = worst.lifetime;
  const unconfirmed = measured.reduce((sum, one) => sum + one.lifetime.unconfirmed, 0);
  return { camera: worst.camera, p50, p99, unconfirmed, kept: p99 <= LIMIT_MS };
}
