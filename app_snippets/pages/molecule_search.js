// The page of the molecule search: cards are drawings, in which is orange what a hit shares with the question.
import { $, ask, call, capital, counted, fail, many, search, start, textCard } from "./service.js";

let similar; // whether the list shows all of at least some similarity

const drawingOf = (id, like) => `items/${id}/drawing${like ? `?${new URLSearchParams({ like })}` : ""}`;

function card(node, hit, { item }) {
  const { id, payload, by } = hit;
  textCard(node, hit, { about: [payload.category, `${payload.atoms} atoms`] });
  const like = by === "name" ? undefined : item?.payload.text ?? hit.asked;
  const picture = node.querySelector(".drawing");
  picture.src = drawingOf(id, like);
  picture.alt = `Drawing of ${payload.name}${like ? ", orange where it is like the question" : ""}`;
}

function hits(query, about) {
  const at_least = $("at-least").value;
  similar = Boolean(query.item && at_least && about.mode !== "name");
  if (!similar) return search(query, about);
  const { limit, ...rest } = about;
  return call(`items/${query.item.id}/similar?${new URLSearchParams({ ...rest, at_least })}`);
}

function heading({ item }) {
  const picture = $("asked-drawing");
  picture.hidden = !item;
  if (!item) return undefined;
  picture.src = drawingOf(item.id);
  picture.alt = `Drawing of ${item.payload.name}`;
  return undefined;
}

function told({ hits: found, complete }, { text, item }) {
  if (item && similar) {
    const some = found.length ? counted(found.length) : `No ${many}`;
    return `${complete ? "" : "More than can be shown; "}${some} of at least ${$("at-least").value}.`;
  }
  const [first] = found ?? [];
  if (!text || !first?.note) return undefined;
  // names seldom have these signs: somebody may have meant a SMILES
  const why = /[=#[\]@\\/]|[()].*\d/.test(text) ? ` ${capital(first.note)}` : "";
  return `Taken as a name, and spelt most like it are these ${counted(found.length)}.${why}`;
}

// ----------------------------------------------------------------------------------- the editor

let editor = null;
const drawn = () => editor.getMolecule().toSmiles();

async function open() {
  const { CanvasEditor } = await import("./vendor/openchemlib.js"); // 1.1 MB: only when it is wanted
  editor = new CanvasEditor($("editor"));
  editor.setOnChangeListener(() => { $("draw-smiles").textContent = drawn(); });
}

$("draw-open").addEventListener("click", async () => {
  const closed = $("draw").hidden;
  $("draw").hidden = !closed;
  $("draw-open").setAttribute("aria-expanded", closed);
  $("draw-open").textContent = closed ? "Close the editor" : "Open the editor";
  if (closed && !editor) await open().catch(fail);
});
$("draw-clear").addEventListener("click", () => editor?.clearAll());
$("draw-search").addEventListener("click", () => {
  const text = editor ? drawn() : "";
  if (!text) return fail(new Error("Nothing is drawn yet. Click into the editor to place an atom."));
  $("text").value = text;
  if ($("mode").value === "name") $("mode").value = "morgan";
  ask({ text });
});
$("at-least").addEventListener("change", () => { if (!$("asked-drawing").hidden) $("mode").dispatchEvent(new Event("change")); });

start({ card, search: hits, heading, told, about: ({ category, text }) => [category, text] });
