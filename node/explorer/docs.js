// Shows the node's description of its API. Its texts go in as text, never as markup.

import { el, bytes, card, number, quiet, table } from "./dom.js";

const BYTES_SHOWN = 4096;
const METHODS = ["get", "post"];

const main = document.getElementById("main");
const root = new URL("../", location.href);
let api;

// Texts --------------------------------------------------------------------------------------------------------------------------------------

/** A line in which `code` is marked. */
const line = (text) => text.split("`").map((part, place) => (place % 2 ? el("code", {}, part) : part));

/** Paragraphs and lists. */
function words(text) {
  const blocks = (text ?? "").split("\n\n").filter((block) => block.trim());
  return el("div", { class: "words" }, blocks.map((block) =>
    block.startsWith("- ")
      ? el("ul", {}, block.split(/^- /m).slice(1).map((item) => el("li", {}, line(item))))
      : el("p", {}, line(block)),
  ));
}

// Types --------------------------------------------------------------------------------------------------------------------------------------

const nameOf = (reference) => reference.split("/").at(-1);

/** What a reference stands for. */
const resolve = (thing) => (thing?.$ref ? thing.$ref.slice(2).split("/").reduce((node, part) => node?.[part], api) : thing);

const typeLink = (reference) => el("a", { href: `#type-${nameOf(reference)}`, class: "mono" }, nameOf(reference));

const between = (parts, word) => parts.flatMap((part, place) => (place ? [word, part] : [part]));

/** A type in a few words. */
function type(schema) {
  if (!schema) return ["bytes"];
  if (schema.$ref) return [typeLink(schema.$ref)];
  const choices = schema.oneOf ?? schema.anyOf;
  if (choices?.length === 1) return type(choices[0]);
  // Several kinds of texts are texts.
  if (choices) return choices.every((choice) => choice.type === "string") ? ["string"] : between(choices.map(type), " or ");
  if (schema.allOf) return between(schema.allOf.map(type), " and ");
  if (schema.enum) return schema.enum.length > 6 ? [plainType(schema)] : between(schema.enum.map((value) => el("code", {}, String(value))), ", ");
  const kind = [schema.type ?? "any"].flat();
  if (kind.includes("array")) return ["list of ", schema.prefixItems ? between(schema.prefixItems.map(type), ", ") : type(schema.items), orNull(kind)];
  const values = schema.additionalProperties;
  if (kind.includes("object") && values && typeof values === "object") return ["object of ", type(values), orNull(kind)];
  return [plainType(schema)];
}

const orNull = (kind) => (kind.includes("null") ? " or null" : "");

function plainType(schema) {
  const kind = [schema.type ?? "any JSON"].flat().join(" or ");
  const limits = [
    schema.pattern && `like ${schema.pattern}`,
    schema.minimum > 0 && `at least ${number(schema.minimum)}`,
    schema.maximum !== undefined && `at most ${number(schema.maximum)}`,
  ].filter(Boolean);
  return limits.length ? `${kind}, ${limits.join(", ")}` : kind;
}

/** The fields of an object. */
function fields(schema) {
  const required = new Set(schema.required ?? []);
  const rows = Object.entries(schema.properties ?? {}).map(([name, field]) =>
    el("tr", {}, el("td", {}, el("code", {}, name), required.has(name) ? "" : el("span", { class: "quiet" }, " optional")), el("td", {}, type(field)), el("td", {}, words(describe(field)), (field.oneOf ?? field.anyOf)?.some((choice) => choice.enum) && whole(field))),
  );
  return table(["Field", "Type", "What"], rows).node;
}

/** The description of a field; that of its type if it has none. */
const describe = (schema) => schema.description ?? (schema.$ref ? resolve(schema)?.description : "") ?? "";

