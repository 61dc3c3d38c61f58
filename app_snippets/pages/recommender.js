// The page of the recommender: films are found by name and marked, and the list follows what is marked.
// Likes and dislikes live in this page alone: they are sent with each question, and gone when it is closed.
import { $, ask, bar, counted, el, fail, postJson, search, show, start, textCard } from "./service.js";

const likes = []; // {id, payload} of each film
const dislikes = [];
let highest = 1; // score in the list

const has = (films, id) => films.some((film) => film.id === id);
const idsOf = (films) => films.map(({ id }) => id);

function drop(films, id) {
  const place = films.findIndex((film) => film.id === id);
  if (place >= 0) films.splice(place, 1);
}

/** Whether the list is a recommendation: its query holds the very lists of this page. */
const isMine = (query) => query.items === likes;

let shown = {}; // the query of the list

async function mark(film, films, others) {
  if (has(films, film.id)) drop(films, film.id);
  else films.push(film);
  drop(others, film.id);
  draw();
  if (isMine(shown)) {
    await show(); // the newest list replaces the buttons that were pressed
    $("results").focus({ preventScroll: true });
  }
}

function chips(films, list) {
  $(list).replaceChildren(...films.map((film) => {
    const button = el("button", { type: "button", "aria-label": `Take ${film.payload.name} out` }, film.payload.name);
    button.addEventListener("click", async () => {
      await mark(film, films, []);
      (likes.length ? $("recommend") : $("text")).focus();
    });
    return el("li", {}, button);
  }));
}

function draw() {
  const some = likes.length + dislikes.length > 0;
  $("mine-empty").hidden = some;
  $("mine-films").hidden = !some;
  $("forget").hidden = !some;
  $("recommend").hidden = !likes.length;
  $("recommend").textContent = likes.length === 1 ? "Recommend from this" : `Recommend from these ${likes.length}`;
  chips(likes, "likes");
  chips(dislikes, "dislikes");
  for (const card of document.querySelectorAll("#items .card")) press(card, card.dataset.id);
}

function press(node, id) {
  node.querySelector(".like").setAttribute("aria-pressed", has(likes, id));
  node.querySelector(".dislike").setAttribute("aria-pressed", has(dislikes, id));
}

/** Why a film is in the list: the likes with the largest parts, what dislikes took away, and popularity. */
function reasons({ score, because, dislikes: less, popularity }) {
  if (!because) return [];
  const names = because.map(({ name, part }) => el("li", {}, `${name} (+${part.toFixed(3)})`));
  return [
    ["score", el("span", { class: "because" }, bar(score / highest), score.toFixed(3))],
    ...(names.length ? [["you like", el("ul", { class: "because" }, ...names)]] : []),
    ...(less < -0.0005 ? [["not this", less.toFixed(3)]] : []),
    ["popular", `+${popularity.toFixed(3)}`],
  ];
}

function card(node, hit, query) {
  shown = query;
  const { id, payload } = hit;
  const film = { id, payload };
  textCard(node, hit, { text: "", about: payload.genres, why: reasons(hit) });
  const buttons = { like: [likes, dislikes], dislike: [dislikes, likes] };
  for (const [name, [films, others]] of Object.entries(buttons)) {
    const button = node.querySelector(`.${name}`);
    button.setAttribute("aria-label", `${button.textContent}: ${payload.name}`);
    button.addEventListener("click", () => mark(film, films, others).catch(fail));
  }
  press(node, id);
}

/** Hits of a recommendation, or of a usual search. */
async function hits(query, about) {
  if (!isMine(query)) return search(query, about);
  const answer = await postJson("recommend", { likes: idsOf(likes), dislikes: idsOf(dislikes), ...about });
  highest = Math.max(0.001, ...answer.hits.map(({ score }) => score));
  return answer;
}

function told({ hits: found }, query) {
  if (!isMine(query) || !found) return undefined;
  if (!found.length) return "No film of this category is left. Choose another one, or all.";
  const popular = found.filter(({ made }) => made === "popularity").length;
  const rest = popular ? `; ${popular} of them mostly because many people liked them of late` : "";
  return `${counted(found.length)} from what you marked${rest}.`;
}

$("recommend").addEventListener("click", () => ask({ items: likes, unlike: dislikes }));
$("forget").addEventListener("click", () => {
  likes.length = 0;
  dislikes.length = 0;
  draw();
  if (isMine(shown)) ask({});
  $("text").focus();
});

draw();
start({
  card,
  search: hits,
  told,
  about: ({ genres }) => genres,
  heading: (query) => (isMine(query) ? "Films for you" : undefined),
});
