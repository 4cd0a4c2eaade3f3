// The nodes page: filter as you type, rows by window, live values of what is on screen, keys, selection.
import { csrf, part, toast } from "../../shell/assets/api.js";
import { onKey } from "../../shell/assets/keys.js";
import { live } from "../../shell/assets/live.js";
import { setServerNow } from "../../shell/assets/time.js";
import { write } from "./cells.js";
import { Rows } from "./rows.js";

const list = /** @type {HTMLElement} */ (document.getElementById("list"));
const search = /** @type {HTMLInputElement} */ (document.getElementById("q"));
document.documentElement.classList.add("js");

/** @type {Rows | null} */
let rows = null;
/** @type {{ close: () => void, reopen: (url: string) => void } | null} */
let stream = null;
/** @type {string[]} ids of the rows the stream follows, by index */
let followed = [];
let first = true;

/** The query and the sort of the page's address; nothing else is state. */
function state() {
  const now = new URLSearchParams(location.search), out = new URLSearchParams();
  for (const key of ["q", "sort"]) {
    const v = now.get(key);
    if (v) out.set(key, v);
  }
  return out;
}

function form() {
  return /** @type {HTMLFormElement | null} */ (document.getElementById("rows"));
}

/** @type {number | undefined} */
let followTimer;

/** Follows what is on screen, a moment after the screen stopped moving. */
function follow(wait = 150) {
  clearTimeout(followTimer);
  followTimer = window.setTimeout(() => {
    if (list.querySelector(".qerr")) return;
    const screen = rows?.onScreen() ?? { from: 0, ids: [] };
    const params = state();
    if (screen.from) params.set("from", String(screen.from));
    params.set("ids", screen.ids.slice(0, 200).map((id) => id.slice(5)).join(","));
    const url = "/nodes/live?" + params;
    followed = screen.ids.slice(0, 200);
    first = true;
    if (stream) stream.reopen(url);
    else stream = live(url, handlers);
  }, wait);
}

/** @type {Record<string, (data: any) => void>} */
const handlers = {
  hello({ now }) {
    setServerNow(now);
    first = true;
  },
  v(/** @type {number[][]} */ changes) {
    for (const [i, ...values] of changes) {
      const tr = document.getElementById(followed[i]);
      if (tr) write(tr, values, !first);
    }
    first = false;
  },
  row({ i, html }) {
    const tr = document.getElementById(followed[i]);
    if (!tr) return;
    const box = document.createElement("tbody");
    box.innerHTML = html;
    const next = box.rows[0], tick = next.querySelector("input");
    if (tick) tick.checked = rows?.ticked.has(followed[i]) ?? false;
    const focused = tr.contains(document.activeElement);
    tr.replaceWith(next);
    if (focused) /** @type {HTMLElement | null} */ (next.querySelector(".nm a"))?.focus({ preventScroll: true });
  },
  list({ total, same }) {
    if (!rows?.table || !total) { if (total !== (rows?.total ?? 0)) go(location.href, false); return; }
    if (same && total !== rows.total) { rows.resize(total); head(); return; }
    // Rows do not move under somebody's pointer or keyboard; she says when.
    if (form()?.matches(":hover, :focus-within")) { const b = document.getElementById("fresh"); if (b) b.hidden = false; return; }
    fresh();
  },
  counts: () => head(),
};

async function fresh() {
  const b = document.getElementById("fresh");
  if (b) b.hidden = true;
  await rows?.refresh();
  follow(0);
}

async function head() {
  const res = await part("/nodes/head?" + state());
  const el = document.getElementById("head"), hidden = /** @type {HTMLElement | null} */ (document.getElementById("fresh"))?.hidden ?? true;
  if (el) el.outerHTML = await res.text();
  const b = document.getElementById("fresh");
  if (b) b.hidden = hidden;
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
  list.classList.add("wait");
  try {
    const res = await part(href, abort.signal);
    const html = await res.text();
    if (abort.signal.aborted) return;
    if (push) history.pushState(null, "", href);
    else history.replaceState(null, "", href);
    list.innerHTML = html;
    begin();
    if (document.activeElement !== search) search.value = state().get("q") ?? "";
  } catch (err) {
    if (abort.signal.aborted) return;
    complain(err instanceof Error ? err.message : String(err));
  } finally {
    if (going === abort) list.classList.remove("wait");
  }
}

/** Says what is wrong with the query, above the rows of the last good one. @param {string} text */
function complain(text) {
  let p = document.getElementById("complaint");
  if (!p) {
    p = document.createElement("p");
    p.id = "complaint";
    p.className = "qerr dim";
    p.setAttribute("role", "status");
    document.getElementById("head")?.after(p);
  }
  p.textContent = text;
}