/** A type in full. */
function whole(schema) {
  if (schema.$ref) return el("p", {}, typeLink(schema.$ref));
  const parts = schema.oneOf ?? schema.anyOf ?? schema.allOf;
  if (parts) {
    const head = quiet(schema.allOf ? "All of:" : "One of:");
    return [head, parts.map((part) => el("div", { class: "stack" }, part.description && words(part.description), whole(part)))];
  }
  if (schema.properties && Object.keys(schema.properties).length) return fields(schema);
  if (schema.enum) return el("p", { class: "codes" }, schema.enum.map((value) => el("code", { class: "tag" }, String(value))));
  return el("p", {}, type(schema));
}

// Paths --------------------------------------------------------------------------------------------------------------------------------------

function parameters(list) {
  const rows = list.map((one) =>
    el("tr", {}, el("td", {}, el("code", {}, one.name), el("span", { class: "quiet" }, one.required ? "" : " optional")), el("td", {}, type(one.schema)), el("td", {}, words(one.description))),
  );
  return [el("h3", {}, "Parameters"), table(["Name", "Type", "What"], rows).node];
}

const contents = (content) => between(Object.entries(content ?? {}).map(([media, { schema }]) => (schema ? type(schema) : media.startsWith("text/") ? media : "bytes")), " or ");

function responses(all) {
  const rows = Object.entries(all).map(([status, response]) => {
    const { description, content } = resolve(response);
    return el("tr", {}, el("td", {}, el("span", { class: status < 300 ? "tag leads" : "tag" }, status)), el("td", {}, contents(content)), el("td", {}, words(description)));
  });
  return [el("h3", {}, "Answers"), table(["Status", "Body", "When"], rows).node];
}

/** The address of a call with these values. */
function address(path, list, values) {
  let filled = path;
  const query = new URLSearchParams();
  for (const { name, in: place } of list) {
    const value = values.get(name);
    if (place === "path") filled = filled.replace(`{${name}}`, value.split("/").map(encodeURIComponent).join("/"));
    else if (value !== "") query.set(name, value);
  }
  return new URL(filled.slice(1) + (query.size ? `?${query}` : ""), root);
}

/** What an answer holds, for people. */
async function read(response) {
  const media = response.headers.get("content-type") ?? "";
  if (media.startsWith("application/json")) return JSON.stringify(JSON.parse(await response.text(), (_, value, context) => exact(value, context)), null, 2);
  const body = new Uint8Array(await response.arrayBuffer());
  const shown = Array.from(body.subarray(0, BYTES_SHOWN), (byte) => byte.toString(16).padStart(2, "0")).join("");
  return body.length > BYTES_SHOWN ? `${shown}…` : shown;
}

/** Numbers beyond 2^53 as their digits, where the browser tells them. */
const exact = (value, context) => (typeof value === "number" && !Number.isSafeInteger(value) && context?.source ? context.source : value);

function attempt(path, list) {
  const inputs = list.map((one) => el("label", {}, one.name, el("input", { name: one.name, required: one.required === true, autocomplete: "off", spellcheck: "false", maxlength: 4096 })));
  const answer = el("div", { class: "stack", "aria-live": "polite" });
  const form = el("form", { class: "try", onsubmit: async (event) => {
    event.preventDefault();
    const values = new Map(new FormData(form).entries());
    const at = address(path, list, values);
    answer.replaceChildren(quiet("Asking…"));
    try {
      const began = performance.now();
      const response = await fetch(at, { cache: "no-store" });
      const text = await read(response);
      const length = response.headers.get("content-length");
      answer.replaceChildren(
        quiet(el("code", {}, `curl '${at}'`)),
        quiet(`${response.status} after ${Math.round(performance.now() - began)} ms`, length && `, ${bytes(length)}`),
        el("pre", { tabindex: 0 }, text || "(empty)"),
      );
    } catch (error) {
      answer.replaceChildren(el("p", { class: "banner bad" }, `No answer: ${error.message}`));
    }
  } }, inputs, el("button", { type: "submit" }, "Ask this node"));
  return [el("h3", {}, "Try it"), form, answer];
}

