// The page of the text search: beside each hit, how the words and how the meaning found it; its words are lit.
import { el, start, textCard } from "./service.js";

const lists = ({ rank, score } = {}, decimals) =>
  rank ? el("span", {}, `number ${rank} `, el("span", { class: "quiet" }, `score ${score.toFixed(decimals)}`)) : "not in the first 100";

function why({ by_words: words, by_meaning: meaning }, mode) {
  if (!words && !meaning) return [];
  return [
    ...(mode === "meaning" ? [] : [["By words", lists(words, 1)]]),
    ...(mode === "words" ? [] : [["By meaning", lists(meaning, 2)]]),
  ];
}

start({
  card(node, hit) {
    textCard(node, hit, { spans: hit.spans ?? [], why: why(hit, document.getElementById("mode").value) });
  },
  about: ({ category, text }) => [category, text],
  told({ hits }, { text }) {
    const [first] = hits ?? [];
    if (hits && !first && text) return "No text has one of these words. Search by meaning as well.";
    return first?.corrected ? `Nothing here has all words of “${text}”. These are for “${first.corrected}”.` : undefined;
  },
});
