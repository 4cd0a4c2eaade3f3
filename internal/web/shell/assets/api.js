// Requests to this server: with the session's cookie and the CSRF token, and with errors in words.

/** An answer that was not a success, in the server's words. */
export class Problem extends Error {
  /** @param {number} status @param {string} text @param {{ location: string, message: string }[]} [errors] field by field */
  constructor(status, text, errors = []) {
    super(text);
    this.status = status;
    this.errors = errors;
  }
}

/** The CSRF token of this page. */
export function csrf() {
  return document.querySelector('meta[name="csrf"]')?.getAttribute("content") ?? "";
}

/** @param {Response} res */
async function check(res) {
  if (res.status === 401 || res.redirected && new URL(res.url).pathname === "/login") {
    location.assign("/login?next=" + encodeURIComponent(location.pathname + location.search));
    throw new Problem(401, "You were signed out.");
  }
  if (res.ok) return res;
  const text = await res.text();
  let words = text.trim(), errors;
  if (res.headers.get("content-type")?.includes("json")) {
    const p = JSON.parse(text);
    words = p.detail || p.title || words;
    errors = p.errors ?? undefined;
  }
  throw new Problem(res.status, words || "The server answered " + res.status + ".", errors);
}

/**
 * Asks the REST API or a page for JSON.
 * @param {string} url
 * @param {{ method?: string, body?: unknown, headers?: Record<string, string>, signal?: AbortSignal }} [opts] body is sent as JSON
 * @returns {Promise<any>} undefined when the answer has no body
 */
export async function json(url, opts = {}) {
  /** @type {Record<string, string>} */
  const headers = { accept: "application/json", "x-muster-csrf": csrf(), ...opts.headers };
  if (opts.body !== undefined) headers["content-type"] = "application/json";
  const res = await check(await fetch(url, { method: opts.method ?? "GET", headers, signal: opts.signal, body: opts.body === undefined ? undefined : JSON.stringify(opts.body) }));
  const text = await res.text();
  return text ? JSON.parse(text) : undefined;
}

/** A key that makes a repeated call the same call; randomUUID is only there on https. */
export function onceKey() {
  return [...crypto.getRandomValues(new Uint8Array(16))].map((b) => b.toString(16).padStart(2, "0")).join("");
}

/**
 * Asks for a part of a page as HTML.
 * @param {string} url
 * @param {AbortSignal} [signal]
 * @returns {Promise<Response>}
 */
export async function part(url, signal) {
  return check(await fetch(url, { headers: { "x-muster-part": "1" }, signal }));
}

/**
 * Says something at the foot of the page for a few seconds.
 * @param {string} text
 * @param {{ label: string, run: () => void }} [action] for instance undo
 */
export function toast(text, action) {
  const box = document.createElement("div");
  box.className = "toast";
  box.append(text);
  if (action) {
    const b = document.createElement("button");
    b.type = "button";
    b.textContent = action.label;
    b.onclick = () => { box.remove(); action.run(); };
    box.append(b);
  }
  document.getElementById("toasts")?.append(box);
  setTimeout(() => box.remove(), action ? 10000 : 6000);
}

const told = "muster:told";

/**
 * Goes to another page of this server and says something there.
 * @param {string} href
 * @param {string} text
 * @param {string} [undo] a call of the API that takes back what was done: "DELETE /v1/checks/..."
 */
export function leave(href, text, undo) {
  sessionStorage.setItem(told, JSON.stringify({ text, undo, back: location.pathname + location.search }));
  location.assign(href);
}

/** Says what the page before this one left to be said. */
export function arrive() {
  const left = sessionStorage.getItem(told);
  if (!left) return;
  sessionStorage.removeItem(told);
  const { text, undo, back } = JSON.parse(left);
  if (!undo) { toast(text); return; }
  const [method, url] = undo.split(" ");
  toast(text, { label: "Undo", run: async () => {
    try {
      await json(url, { method });
      leave(back, "Taken back.");
    } catch (e) {
      toast(e instanceof Error ? e.message : String(e));
    }
  } });
}
