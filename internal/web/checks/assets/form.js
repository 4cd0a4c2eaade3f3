/** The form of a check. It shows its call of the API, tries and saves by it, and says what is wrong beside the field. */

import { Problem, json, leave, onceKey } from "../../shell/assets/api.js";
import { picture, words } from "./shown.js";

/** @typedef {HTMLInputElement | HTMLSelectElement | HTMLTextAreaElement} Field */
/** @typedef {{ [key: string]: any }} Said */

const form = /** @type {HTMLFormElement} */ (document.getElementById("form"));
const [method, url] = (form.dataset.api ?? "").split(" ");
const fresh = method === "POST";
const line = /** @type {HTMLElement} */ (document.getElementById("call"));
const wrong = /** @type {HTMLElement} */ (document.getElementById("wrong"));
const tried = /** @type {HTMLElement} */ (document.getElementById("tried"));
/** @type {Map<string, string>} ids of nodes by their names, in small letters */
const nodes = new Map();

/** @param {string} text @param {string} type */
function valueOf(text, type) {
  const lines = () => text.split("\n").map((s) => s.trim()).filter(Boolean);
  switch (type) {
    case "bool": return text === "true";
    case "number": return /^[+-]?\d+$/.test(text) ? Number(text) : text;
    case "lines": return lines();
    case "map": return Object.fromEntries(lines().map((s) => { const at = (s + ":").indexOf(":"); return [s.slice(0, at).trim(), s.slice(at + 1).trim()]; }));
    case "node": return nodes.get(text.toLowerCase()) ?? text;
  }
  return text;
}

/** All fields with what says how they are read. */
function fields() {
  return [.../** @type {NodeListOf<HTMLElement>} */ (form.querySelectorAll(".fld"))].map((box) => ({
    box, type: box.dataset.type ?? "", is: box.dataset.is ?? "", el: /** @type {Field} */ (box.querySelector("input, select, textarea")),
  }));
}

/** What the form says: what is empty or as usual is left out. @param {boolean} [open] secrets as they are */
function said(open = true) {
  /** @type {Said} */
  const out = {}, config = /** @type {Said} */ ({});
  if (fresh) out.kind = form.dataset.kind;
  for (const { el, type, is } of fields()) {
    let text = el instanceof HTMLInputElement && el.type === "checkbox" ? String(el.checked) : el.value;
    if (type !== "area" && type !== "secret") text = text.trim();
    if (text === "" || text === is || type === "bool" && is === "" && text !== "true") continue;
    const v = type === "secret" && !open ? "•••" : valueOf(text, type);
    if (el.name.startsWith("config.")) config[el.name.slice(7)] = v;
    else out[el.name] = v;
  }
  if (Object.keys(config).length) out.config = config;
  return out;
}

/**
 * The merge patch (RFC 7396) that makes the second of the first.
 * @param {Said} was
 * @param {Said} is
 */
function patch(was, is) {
  /** @type {Said} */
  const out = {};
  for (const key of new Set([...Object.keys(was), ...Object.keys(is)])) {
    const a = was[key], b = is[key];
    if (JSON.stringify(a) === JSON.stringify(b)) continue;
    if (b === undefined && key === "config") out[key] = patch(a, {});
    else if (b === undefined) out[key] = null;
    else if (b && typeof b === "object" && !Array.isArray(b) && !(a && typeof a !== "object")) out[key] = patch(a ?? {}, b);
    else out[key] = b;
  }
  return out;
}

/** @param {boolean} [open] */
function body(open) {
  return fresh ? said(open) : patch(open === false ? hidden : was, said(open));
}

function showCall() {
  line.hidden = false;
  line.textContent = method + " " + url + " " + JSON.stringify(body(false));
}

/** Takes all complaints away. */
function clear() {
  wrong.hidden = true;
  for (const { box, el } of fields()) {
    el.removeAttribute("aria-invalid");
    box.querySelector(".say b")?.remove();
  }
}

/**
 * @param {string} name of a field; "config.url"
 * @param {string} message
 */
