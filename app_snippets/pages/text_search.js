// The page of the text search: beside each hit, how its words and how its meaning found it; the words are lit.
import { $, el, litText, start, textCard } from "./service.js";

function place(found, decimals) {
  if (!found) return "not among the first 100";
  return el("span", {}, `rank ${found.rank} `, el("span", { class: "quiet" }, `score ${found.score.toFixed(decimals)}`));
}

function why({ by_words: words, by_meaning: meaning }) {
  const mode = $("mode").value;
  if (!words && !meaning) return []; // of a list, or of texts like another one
  return [
    ...(mode === "meaning" ? [] : [["By words", place(words, 1)]]),
    ...(mode === "words" ? [] : [["By meaning", place(meaning, 2)]]),
  ];
}

start({
  card(node, hit) {
    textCard(node, hit, { spans: hit.spans ?? [], why: why(hit) });
    node.querySelector(".name").replaceChildren(litText(hit.payload.name, hit.name_spans ?? []));
  },
  told({ hits }, { text }) {
    const corrected = hits?.[0]?.corrected;
    return corrected && `Not every word of “${text}” is known here. These are for “${corrected}”.`;
  },
});
