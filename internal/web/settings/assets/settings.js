/**
 * Settings: every form, button and choice with `data-api` ("POST /v1/tokens") is a call of the API. What a form gives
 * once (a secret, a link) is shown below it; the section's list is read again after each change.
 */

import { json, part, toast } from "../../shell/assets/api.js";
import { tick } from "../../shell/assets/time.js";

/** A key that makes a repeated call the same call; randomUUID is only there on https. */
function onceKey() {
  return [...crypto.getRandomValues(new Uint8Array(16))].map((b) => b.toString(16).padStart(2, "0")).join("");
}

/**
 * @param {HTMLElement} el
 * @param {Record<string, unknown> | undefined} body
 */
async function call(el, body) {
  const [method, url] = (el.dataset.api ?? "").split(" ");
  /** @type {Record<string, string>} */
  const headers = method === "POST" ? { "idempotency-key": onceKey() } : {};
  if (method === "PATCH") headers["content-type"] = "application/merge-patch+json";
  const answer = await json(url, { method, body, headers });
  if (el.dataset.part) await refresh(el.dataset.part);
  if (el.dataset.done) toast(el.dataset.done);
  return answer;
}

/** @param {string} name of a section */
async function refresh(name) {
  const box = document.getElementById(name);
  const html = await (await part("/settings/" + name)).text();
  if (box) {
    box.innerHTML = html;
    prepare(box);
    tick(box);
  }
}

/** @param {HTMLFormElement} form */
function bodyOf(form) {
  /** @type {Record<string, unknown>} */
  const body = {};
  for (const el of form.elements) {
    if ((el instanceof HTMLInputElement || el instanceof HTMLSelectElement) && el.name) body[el.name] = el.dataset.number === undefined ? el.value : Number(el.value);
  }
  return body;
}

/** @param {unknown} e */
const words = (e) => (e instanceof Error ? e.message : String(e));

/** @param {HTMLFormElement} form */
async function submit(form) {
  const button = form.querySelector("button");
  const { show, hint, part: section } = form.dataset;
  form.querySelector(".wrong")?.remove();
  if (button) button.disabled = true;
  try {
    const answer = await call(form, bodyOf(form));
    const again = section ? /** @type {HTMLFormElement | null} */ (document.querySelector(`#${section} form[data-api="${form.dataset.api}"]`)) : form;
    if (show && again && answer?.[show]) reveal(again, String(answer[show]), hint ?? "");
    if (!section) form.reset();
  } catch (e) {
    const p = document.createElement("p");
    p.className = "wrong";
    p.setAttribute("role", "alert");
    p.textContent = words(e);
    form.append(p);
  } finally {
    if (button) button.disabled = false;
  }
}

/**
 * Shows what is given only once.
 * @param {HTMLFormElement} form
 * @param {string} secret
 * @param {string} hint
 */
function reveal(form, secret, hint) {
  const box = document.createElement("div"), p = document.createElement("p"), line = document.createElement("div"), code = document.createElement("code"), copy = document.createElement("button");
  box.className = "shown";
  box.setAttribute("role", "status");
  p.textContent = hint;
  code.className = "line";
  code.textContent = secret;
  code.tabIndex = 0;
  copy.type = "button";
  copy.className = "btn";
  copy.textContent = "Copy";
  copy.onclick = async () => {
    getSelection()?.selectAllChildren(code);
    try {
      await navigator.clipboard.writeText(secret);
      copy.textContent = "Copied";
    } catch {
      copy.textContent = "Press Ctrl+C"; // no clipboard without https: it is selected
    }
  };
  line.append(code, copy);
  box.append(p, line);
  form.append(box);
  box.scrollIntoView({ block: "nearest" });
}

/** @param {HTMLButtonElement} b asks once more before what can't be undone */
function sure(b) {
  if (!b.dataset.sure || b.dataset.asked) return true;
  const before = b.textContent;
  b.dataset.asked = "1";
  b.textContent = b.dataset.sure;
  setTimeout(() => {
    delete b.dataset.asked;
    b.textContent = before;
  }, 5000);
  return false;
}

/** @param {HTMLFormElement} form keeps the line that shows the form's API call */
function showCall(form) {
  if (form.classList.contains("inline") || form.id === "secret" || form.querySelector("[type=password]")) return;
  let line = form.querySelector(".call");
  if (!line) {
    line = document.createElement("code");
    line.className = "call";
    form.append(line);
  }
  line.textContent = form.dataset.api + " " + JSON.stringify(bodyOf(form));
}

/** @param {ParentNode} root */
function prepare(root) {
  for (const form of /** @type {NodeListOf<HTMLFormElement>} */ (root.querySelectorAll("form[data-api]"))) {
    showCall(form);
    form.addEventListener("input", () => showCall(form));
    form.addEventListener("submit", (ev) => {
      ev.preventDefault();
      submit(form);
    });
  }
  for (const b of /** @type {NodeListOf<HTMLButtonElement>} */ (root.querySelectorAll("button[data-api]"))) {
    b.addEventListener("click", () => sure(b) && call(b, undefined).catch((e) => toast(words(e))));
  }
  for (const s of /** @type {NodeListOf<HTMLSelectElement>} */ (root.querySelectorAll("select[data-api]"))) {
    s.addEventListener("change", async () => {
      try {
        await call(s, { [s.name]: s.value });
        toast("Saved.");
      } catch (e) {
        toast(words(e));
        if (s.dataset.part) await refresh(s.dataset.part);
      }
    });
  }
}

prepare(document);