function complain(name, message) {
  const hit = fields().find((f) => f.el.name === name);
  const say = hit?.box.querySelector(".say");
  if (!hit || !say) return false;
  const b = document.createElement("b");
  b.textContent = message;
  say.querySelector("b")?.remove();
  say.prepend(b, " ");
  hit.el.setAttribute("aria-invalid", "true");
  const more = hit.box.closest("details");
  if (more) more.open = true;
  return true;
}

/** @param {unknown} e */
function fail(e) {
  /** @type {string[]} */
  const rest = [];
  if (e instanceof Problem && e.status === 412) rest.push("Somebody changed it meanwhile. Load the page again, look at what is there now, and try once more.");
  else if (e instanceof Problem && e.errors.length) {
    for (const { location, message } of e.errors) if (!complain(location.replace(/^body\./, ""), message)) rest.push(location.replace(/^body\./, "") + " " + message);
  } else {
    const [, name, message] = /^([A-Za-z]+): (.*)$/s.exec(words(e)) ?? [];
    if (!name || !complain(name.toLowerCase(), message)) rest.push(words(e));
  }
  wrong.textContent = rest.join(" · ");
  wrong.hidden = !rest.length;
  const first = /** @type {HTMLElement | null} */ (form.querySelector("[aria-invalid]"));
  if (first) first.focus();
  else wrong.scrollIntoView({ block: "nearest" });
}

/** @param {string} q asks for nodes by a part of their name */
async function lookUp(q) {
  /** @type {{ id: string, name: string }[]} */
  const found = await json("/checks/nodes?q=" + encodeURIComponent(q));
  for (const n of found) nodes.set(n.name.toLowerCase(), n.id);
  return found;
}

const node = /** @type {HTMLInputElement | null} */ (form.elements.namedItem("node"));
if (node?.value) await lookUp(node.value.trim()).catch(() => []);
const was = said(), hidden = said(false); // what the form said as it came
showCall();
node?.addEventListener("input", async () => {
  const found = await lookUp(node.value.trim()).catch(() => []);
  document.getElementById("nodes")?.replaceChildren(...found.map((n) => Object.assign(document.createElement("option"), { value: n.name })));
  showCall();
});

/** Makes the id of the node that is named known; false when there is none. */
async function known() {
  const name = node?.value.trim() ?? "";
  if (!name || nodes.has(name.toLowerCase()) || name.startsWith("node_")) return true;
  await lookUp(name);
  if (nodes.has(name.toLowerCase())) return true;
  complain("node", "no node is called that");
  node?.focus();
  return false;
}

/**
 * @param {HTMLButtonElement} button
 * @param {string} meanwhile
 * @param {() => Promise<void>} work
 */
async function busy(button, meanwhile, work) {
  const before = button.textContent;
  button.disabled = true;
  button.textContent = meanwhile;
  clear();
  try {
    if (await known()) await work();
  } catch (e) {
    fail(e);
  } finally {
    button.disabled = false;
    button.textContent = before;
  }
}

async function test() {
  const { enabled, name, ...what } = said();
  const result = await json("/v1/checks/test", { method: "POST", body: { ...what, kind: form.dataset.kind } });
  await picture(tried, result, "The answer", "nothing was saved");
}

async function save() {
  if (fresh) {
    const made = await json(url, { method, body: said(), headers: { "idempotency-key": onceKey() } });
    leave("/checks/" + made.id, made.name + " is checked from now on.", "DELETE " + url + "/" + made.id);
    return;
  }
  await json(url, { method, body: body(), headers: { "content-type": "application/merge-patch+json", "if-match": '"' + form.dataset.rev + '"' } });
  leave(form.dataset.back ?? "/checks", "Saved.");
}

form.addEventListener("submit", (ev) => {
  ev.preventDefault();
  const button = /** @type {HTMLButtonElement} */ (ev.submitter ?? document.getElementById("save"));
  if (button.value === "test") busy(button, "Asking …", test);
  else busy(button, "Saving …", save);
});
form.addEventListener("input", showCall);

