// The charts of the only machine, on the first page of a young installation.
import { Board } from "../../chart/assets/board.js";

const root = document.getElementById("charts"), points = document.getElementById("points");
if (root && points) {
  new Board(root, { data: root.dataset.data ?? "", stream: root.dataset.stream ?? "", birth: Number(root.dataset.birth) }, JSON.parse(points.textContent ?? ""));
}
