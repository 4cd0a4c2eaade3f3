/** The table of checks: on its own page, where the address is its state, and on the page of a node. */

import { part, toast } from "../../shell/assets/api.js";
import { onKey } from "../../shell/assets/keys.js";
import { live } from "../../shell/assets/live.js";
import { setServerNow, tick } from "../../shell/assets/time.js";
import { Rows } from "./rows.js";

const root = /** @type {HTMLElement} */ (document.getElementById("checks"));
const ofNode = root.dataset.node ?? "";
document.documentElement.classList.add("js");

/** @type {Rows | null} */
let rows = null;
/** @type {import("../../shell/assets/live.js").Live | null} */
let stream = null;
/** @type {string[]} ids of the rows the stream follows, by index */
let followed = [];

/** What the list is of. */
function state() {
  if (ofNode) return new URLSearchParams({ node: ofNode });
  const now = new URLSearchParams(location.search), out = new URLSearchParams();
  for (const key of ["q", "status", "kind", "sort"]) {
    const v = now.get(key);
    if (v) out.set(key, v);
  }
  return out;
}

/** @type {number | undefined} */
let followTimer;

/** Follows what is on screen, a moment after the screen stopped moving. */
function follow(wait = 150) {
  clearTimeout(followTimer);
  followTimer = window.setTimeout(() => {
    const screen = rows?.onScreen() ?? { from: 0, rows: [] };
    const shown = screen.rows.slice(0, 200), params = state();
    if (screen.from) params.set("from", String(screen.from));
    params.set("ids", shown.map((tr) => tr.id.replace("check_", "") + ":" + (tr.dataset.sum ?? "")).join(","));
    followed = shown.map((tr) => tr.id);
    const url = "/checks/live?" + params;
    if (stream) stream.reopen(url);
    else stream = live(url, handlers);
  }, wait);
}

/**
 * Makes a row look like a newer one, touching only what differs: focus and selection stay.
 * @param {HTMLTableRowElement} tr
 * @param {HTMLTableRowElement} next
 */
function renew(tr, next) {
  tr.className = next.className;
  tr.dataset.sum = next.dataset.sum;
  [...next.cells].forEach((cell, i) => {
    const old = tr.cells[i];
    if (old.title !== cell.title) old.title = cell.title;
    if (old.innerHTML !== cell.innerHTML) old.innerHTML = cell.innerHTML;
  });
  tick(tr);
}

/** @type {Record<string, (data: any) => void>} */
const handlers = {
  hello: ({ now }) => setServerNow(now),
  row({ i, html }) {
    const tr = /** @type {HTMLTableRowElement | null} */ (document.getElementById(followed[i]));
    if (!tr) return;
    const box = document.createElement("tbody");
    box.innerHTML = html;
    renew(tr, box.rows[0]);
  },
  list({ total, same }) {
    if (!rows?.table || !total) { if (total !== (rows?.total ?? 0)) again(); return; }
    if (same && total !== rows.total) { rows.resize(total); head(); return; }
    if (same) return;
    // Rows do not move under somebody's pointer or keyboard; she says when.
    const b = document.getElementById("fresh");
    if (b && document.getElementById("clist")?.matches(":hover, :focus-within")) { b.hidden = false; return; }
    fresh();
  },
  counts: () => head(),
};

async function fresh() {
  const b = document.getElementById("fresh");
  if (b) b.hidden = true;
  await rows?.refresh();
  head();
  follow(0);
}

async function head() {
  const el = document.getElementById("chead");
  if (!el) return;
  const res = await part("/checks/head?" + state());
  const box = document.createElement("div");
  box.innerHTML = await res.text();
  const next = box.firstElementChild, hidden = /** @type {HTMLElement | null} */ (document.getElementById("fresh"))?.hidden ?? true;
  // The field stays the one somebody may be typing into.
  const field = document.querySelector("#chead .narrow");
  if (field) next?.querySelector(".narrow")?.replaceWith(field);
  if (next) el.replaceChildren(...next.childNodes);
  const b = document.getElementById("fresh");
  if (b) b.hidden = hidden;
}

