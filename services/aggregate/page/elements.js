// Elements without markup in strings: a policy of trusted types forbids those, and a site's name may hold anything.

let made = 0;

/** A new element: `classes`, then children or texts. */
export function make(name, classes = "", ...children) {
  const made = document.createElement(name);
  if (classes) made.className = classes;
  made.append(...children);
  return made;
}

/** Put a text into an element if it is another one, so that nothing is read out twice. */
export function put(element, words) {
  if (element.textContent !== words) element.textContent = words;
  return element;
}

/** Put children in place of those that are there, in order, leaving alone what stays: what is moved loses the focus. */
export function arrange(parent, children) {
  for (const one of [...parent.children]) if (!children.includes(one)) one.remove();
  children.forEach((one, index) => {
    if (parent.children[index] !== one) parent.insertBefore(one, parent.children[index] ?? null);
  });
}

/** A term and its value in a list; returns the pair and sets its value's text by `put`. */
export function pair(classes = "") {
  const [term, value] = [make("dt"), make("dd")];
  return { whole: make("div", classes, term, value), term, value };
}

/** A table below a summary that opens it; its rows are only made while it is open. */
export function table(columns) {
  const [summary, head, body, caption] = [make("summary"), make("tr"), make("tbody"), make("caption", "unseen")];
  const scroll = make("div", "scroll", make("table", "", caption, make("thead", "", head), body));
  caption.id = `caption-${(made += 1)}`;
  scroll.tabIndex = 0; // without it no key scrolls
  scroll.setAttribute("role", "group");
  scroll.setAttribute("aria-labelledby", caption.id);
  const details = make("details", "table", summary, scroll);
  const headings = Array.from({ length: columns }, () => Object.assign(make("th"), { scope: "col" }));
  head.append(...headings);
  return { details, summary, headings, body, caption };
}

/** Put rows of texts into a table's body; the first of each is its heading. */
export function fill(body, rows) {
  while (body.rows.length > rows.length) body.deleteRow(-1);
  rows.forEach((cells, index) => {
    const row = body.rows[index] ?? body.insertRow();
    cells.forEach((words, at) => {
      if (row.cells[at] === undefined) row.append(at === 0 ? Object.assign(make("th"), { scope: "row" }) : make("td"));
      put(row.cells[at], words);
    });
  });
}
