// A media row as the library shows it. The server makes the same of it: src/anabranch/web/cards.py.

import { branch, duration, percent, status, titleOf, what } from "./words.js";

export function view(media, now = Date.now()) {
  const working = media.status === "processing";
  const at = media.at ?? null;
  return {
    ...media,
    name: titleOf(media),
    link: `/watch/${media.id}${at === null ? "" : `?t=${at}`}`,
    at,
    label: working ? percent(media.percent) : status(media.status),
    age: Math.max(0, now - media.createdAt),
    arms: working ? media.branches : [],
    facts: working ? "" : facts(media),
  };
}

function facts(media) {
  const wrong = media.branches
    .filter((one) => one.status === "failed" || one.status === "cancelled")
    .map((one) => `${branch(one.name)}: ${what(one.error) || status(one.status)}`);
  if (!wrong.length && media.error) wrong.push(what(media.error));
  if (wrong.length) return wrong.join(" ");
  return media.renditions.map((one) => one.name).join(" · ") || (media.kind === "audio" ? "Sound only" : "");
}

/** Write where and how it is said. Of the snippet's HTML only <mark> is kept. */
export function writeSaid(place, media) {
  place.hidden = !media.snippet;
  if (!media.snippet) return place.replaceChildren();
  const moment = document.createElement("span");
  moment.className = "soft numbers";
  moment.textContent = duration(media.at);
  const read = new DOMParser().parseFromString(media.snippet, "text/html").body;
  const parts = [...read.childNodes].map((node) => {
    if (node.nodeName !== "MARK") return node.textContent;
    const mark = document.createElement("mark");
    mark.textContent = node.textContent;
    return mark;
  });
  return place.replaceChildren(moment, " ", ...parts);
}
