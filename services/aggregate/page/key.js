// The key of a reader: from the link that opened the page, or from a form, which is shown where nobody comes in without.

import { signer } from "./bus.js";
import { put } from "./elements.js";
import { text } from "./text.js";

const byId = (id) => document.getElementById(id);

/** Whether the form is shown. */
export const isAsked = () => !byId("key").hidden;

/** Show the form, with what was wrong with the key before; "" on the first time. */
export function askKey(wrong) {
  const isNew = byId("key").hidden;
  byId("key").hidden = false;
  put(byId("key-error"), wrong);
  if (isNew || wrong) byId("seed").focus();
}

/** Take the form away: the server lets the page in. */
export function hideKey() {
  byId("key").hidden = true;
  put(byId("key-error"), "");
}

/** The seed in the fragment of a link, which browsers send to no server; null if there is none. */
export const linkedSeed = (hash) => /^#key=(SU[A-Z2-7]+)$/.exec(hash)?.[1] ?? null;

/** What a browser shows to have a seed: its SHA-256 in hexadecimal; null where the browser has none, on a page without HTTPS. */
async function proofOf(seed) {
  const digest = await crypto.subtle?.digest("SHA-256", new TextEncoder().encode(seed));
  return digest ? [...new Uint8Array(digest)].map((one) => one.toString(16).padStart(2, "0")).join("") : null;
}

/** A key by its seed: how it signs, and what proves that one has it; null where the text is no seed, which the form says. */
export async function keyOf(seed) {
  try {
    return { authenticator: await signer(seed), proof: await proofOf(seed) };
  } catch {
    askKey(text("key.wrong"));
    return null;
  }
}

/** Call `given` with each key that is given: by the form, or by a link that is opened in place of this one. */
export function onKey(given) {
  byId("key").addEventListener("submit", async (event) => {
    event.preventDefault();
    put(byId("key-error"), ""); // the same words again are read out again
    const key = await keyOf(byId("seed").value.trim());
    if (key === null) return;
    hideKey();
    byId("seed").value = "";
    byId("numbers").focus();
    given(key);
  });
  addEventListener("hashchange", async () => {
    const seed = linkedSeed(location.hash);
    const key = seed && (await keyOf(seed));
    if (key) given(key);
  });
}
