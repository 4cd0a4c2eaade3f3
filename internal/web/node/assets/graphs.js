/** The first tab of a node: its charts. */

import { Board } from "../../chart/assets/board.js";
import { onKey } from "../../shell/assets/keys.js";
import { node, onHead, onSeen } from "./head.js";

const data = document.getElementById("data");
const root = document.getElementById("charts");
if (data && root) {
  const base = "/nodes/" + node.id;
  const board = new Board(root, {
    data: base + "/data", stream: base + "/live", birth: node.birth, seen: onSeen,
    extra: {
      head(d) {
        onHead(d);
        board.load(); // what came late, after a silence, is behind the stream
      },
    },
  }, JSON.parse(data.textContent ?? "{}"));
  ["15m", "1h", "6h", "24h", "7d", "30d"].forEach((range, i) => onKey(String(i + 1), "show " + range, () => board.visit({ range })));
  onKey("Escape", "leave the zoom", () => board.back());
  // A node without measurements shows how to get some until the first come.
  const none = document.getElementById("none");
  if (none) {
    const wait = setInterval(async () => {
      await board.load();
      if (!board.charts.size) return;
      none.remove();
      board.again();
      clearInterval(wait);
    }, 2000);
  }
}
