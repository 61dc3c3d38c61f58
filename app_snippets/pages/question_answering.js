// The page of the question answering: a conversation. Below it stand the passages, as in every service of texts.
import { $, attempt, el, litText, postJson, start, tell, textCard } from "./service.js";

const asked = []; // the questions of this conversation

/** The address at which JupyterLab opens a file of the course, where this page is seen through it; else undefined. */
function inLab(path) {
  const [, base] = location.pathname.match(/^(.*)\/proxy\/\d+\//) ?? [];
  return base === undefined ? undefined : `${base}/lab/tree/${path.split("/").map(encodeURIComponent).join("/")}`;
}

function passage({ payload: { text, document, heading, path } }, lit) {
  const href = path ? inLab(path) : undefined;
  const where = href ? el("a", { href, target: "_blank" }, `Open ${path}`) : el("span", {}, path || document);
  return el("figure", { class: "source" },
    el("figcaption", { class: "quiet" }, where, heading ? el("span", {}, `“${heading}”`) : ""),
    el("blockquote", {}, litText(text, lit ? [lit] : [])));
}

function near(hits, label) {
  if (!hits.length) return [];
  return [el("details", { class: "near" }, el("summary", {}, label), ...hits.map((hit) => passage(hit)))];
}

function turn(question, { answer, citations: [citation], sure, hits }) {
  const score = sure.score === null ? "" : `score ${sure.score.toFixed(2)}, an answer needs ${sure.threshold.toFixed(2)}`;
  const said = citation
    ? [
      el("p", { class: "sentence" }, answer),
      passage(hits[0], citation.lit),
      ...near(hits.slice(1), "Other passages near it"),
    ]
    : [
      el("p", { class: "sentence" }, "I do not know."),
      el("p", { class: "quiet" }, hits.length ? "No passage is near enough to your question." : "There are no passages yet."),
      ...near(hits, "The nearest passages"),
    ];
  return el("li", { class: "turn" },
    el("h3", { class: "question" }, question),
    el("div", { class: "answer" }, ...said, el("p", { class: "quiet" }, score)));
}

function submit(text) {
  if (!text) return undefined;
  return attempt(async (current) => {
    const answer = await postJson("ask", { question: text, history: asked.slice(-5) });
    if (!current()) return;
    const node = turn(text, answer);
    asked.push(text);
    $("talk-row").hidden = false;
    $("turns").prepend(node); // the newest first, below the field
    $("text").value = "";
    tell(answer.answer === null ? "I do not know." : `Answer: ${answer.answer}`);
  });
}

$("anew").addEventListener("click", () => {
  asked.length = 0;
  $("turns").replaceChildren();
  $("talk-row").hidden = true;
  $("text").focus();
});

start({
  submit,
  card: (node, hit) => textCard(node, hit, { about: [hit.payload.path || hit.payload.document] }),
  about: ({ document, heading }) => [document, heading],
});
