// Elements, and how things read. Whatever a node says goes in as text, never as markup.

const SVG = "http://www.w3.org/2000/svg";

function fill(node, attributes, children) {
  for (const [name, value] of Object.entries(attributes)) {
    if (value === null || value === undefined || value === false) continue;
    if (name.startsWith("on")) node.addEventListener(name.slice(2), value);
    else node.setAttribute(name, value === true ? "" : String(value));
  }
  node.append(...children.flat(Infinity).filter((child) => child !== null && child !== undefined && child !== false).map((child) => (child instanceof Node ? child : String(child))));
  return node;
}

export const el = (name, attributes = {}, ...children) => fill(document.createElement(name), attributes, children);
export const svg = (name, attributes = {}, ...children) => fill(document.createElementNS(SVG, name), attributes, children);

/** Changes a text only if it is another one, so that a selection in it survives. */
export function say(node, text) {
  const words = String(text);
  if (node.textContent !== words) node.textContent = words;
}

/** Makes the children of `parent` those of `items`, in order. Those that stay are kept, so that focus in them survives. */
export function keyed(parent, items, { key, make, update }) {
  const old = new Map([...parent.children].map((child) => [child.dataset.key, child]));
  let place = parent.firstElementChild;
  for (const item of items) {
    const name = String(key(item));
    let child = old.get(name);
    if (child) old.delete(name);
    else {
      child = make(item);
      child.dataset.key = name;
    }
    update?.(child, item);
    if (child === place) place = place.nextElementSibling;
    else parent.insertBefore(child, place);
  }
  // Also those of equal keys, of which `old` knows only the last.
  while (place) {
    const gone = place;
    place = place.nextElementSibling;
    gone.remove();
  }
}

// How things read --------------------------------------------------------------------------------------------------------------------------

/** A whole number, with its digits in groups. */
export const number = (value) => String(value).replace(/\B(?=(\d{3})+$)/g, "\u202f");

export const plural = (count, one, many = one + "s") => `${number(count)} ${String(count) === "1" ? one : many}`;

export function rate(value) {
  if (value === null) return "–";
  return value >= 100 ? number(Math.round(value)) : value.toFixed(value >= 10 ? 0 : 1);
}

export function duration(ms) {
  const seconds = Math.max(0, Number(ms)) / 1000;
  if (seconds < 10) return `${seconds.toFixed(1)} s`;
  if (seconds < 100) return `${Math.round(seconds)} s`;
  if (seconds < 5400) return `${Math.round(seconds / 60)} min`;
  if (seconds < 172800) return `${Math.round(seconds / 3600)} h`;
  return `${number(Math.round(seconds / 86400))} days`;
}

export function percent(part, whole) {
  if (Number(whole) === 0) return "–";
  const share = (100 * Number(part)) / Number(whole);
  return `${share.toFixed(Number.isInteger(share) ? 0 : 1)} %`;
}

export function bytes(size) {
  const value = Number(size);
  if (value < 1024) return plural(size, "byte");
  const unit = Math.min(3, Math.floor(Math.log2(value) / 10));
  return `${+(value / 1024 ** unit).toFixed(1)} ${["", "KiB", "MiB", "GiB"][unit]}`;
}

const two = (value) => String(value).padStart(2, "0");

export function clock(ms) {
  const date = new Date(Number(ms));
  return Number.isNaN(date.getTime()) ? "?" : `${two(date.getHours())}:${two(date.getMinutes())}:${two(date.getSeconds())}`;
}

export function moment(ms) {
  const date = new Date(Number(ms));
  if (Number.isNaN(date.getTime())) return "?";
  return `${date.getFullYear()}-${two(date.getMonth() + 1)}-${two(date.getDate())} ${clock(ms)}`;
}

export const time = (ms, read = moment) => {
  const date = new Date(Number(ms));
  return el("time", { datetime: Number.isNaN(date.getTime()) ? null : date.toISOString() }, read(ms));
};

/** The ends of a hash: enough to recognise it. */
export const short = (hash) => (hash.length > 18 ? `${hash.slice(0, 8)}…${hash.slice(-6)}` : hash);

/** A hash in full. It breaks anywhere, so that it fits on a phone. */
export const mono = (value) => el("code", { class: "hash" }, value);

export const link = (href, ...children) => el("a", { href }, ...children);
export const shortLink = (kind, hash) => el("a", { href: `#/${kind}/${hash}`, class: "mono", title: hash }, short(hash));
export const fullLink = (kind, hash) => el("a", { href: `#/${kind}/${hash}`, class: "hash" }, hash);

/** Names and values. */
export const facts = (...rows) =>
  el("dl", { class: "facts" }, rows.filter(Boolean).map(([name, ...value]) => el("div", {}, el("dt", {}, name), el("dd", {}, ...value))));

export const card = (title, ...children) => el("section", { class: "card" }, title && el("h2", {}, title), ...children);

/** A table that scrolls by itself if the screen is narrow; the page never does. */
export function table(columns, rows, attributes = {}) {
  const body = el("tbody", {}, rows);
  const head = columns.map((column) => (typeof column === "string" ? el("th", { scope: "col" }, column) : column));
  const node = el("div", { class: "scroll", tabindex: 0, role: "region", "aria-label": attributes["aria-label"] }, el("table", attributes, el("thead", {}, el("tr", {}, head)), body));
  return { node, body };
}

export const quiet = (...children) => el("p", { class: "quiet" }, ...children);
