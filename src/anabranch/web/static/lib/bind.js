// Bind: fills what the server has rendered once with newer data, so that markup is written in templates alone.
//
//   data-text="size|bytes"              the text is row.size, said by the word of that name in words.js
//   data-attr="href=url|local, value=percent"   attributes; one whose value is null or false is taken away
//   data-show="!error"                  hidden unless row.error is empty
//   data-each="branches" data-key="name"        a child for each, cloned from the <template> that comes first
//                                       in it; keyed, so that focus and running animations survive. A key may be
//                                       of several members, "taskId+piece", or "." the row itself
//
// A path goes down by dots; "." is the row itself.

import { local } from "./api.js";
import * as words from "./words.js";

const said = { ...words, local };

function value(row, spec) {
  const [path, ...forms] = spec.trim().split("|");
  const turned = path.startsWith("!");
  const names = path.replace(/^!/, "").split(".").filter(Boolean);
  let found = names.reduce((at, name) => at?.[name], row);
  for (const form of forms) found = said[form](found);
  if (!turned) return found;
  return !filled(found);
}

const filled = (found) => (Array.isArray(found) ? found.length > 0 : Boolean(found));

/** Fill an element and all in it with a row. Elements that are rows of a `data-each` inside are filled with those. */
export function fill(element, row) {
  own(element, row);
  if (element.dataset.each === undefined) for (const child of element.children) fill(child, row);
}

function own(element, row) {
  const { text, attr, show, each } = element.dataset;
  if (text !== undefined) {
    const now = String(value(row, text) ?? "");
    if (element.textContent !== now) element.textContent = now;
  }
  for (const pair of attr === undefined ? [] : attr.split(",")) {
    const [name, spec] = pair.split("=");
    set(element, name.trim(), value(row, spec));
  }
  if (show !== undefined) element.hidden = !filled(value(row, show));
  if (each !== undefined) list(element, value(row, each) ?? []);
}

function set(element, name, now) {
  if (now === null || now === undefined || now === false || now === "") {
    if (element.hasAttribute(name)) element.removeAttribute(name);
    return;
  }
  const text = now === true ? "" : String(now);
  if (element.getAttribute(name) !== text) element.setAttribute(name, text);
}

/** Make the children of a list, behind its template, those of the rows, by their keys and in their order. */
export function list(element, rows, { key = element.dataset.key ?? "id", make } = {}) {
  const template = element.querySelector(":scope > template");
  const old = new Map([...element.children].filter((one) => one !== template).map((one) => [one.dataset.id, one]));
  let last = template;
  for (const row of rows) {
    const id = key === "." ? String(row) : key.split("+").map((name) => row[name]).join(" ");
    let child = old.get(id);
    old.delete(id);
    if (!child) {
      child = template.content.firstElementChild.cloneNode(true);
      child.dataset.id = id;
    }
    (make ?? fill)(child, row);
    if (last.nextElementSibling !== child) last.after(child);
    last = child;
  }
  for (const child of old.values()) child.remove();
}
