// The page's own clock, and how long it waits before a further try.

/** Milliseconds of a clock that nobody sets; at first it is the browser's. */
export const ownClock = () => performance.timeOrigin + performance.now();

/** Milliseconds before a try, after `failures` that failed: anything between 0 and what doubles up to `mostMs`.

Full jitter, so that pages that lost the same server do not come back at once (M. Brooker, "Exponential Backoff and Jitter", AWS 2015).
*/
export function backoff(failures, firstMs, mostMs, random = Math.random) {
  return random() * Math.min(mostMs, firstMs * 2 ** Math.min(failures, 30));
}

/** Wait for so many milliseconds. */
export const pause = (ms) => new Promise((resolve) => setTimeout(resolve, ms));
