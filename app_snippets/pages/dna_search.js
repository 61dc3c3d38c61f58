// The page of the DNA search: a sequence is classified by its nearest genes, which vote, and is aligned with the nearest.
import { $, attempt, bar, call, el, postJson, start, textCard } from "./service.js";

const COLUMNS = 60; // letters in a line of an alignment

/** The letters of what was pasted: the titles of a FASTA file are left out. */
const letters = (text) => text.split("\n").filter((line) => !line.startsWith(">")).join("\n");

function votesOf({ votes }) {
  const sum = Math.max(0.001, Object.values(votes).reduce((a, b) => a + b, 0));
  const rows = Object.entries(votes).flatMap(([name, got]) => [
    el("span", {}, name), bar(got / sum), el("span", {}, `${Math.round((100 * got) / sum)} %`),
  ]);
  return el("div", { class: "votes" }, ...rows);
}

/** The two sequences one above the other, with a | where they agree. */
function alignmentOf({ first, second, start: from, reverse, identity }, name) {
  const lines = [];
  let place = from;
  for (let at = 0; at < first.length; at += COLUMNS) {
    const [above, below] = [first, second].map((text) => text.slice(at, at + COLUMNS));
    const marks = [...above].map((letter, i) => (letter === below[i] ? "|" : " ")).join("");
    const number = String(place + 1).padStart(6);
    lines.push(el("pre", {}, `${number}  ${above}\n        ${marks}\n        ${below}`));
    place += above.replaceAll("-", "").length;
  }
  const about = `${Math.round(100 * identity)} % of ${first.length} columns are the same as in ${name}`
    + `${reverse ? ", read from its other strand" : ""}.`;
  const box = el("div", { class: "alignment", tabindex: "0", role: "region", "aria-label": "Alignment, base by base" }, ...lines);
  return [el("p", {}, about), el("details", {}, el("summary", {}, "Show the alignment"), box)];
}

function show(answer) {
  const [nearest] = answer.neighbours;
  if (!nearest) {
    $("answer").replaceChildren(el("p", {}, "There is no gene with a class here yet. Load the sample sequences first."));
    return;
  }
  const near = nearest.score.toFixed(2);
  const said = answer.category
    ? `Probably ${answer.category}: its nearest gene, ${nearest.payload.name}, has a cosine of ${near}.`
    : `Unknown: the nearest gene, ${nearest.payload.name}, has a cosine of ${near}, less than ${answer.at_least.toFixed(2)}.`;
  $("answer").replaceChildren(
    el("p", {}, el("strong", {}, said)),
    el("p", { class: "quiet" }, `The votes of its ${answer.neighbours.length} nearest genes:`),
    votesOf(answer),
    ...(answer.alignment ? alignmentOf(answer.alignment, nearest.payload.name) : []),
  );
}

$("classify-form").addEventListener("submit", (event) => {
  event.preventDefault();
  const body = { text: letters($("sequence").value), ...($("mode") ? { mode: $("mode").value } : {}) };
  attempt(async (current) => {
    const answer = await postJson("classify", body);
    if (current()) show(answer);
  });
});

$("example").addEventListener("click", () => attempt(async (current) => {
  const { items } = await call("items?limit=1");
  if (!current()) return;
  if (!items.length) throw new Error("There is no sequence here yet. Load the sample sequences first.");
  $("sequence").value = items[0].payload.text.slice(60, 660);
  $("sequence").focus();
}));

start({
  card: (node, hit) => textCard(node, hit, { about: [hit.payload.family, `${hit.payload.length} bases`] }),
  about: ({ family, length }) => [family, `${length} bases`],
});
