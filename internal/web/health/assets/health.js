/** The program's own health: charts like a node's. */

import { Board } from "../../chart/assets/board.js";
import { onKey } from "../../shell/assets/keys.js";

const data = document.getElementById("points");
const root = document.getElementById("charts");
if (data && root) {
  const board = new Board(root, { data: "/health/data", stream: "/health/live", birth: Number(root.dataset.birth) }, JSON.parse(data.textContent ?? "{}"));
  ["15m", "1h", "6h", "24h", "7d", "30d"].forEach((range, i) => onKey(String(i + 1), "show " + range, () => board.visit({ range })));
  onKey("Escape", "leave the zoom", () => board.back());
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
