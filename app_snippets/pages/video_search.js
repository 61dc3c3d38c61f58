// The page of the video search: a card is a shot that can be played; a film is a strip of shots, in which faces get names.
import { $, ask, attempt, call, el, postJson, search, start, tell } from "./service.js";

let film = null; // the id of a shot of the film that is shown
let person = null; // whose shots are listed, by name

const seconds = (value) => `${value.toFixed(1)} s`;

function boxOf([left, top, right, bottom], kind, label) {
  const box = el("span", { class: `box ${kind}` }, el("span", {}, label));
  Object.assign(box.style, {
    left: `${100 * left}%`, top: `${100 * top}%`, width: `${100 * (right - left)}%`, height: `${100 * (bottom - top)}%`,
  });
  return box;
}

/** The picture of a shot with its boxes; a click plays the shot in its place. */
function screenOf({ id, name, things, faces }) {
  const image = el("img", { src: `items/${id}/still`, alt: "", loading: "lazy", decoding: "async", width: 320, height: 320 });
  image.addEventListener("error", () => { image.hidden = true; });
  const boxes = [
    ...things.map((thing) => boxOf(thing.box, "thing", thing.name)),
    ...faces.map((face) => boxOf(face.box ?? face, "face", face.box ? face.name ?? "unknown" : "face")),
  ];
  const what = [...new Set(things.map((thing) => thing.name))].join(", ");
  const play = el("button", { type: "button", class: "play", "aria-label": `Play ${name}${what && `, with ${what}`}` }, image);
  play.append(...boxes);
  play.addEventListener("click", () => {
    const film = el("video", { src: `items/${id}/media`, controls: true, autoplay: true, "aria-label": name });
    film.muted = true;
    film.addEventListener("error", () => { tell("Your browser cannot play this shot."); film.replaceWith(play); });
    play.replaceWith(film);
    film.focus();
  });
  return play;
}

function naming(shot, face, number) {
  const label = `Who is face ${number} of shot ${shot.number}?`;
  const input = el("input", { type: "text", "aria-label": label, maxlength: 64, autocomplete: "off", required: true, value: face.name ?? "" });
  const form = el("form", {}, el("span", { class: "quiet" }, face.name ?? "unknown"), input, el("button", { class: "plain" }, "Name"));
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    attempt(async () => {
      const found = await postJson("people", { name: input.value.trim(), item_id: shot.id, face: number });
      await Promise.all([showFilm(film), showPeople()]);
      tell(`${found.name} has a name. She or he is seen in ${found.hits.length} ${found.hits.length === 1 ? "shot" : "shots"} here.`);
    });
  });
  return form;
}

async function showFilm(id) {
  const found = await call(`films/${id}`);
  film = id;
  $("film").hidden = false;
  $("film-heading").textContent = found.name;
  const cuts = found.cuts.map(seconds).join(", ");
  $("film-about").textContent = cuts ? `Cuts at ${cuts}. A click on a picture plays the shot.` : "One shot, no cut. A click on the picture plays it.";
  $("strip").replaceChildren(...found.shots.map((shot) => el("li", {},
    el("p", { class: "quiet" }, `Shot ${shot.number} · ${seconds(shot.start)} to ${seconds(shot.end)}`),
    el("div", { class: "screen" }, screenOf({ ...shot, name: `shot ${shot.number}` })),
    ...shot.faces.map((face, number) => naming(shot, face, number + 1)))));
}

async function showPeople() {
  const { people } = await call("people");
  $("people").hidden = !people.length;
  $("people-list").replaceChildren(...people.map(({ name }) => {
    const where = el("button", { type: "button", class: "link" }, `Where is ${name}?`);
    where.addEventListener("click", () => { person = name; ask({ items: [{ id: name }] }); });
    const forget = el("button", { type: "button", class: "plain" }, `Forget ${name}`);
    forget.addEventListener("click", () => {
      if (!forget.classList.contains("sure")) { // asked twice, in the page itself
        forget.classList.add("sure");
        forget.textContent = `Really forget ${name}`;
        return;
      }
      attempt(async () => {
        await call(`people/${encodeURIComponent(name)}`, { method: "DELETE" });
        await Promise.all([showPeople(), film && showFilm(film), person === name && ask({})]);
        tell(`${name} is forgotten: the name, and the vectors of her or his faces.`);
      });
    });
    forget.addEventListener("blur", () => { forget.classList.remove("sure"); forget.textContent = `Forget ${name}`; });
    return el("li", {}, el("strong", {}, name), where, forget);
  }));
}

$("film-close").addEventListener("click", () => { $("film").hidden = true; film = null; $("results").focus(); });

start({
  card(node, { id, payload }) {
    const { name, start: from, end, film_name: title } = payload;
    node.querySelector(".screen").append(screenOf({ id, ...payload }));
    node.querySelector(".about").textContent = `${title}, ${seconds(from)} to ${seconds(end)}`;
    const button = node.querySelector(".whole-film");
    button.setAttribute("aria-label", `The film of ${name}`);
    button.addEventListener("click", () => attempt(async (current) => {
      await showFilm(id);
      if (!current()) return;
      $("film").focus();
      $("film").scrollIntoView({ block: "nearest" });
    }));
  },
  about: ({ film_name: title, start: from, things }) => [`${title}, from ${seconds(from)}`, ...new Set(things.map((thing) => thing.name))],
  picture: ({ id }) => `items/${id}/still`,
  search: (query, about) => (query.items ? call(`people/${encodeURIComponent(query.items[0].id)}`) : search(query, about)),
  heading: ({ items }) => (items ? `Where ${items[0].id} is` : undefined),
  told: ({ hits, at_least: least }, { items }) => {
    if (!items) return undefined;
    if (!hits.length) return "Nowhere: no face here is near enough.";
    return `${hits.length} ${hits.length === 1 ? "shot" : "shots"} with a face whose cosine is at least ${least.toFixed(2)}. A few of them may be somebody else.`;
  },
});
showPeople().catch(() => {}); // the list tells that the service is away
