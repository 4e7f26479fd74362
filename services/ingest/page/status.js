// What the server says of a camera.

import { accepted, Refused, within } from "./whip.js";

/** The server can't be reached. */
export const NO_ANSWER = Object.freeze({ state: null });
/** Too many wrong tokens came from this address, from whomever: it says nothing for the moment (429). */
export const THROTTLED = Object.freeze({ state: null });

/** Return a camera's state and figures, or one of the two above; raises Refused. */
export async function status(url, token, milliseconds, signal) {
  try {
    const headers = { Authorization: `Bearer ${token}` };
    return await accepted(await fetch(url, { headers, signal: within(milliseconds, signal) })).json();
  } catch (error) {
    if (!(error instanceof Refused) || error.status >= 500) return NO_ANSWER;
    if (error.status === 429) return THROTTLED;
    throw error;
  }
}
