// The form for the subscriber's key: shown where the settings say so, or where the server lets nobody in without.

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
}

/** Call `given` with how a key signs, each time that one is given. */
export function onKey(given) {
  byId("key").addEventListener("submit", async (event) => {
    event.preventDefault();
    put(byId("key-error"), ""); // the same words again are read out again
    const authenticator = await signer(byId("seed").value.trim()).catch(() => null);
    if (authenticator === null) {
      askKey(text("key.wrong"));
      return;
    }
    hideKey();
    byId("seed").value = "";
    byId("numbers").focus();
    given(authenticator);
  });
}
