// The words of the page, from en.json or fr.json, and their places in the document.

const LANGUAGES = ["en", "fr"];
let words = {};
const listeners = [];

/** The first of the reader's languages that there is; English otherwise. */
export function preferred(wanted = navigator.languages ?? [navigator.language]) {
  const known = wanted.map((tag) => tag.slice(0, 2).toLowerCase()).find((tag) => LANGUAGES.includes(tag));
  return known ?? "en";
}

/** Put a language in force everywhere. */
export async function speak(language) {
  const answer = await fetch(`${language}.json`);
  words = await answer.json();
  document.documentElement.lang = language;
  document.title = `Moretta ${text("title")}`;
  for (const element of document.querySelectorAll("[data-text]")) element.textContent = text(element.dataset.text);
  for (const element of document.querySelectorAll("[data-label]")) {
    element.setAttribute("aria-label", text(element.dataset.label));
  }
  for (const button of document.querySelectorAll("[data-language]")) {
    button.setAttribute("aria-pressed", String(button.dataset.language === language));
  }
  for (const listener of listeners) listener();
}

/** Call back after each change of the language. */
export function onLanguage(listener) {
  listeners.push(listener);
}

/** The words for a key, with `{name}` replaced; the key itself where there are none. */
export function text(key, values = {}) {
  return (words[key] ?? key).replace(/\{(\w+)\}/g, (whole, name) => values[name] ?? whole);
}

/** Whether there are words for a key. */
export function has(key) {
  return key in words;
}

/** A number as the reader writes it. */
export function number(value, digits = 0) {
  return value.toLocaleString(document.documentElement.lang, {
    minimumFractionDigits: digits,
    maximumFractionDigits: digits,
  });
}

/** A share as a percentage. */
export function percent(share) {
  return share.toLocaleString(document.documentElement.lang, { style: "percent" });
}

/** Give an element its words under a key, which follow the language. */
export function put(element, key) {
  element.dataset.text = key;
  element.textContent = text(key);
}