function operation(path, method, of) {
  const list = of.parameters ?? [];
  const body = el("div", { class: "inside" });
  const node = el("details", { id: of.operationId, ontoggle: () => {
    // Made when it is first opened.
    if (!node.open || body.firstChild) return;
    body.append(...[
      of.description && words(of.description),
      list.length && parameters(list),
      of.requestBody && [el("h3", {}, "Body"), el("p", {}, contents(of.requestBody.content)), words(of.requestBody.description)],
      responses(of.responses),
      // Metrics have another listener, and a stream of events has no end.
      method === "get" && path !== "/metrics" && !of.responses[200].content["text/event-stream"] && attempt(path, list),
    ].filter(Boolean).flat());
  } }, el("summary", {}, el("span", { class: `method ${method}` }, method.toUpperCase()), el("span", { class: "path" }, path), el("span", { class: "says" }, line(of.summary ?? ""))), body);
  node.dataset.words = `${path} ${JSON.stringify(of)}`.toLowerCase();
  return node;
}

function typeNode(name, schema) {
  const [first, ...rest] = (schema.description ?? "").split("\n\n");
  const body = el("div", { class: "inside" });
  const node = el("details", { id: `type-${name}`, ontoggle: () => {
    if (node.open && !body.firstChild) body.append(...[rest.length && words(rest.join("\n\n")), whole(schema)].flat(2).filter(Boolean));
  } }, el("summary", {}, el("span", { class: "path" }, name), el("span", { class: "says" }, line(first))), body);
  node.dataset.words = `${name} ${JSON.stringify(schema)}`.toLowerCase();
  return node;
}

// The page -----------------------------------------------------------------------------------------------------------------------------------

/** Opens what the address names. */
function open() {
  const node = document.getElementById(decodeURIComponent(location.hash.slice(1)));
  if (!node || node === main) return;
  if (node instanceof HTMLDetailsElement) node.open = true;
  node.scrollIntoView();
}

function filter(text) {
  const wanted = text.trim().toLowerCase();
  for (const group of main.querySelectorAll("section.group")) {
    let any = false;
    for (const node of group.querySelectorAll(".paths > details")) {
      node.hidden = !node.dataset.words.includes(wanted);
      any ||= !node.hidden;
    }
    group.hidden = !any;
  }
  document.getElementById("nothing").hidden = main.querySelector("section.group:not([hidden])") !== null;
}

function group(id, title, says, nodes) {
  const node = card(title, says && words(says), el("div", { class: "paths" }, nodes));
  node.id = id;
  node.classList.add("group");
  document.getElementById("groups").append(el("a", { href: `#${id}` }, title));
  return node;
}

function show() {
  const operations = Object.entries(api.paths).flatMap(([path, item]) => METHODS.filter((method) => item[method]).map((method) => [path, method, item[method]]));
  const title = (name) => name[0].toUpperCase() + name.slice(1);
  main.append(
    el("section", { class: "stack" }, el("h1", {}, "The HTTP API"), words(api.info.description)),
    el("p", { class: "quiet", id: "nothing", hidden: true }, "Nothing here has these words."),
    ...api.tags.map(({ name, description }) =>
      group(`group-${name}`, title(name), description, operations.filter(([, , of]) => of.tags?.includes(name)).map((one) => operation(...one)))),
    group("group-types", "Types", null, Object.entries(api.components.schemas).map(([name, schema]) => typeNode(name, schema))),
  );
  const query = document.getElementById("query");
  query.addEventListener("input", () => filter(query.value));
  document.getElementById("search").addEventListener("submit", (event) => event.preventDefault());
  addEventListener("hashchange", open);
  open();
}

try {
  const response = await fetch(new URL("openapi.json", location.href));
  if (!response.ok) throw new Error(`the node answers ${response.status}`);
  api = await response.json();
  show();
} catch (error) {
  main.append(el("p", { class: "banner bad" }, `The description cannot be shown: ${error.message}. Reload the page, or read openapi.json.`));
}