/** Reads the list anew: it was empty, or is. */
function again() {
  if (ofNode) location.reload();
  else go(location.href, false);
}

/** @type {AbortController | null} */
let going = null;

/**
 * Goes to another state of the page without loading it whole.
 * @param {string} href
 * @param {boolean} push whether "back" leads back
 */
async function go(href, push) {
  going?.abort();
  const abort = going = new AbortController();
  try {
    const res = await part(href, abort.signal);
    const html = await res.text();
    if (abort.signal.aborted) return;
    if (push) history.pushState(null, "", href);
    else history.replaceState(null, "", href);
    const typing = document.activeElement?.id === "narrow" ? /** @type {HTMLInputElement} */ (document.activeElement) : null;
    const field = typing?.form;
    root.innerHTML = html;
    if (typing && field) {
      root.querySelector(".narrow")?.replaceWith(field);
      typing.focus();
    }
    begin();
  } catch (err) {
    if (!abort.signal.aborted) toast(err instanceof Error ? err.message : String(err));
  }
}

function begin() {
  rows?.stop();
  const box = document.getElementById("clist");
  rows = box ? new Rows(box, state, () => follow()) : null;
  if (box?.dataset.now) setServerNow(Number(box.dataset.now));
  tick(root);
  follow(0);
}

/** @type {number | undefined} */
let typingTimer;
root.addEventListener("input", (ev) => {
  const field = ev.target;
  if (!(field instanceof HTMLInputElement) || field.id !== "narrow") return;
  clearTimeout(typingTimer);
  typingTimer = window.setTimeout(() => {
    const params = state();
    if (field.value.trim()) params.set("q", field.value.trim());
    else params.delete("q");
    go("/checks" + (params.size ? "?" + params : ""), false);
  }, 200);
});
root.addEventListener("submit", (ev) => ev.preventDefault());
if (!ofNode) addEventListener("popstate", () => go(location.href, false));
addEventListener("scroll", () => follow(), { passive: true });
addEventListener("resize", () => follow());

document.addEventListener("click", (ev) => {
  const el = ev.target instanceof Element ? ev.target : null;
  if (!el || ev.defaultPrevented || ev.button || ev.metaKey || ev.ctrlKey || ev.shiftKey) return;
  const a = /** @type {HTMLAnchorElement | null} */ (el.closest("#checks a[data-part]"));
  if (a && !ofNode) { ev.preventDefault(); go(a.href, true); return; }
  if (el.closest("#fresh")) { fresh(); return; }
  const tr = el.closest("#clist tbody tr[id]");
  if (tr && !el.closest("a, input, button") && !String(getSelection())) /** @type {HTMLElement | null} */ (tr.querySelector(".nm a"))?.click();
});

/** Moves the keyboard's row. @param {number} by */
function move(by) {
  const all = [...root.querySelectorAll("tbody tr[id]")], screen = rows?.onScreen().rows ?? [];
  const now = all.findIndex((tr) => tr.contains(document.activeElement));
  const lost = now < 0 || !screen.includes(/** @type {HTMLTableRowElement} */ (all[now]));
  const next = lost ? all.indexOf(screen[0]) : now + by;
  const a = /** @type {HTMLElement | null | undefined} */ (all[Math.max(0, Math.min(next, all.length - 1))]?.querySelector(".nm a"));
  a?.focus({ preventScroll: true });
  a?.closest("tr")?.scrollIntoView({ block: "nearest" });
}
onKey("j", "next row", () => move(1));
onKey("k", "row before", () => move(-1));
onKey("r", "put the rows into their order again", () => fresh());
if (!ofNode) onKey("f", "narrow the checks down", () => document.getElementById("narrow")?.focus());

begin();
