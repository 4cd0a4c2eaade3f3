/** Add a server: makes the line to paste, and shows each node as it joins. */

import { json } from "../../shell/assets/api.js";
import { live } from "../../shell/assets/live.js";
import { span } from "../../shell/assets/time.js";

const KEPT = "muster:invitation";
const line = document.getElementById("line");
const token = document.getElementById("token");
const copy = /** @type {HTMLButtonElement | null} */ (document.getElementById("copy"));
const list = document.getElementById("joined");

/** @typedef {{ id: string, command: string, token: string, expires_at: string, uses_left: number }} Invitation */
/** @typedef {{ id: string, name: string, system: string, address: string, measured: boolean }} Joined */

/** @type {Invitation | undefined} */
let invitation;

/** The invitation of this tab while it holds, so that loading the page again makes no second one. */
function kept() {
  try {
    const i = /** @type {Invitation} */ (JSON.parse(sessionStorage.getItem(KEPT) ?? ""));
    return Date.parse(i.expires_at) - Date.now() > 60_000 ? i : undefined;
  } catch {
    return undefined;
  }
}

async function invite() {
  if (!line || !copy) return;
  try {
    invitation = kept() ?? /** @type {Invitation} */ (await json("/v1/enrollments", { method: "POST", body: { uses: 1, ttl: "1h" } }));
    sessionStorage.setItem(KEPT, JSON.stringify(invitation));
  } catch (e) {
    line.textContent = "The line could not be made: " + (e instanceof Error ? e.message : e);
    copy.textContent = "Try again";
    copy.disabled = false;
    copy.onclick = invite;
    return;
  }
  line.textContent = invitation.command;
  copy.textContent = "Copy";
  copy.disabled = false;
  copy.onclick = copyLine;
  const byHand = document.getElementById("byhand");
  if (byHand) byHand.textContent = `muster-agent --server ${location.origin} --token ${invitation.token} --state /var/lib/muster-agent`;
  age();
}

async function copyLine() {
  if (!line || !copy) return;
  getSelection()?.selectAllChildren(line);
  try {
    await navigator.clipboard.writeText(line.textContent ?? "");
    copy.textContent = "Copied";
  } catch {
    copy.textContent = "Press Ctrl+C"; // no clipboard without https: it is selected
  }
  setTimeout(() => (copy.textContent = "Copy"), 4000);
}

/** Says for how long the line holds. */
function age() {
  if (!invitation || !token) return;
  const left = Date.parse(invitation.expires_at) - Date.now();
  if (left <= 0) {
    forget();
    invite();
    return;
  }
  token.textContent = "Good for one server, for " + span(left / 1000) + ".";
}

function forget() {
  sessionStorage.removeItem(KEPT);
  invitation = undefined;
}

/** @param {Joined} j */
function show(j) {
  if (!list) return;
  const id = "j-" + j.id;
  const li = document.getElementById(id) ?? document.createElement("li");
  li.id = id;
  const a = document.createElement("a"), about = document.createElement("span"), state = document.createElement("span");
  a.href = "/nodes/" + j.id;
  a.className = j.measured ? "btn primary right" : "btn right";
  a.textContent = "Open";
  about.className = "dim";
  about.textContent = [j.system, j.address].filter(Boolean).join(" · ");
  state.innerHTML = j.measured ? '<svg class="s" viewBox="0 0 10 10" aria-hidden="true"><circle class="ok" cx="5" cy="5" r="3.2"/></svg>' : '<svg class="s" viewBox="0 0 10 10" aria-hidden="true"><circle class="none" cx="5" cy="5" r="3"/></svg>';
  const name = document.createElement("b"), word = document.createElement("span");
  name.textContent = j.name;
  word.className = "dim2";
  word.textContent = j.measured ? "is measured" : "joined; its first measurements are on the way";
  li.replaceChildren(state, name, about, word, a);
  if (!li.isConnected) {
    list.prepend(li);
    forget();
    another();
  }
}

/** After a node came, the next line is one press away. */
function another() {
  const title = document.getElementById("waiting"), hint = document.getElementById("hint");
  if (title) title.textContent = "It is here";
  if (hint) hint.textContent = "The line was used up.";
  if (token) token.textContent = "Used.";
  if (!copy || !line) return;
  line.textContent = "used up; every server gets its own line";
  copy.textContent = "Another server";
  copy.onclick = invite;
}

if (line) {
  invite();
  setInterval(age, 1000);
  let turn = 0;
  const stream = live("/nodes/add/live", { joined: show, bye: () => stream.reopen("/nodes/add/live?turn=" + ++turn) });
}