function begin() {
  rows?.stop();
  const f = form();
  rows = f ? new Rows(f, state, () => follow()) : null;
  if (f?.dataset.now) setServerNow(Number(f.dataset.now));
  ticked();
  follow(0);
}

function ticked() {
  const f = form(), n = rows?.ticked.size ?? 0;
  f?.classList.toggle("some", n > 0);
  const count = f?.querySelector(".cnt"), clear = /** @type {HTMLElement | null} */ (document.getElementById("clear"));
  if (count) count.textContent = n + " selected";
  if (clear) clear.hidden = n === 0;
}

/** @type {number | undefined} */
let typingTimer;
search.addEventListener("input", () => {
  clearTimeout(typingTimer);
  typingTimer = window.setTimeout(() => {
    const params = state();
    if (search.value.trim()) params.set("q", search.value.trim());
    else params.delete("q");
    go("/nodes" + (params.size ? "?" + params : ""), false);
  }, 200);
});
search.form?.addEventListener("submit", (ev) => { ev.preventDefault(); search.blur(); });
addEventListener("popstate", () => { search.value = state().get("q") ?? ""; go(location.href, false); });
addEventListener("scroll", () => follow(), { passive: true });
addEventListener("resize", () => follow());

document.addEventListener("click", (ev) => {
  const el = ev.target instanceof Element ? ev.target : null;
  if (!el || ev.defaultPrevented || ev.button || ev.metaKey || ev.ctrlKey || ev.shiftKey) return;
  const a = /** @type {HTMLAnchorElement | null} */ (el.closest("#list a[data-part]"));
  if (a) { ev.preventDefault(); go(a.href, true); return; }
  if (el.closest("#fresh")) { fresh(); return; }
  if (el.closest("#clear")) { select(() => false); return; }
  // A click anywhere in a row opens the node; on the state it ticks.
  const tr = el.closest("#rows tbody tr[id]");
  if (tr && !el.closest("a, input, button, label") && !String(getSelection())) /** @type {HTMLElement | null} */ (tr.querySelector(".nm a"))?.click();
});

/** @param {(id: string) => boolean} want */
function select(want) {
  if (!rows) return;
  for (const box of /** @type {NodeListOf<HTMLInputElement>} */ (form()?.querySelectorAll("td.st input") ?? [])) box.checked = want(box.value);
  for (const id of [...rows.ticked]) if (!want(id)) rows.ticked.delete(id);
  ticked();
}

list.addEventListener("change", (ev) => {
  const box = ev.target;
  if (!(box instanceof HTMLInputElement) || box.name !== "id" || !rows) return;
  if (box.checked) rows.ticked.add(box.value);
  else rows.ticked.delete(box.value);
  ticked();
});
list.addEventListener("submit", async (ev) => {
  ev.preventDefault();
  const button = /** @type {SubmitEvent} */ (ev).submitter;
  const f = form();
  if (!(button instanceof HTMLButtonElement) || !f || !rows) return;
  const data = new URLSearchParams({ do: button.value, tag: /** @type {HTMLInputElement} */ (f.elements.namedItem("tag")).value, csrf: csrf() });
  for (const id of rows.ticked) data.append("id", id);
  const n = rows.ticked.size;
  try {
    const res = await fetch("/nodes/act", { method: "POST", body: data, headers: { "x-muster-part": "1" } });
    if (!res.ok) throw new Error((await res.text()).trim());
    toast("Done, " + n + (n === 1 ? " node." : " nodes."));
    fresh();
  } catch (err) {
    toast(err instanceof Error ? err.message : String(err));
  }
});

/** Moves the keyboard's row. @param {number} by */
function move(by) {
  const all = [...(form()?.querySelectorAll("tbody tr[id]") ?? [])];
  const screen = rows?.onScreen().ids ?? [];
  const now = all.findIndex((tr) => tr.contains(document.activeElement));
  // Who scrolled away from the row begins again with the first one she sees.
  const lost = now < 0 || !screen.includes(all[now].id);
  const next = lost ? all.findIndex((tr) => tr.id === screen[0]) : now + by;
  if (next < 0 && lost) return;
  const a = /** @type {HTMLElement | null | undefined} */ (all[Math.max(0, Math.min(next, all.length - 1))]?.querySelector(".nm a"));
  a?.focus({ preventScroll: true });
  a?.closest("tr")?.scrollIntoView({ block: "nearest" });
}
onKey("j", "next row", () => move(1));
onKey("k", "row before", () => move(-1));
onKey("x", "select the row", () => /** @type {HTMLElement | null | undefined} */ (document.activeElement?.closest("tr")?.querySelector("td.st input"))?.click());
onKey("Escape", "clear the selection", () => select(() => false));
onKey("r", "put the rows into their order again", () => fresh());

begin();
