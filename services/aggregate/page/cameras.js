// What is known of a site's cameras, and of the promise that they measure. Times are milliseconds.

const SILENT_MS = 150_000;
/** 99 of 100 pictures are promised: of fewer than 100 nothing can be said. */
const JUDGED = 100;

/** A site's cameras in order, each with `up`, `state`, `counted`, `heardMs` and `measuredMs`, by the clock that `nowMs` is of.

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
      return { ...one, state: isSilent ? "silent" : one.state, up: one.state === "live" && !isSilent, counted: total(known.counts.get(key)), heardMs, measuredMs };
    });
}

/** Whether the cameras that are up keep the promise: the figures of the one with most late pictures, of its last windows.

`late` is a bound, in steps: at most so many of `pictures` took longer than 100 ms, unconfirmed ones included. A camera is judged once it has
100. Where none is: `{kept: null}`, with `few`, the most pictures that one has, or with `sinceMs`, when there was a measurement last.
*/
export function promise(list) {
  const measured = list.filter((one) => one.up && one.lifetime?.pictures > 0);
  if (measured.length === 0) {
    const moments = list.map((one) => one.measuredMs).filter((one) => one !== null);
    return { kept: null, few: null, sinceMs: moments.length > 0 ? Math.max(...moments) : null };
  }
  const judged = measured.filter((one) => one.counted.pictures >= JUDGED);
  if (judged.length === 0) return { kept: null, few: Math.max(...measured.map((one) => one.counted.pictures)), sinceMs: null };
  const share = ({ counted: { late, pictures } }) => late / pictures;
  const worst = judged.reduce((one, other) => (share(other) > share(one) ? other : one));
  return { camera: worst.camera, ...worst.counted, kept: worst.counted.late * JUDGED <= worst.counted.pictures };
}

function total(counts = []) {
  const sum = (name) => counts.reduce((all, one) => all + one[name], 0);
  return { pictures: sum("pictures"), late: sum("late") };
}
