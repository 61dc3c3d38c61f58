// The board's own page: the cell that joins, to copy.
import { $, joining } from "./room.js";

function draw() {
  const code = $("code").value.trim().toUpperCase();
  $("line").textContent = joining(code || "CODE", $("name").value.trim());
  $("copy").disabled = !code;
  $("copied").textContent = code ? "" : "The code is on the page that your instructor projects.";
}

$("code").value = location.hash.slice(1);
for (const one of ["code", "name"]) $(one).addEventListener("input", draw);
$("copy").addEventListener("click", () => {
  getSelection().selectAllChildren($("line"));
  // navigator.clipboard is not there at http://192.168.1.5
  const done = document.execCommand("copy");
  $("copied").textContent = done ? "Copied: paste it into a cell." : "It is marked: copy it with Ctrl+C.";
});
draw();
