// One stream of Server-Sent Events for a page: opened while the page is seen, closed soon after it is hidden,
// opened again with a growing pause when it breaks. The "live" mark in the bar says which it is.

/** @typedef {{ close: () => void, reopen: (url: string) => void }} Live */

const states = { on: "live", retry: "connecting …", off: "" };

/** @param {keyof typeof states} state */
function mark(state) {
  const el = document.getElementById("live");
  if (!el || el.dataset.state === state) return;
  el.dataset.state = state;
  if (el.firstElementChild) el.firstElementChild.textContent = states[state];
}

/**
 * Opens a stream; each handler gets the event's data, parsed as JSON.
 * @param {string} url
 * @param {Record<string, (data: any) => void>} handlers by the event's name; "message" for those without one
 * @returns {Live}
 */
export function live(url, handlers) {
  /** @type {EventSource | null} */
  let source = null;
  let pause = 500, closed = false;
  /** @type {number | undefined} */
  let timer;

  function open() {
    clearTimeout(timer);
    source?.close();
    if (closed) return;
    const es = new EventSource(url);
    source = es;
    es.onopen = () => { pause = 500; mark("on"); };
    es.onerror = () => {
      if (source !== es) return;
      es.close();
      mark("retry");
      timer = window.setTimeout(open, pause + Math.random() * pause);
      pause = Math.min(pause * 2, 15000);
    };
    // The server ends a stream now and then, to look at the session again: that is no trouble to be shown.
    es.addEventListener("bye", open);
    for (const name of Object.keys(handlers)) {
      es.addEventListener(name, (ev) => handlers[name](JSON.parse(/** @type {MessageEvent} */ (ev).data)));
    }
  }
  function seen() {
    clearTimeout(timer);
    if (document.hidden) timer = window.setTimeout(() => { source?.close(); source = null; mark("off"); }, 20000);
    else if (!source || source.readyState === EventSource.CLOSED) open();
  }
  document.addEventListener("visibilitychange", seen);
  addEventListener("pagehide", () => source?.close());
  addEventListener("pageshow", (ev) => { if (ev.persisted) open(); });
  open();
  return {
    close() { closed = true; clearTimeout(timer); source?.close(); document.removeEventListener("visibilitychange", seen); mark("off"); },
    reopen(next) { if (next !== url || !source) { url = next; open(); } },
  };
}
