// What the pages of a room share. Every address is relative, so that they work behind a proxy too.
// What comes from outside is shown as text: build with `el`, never with innerHTML.
export const $ = (id) => document.getElementById(id);

/** An element: el("td", {class: "solved"}, "text", otherElement, …). */
export function el(tag, attributes = {}, ...children) {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, value);
  made.append(...children);
  return made;
}

/** Put these in place of what is there; a button that had the focus keeps it, by its data-key. */
export function fill(place, nodes) {
  const focused = place.contains(document.activeElement) ? document.activeElement.dataset.key : undefined;
  place.replaceChildren(...nodes);
  if (focused) place.querySelector(`[data-key="${focused}"]`)?.focus();
}

/** The key that a link carries behind its #. It is taken out of the address, where others would see it,
 *  and kept for this tab alone. */
export function key(name) {
  const given = location.hash.slice(1);
  if (given) {
    sessionStorage.setItem(name, given);
    history.replaceState(null, "", location.pathname + location.search);
  }
  return sessionStorage.getItem(name) ?? "";
}

export function say(text) {
  $("error").textContent = text;
  $("error").hidden = !text;
}

/** Calls show(room, now) at once and whenever there is news. `now()` is the board's clock, in seconds. */
export function live(path, secret, show) {
  const address = new URL(path, document.baseURI);
  address.protocol = address.protocol.replace("http", "ws");
  let ahead = 0; // of the board's clock, seconds
  let wait = 500;
  const now = () => Date.now() / 1000 + ahead;
  const open = () => {
    const socket = new WebSocket(address);
    socket.onopen = () => socket.send(secret);
    socket.onmessage = ({ data }) => {
      const news = JSON.parse(data);
      ahead = news.now - Date.now() / 1000;
      wait = 500;
      say("");
      $("room").hidden = false;
      show(news.room, now);
    };
    socket.onclose = ({ code }) => {
      if (code === 4403) return over("This link is not one of this room. Take the one that `make room` printed.");
      if (code === 4410) return over("The room has ended. All that was told is deleted.");
      say("The board is away. This page goes on by itself as soon as it is back.");
      setTimeout(open, wait = Math.min(2 * wait, 10_000));
    };
  };
  open();
}

function over(text) {
  $("room").hidden = true;
  say(text);
}

/** "4:05", or "" when the time is over. */
export function countdown(seconds) {
  const left = Math.ceil(seconds);
  return left > 0 ? `${Math.floor(left / 60)}:${String(left % 60).padStart(2, "0")}` : "";
}

/** Numbers of exercises in order: 2.10 would come after 2.9. */
export const inOrder = (exercises) => [...exercises].sort((a, b) => {
  const [left, right] = [a.split("."), b.split(".")];
  return left[0] - right[0] || left[1] - right[1];
});

export const chapterOf = (exercise) => Number(exercise.split(".")[0]);

/** What a page knows of the course: {number: {title, exercises: {"1.1": minutes}}}. */
const course = JSON.parse($("course")?.textContent ?? "{}");
export const titleOf = (chapter) => course[chapter]?.title ?? "The room";
export const minutesOf = (exercise) => course[chapterOf(exercise)]?.exercises[exercise] ?? 5;

/** All exercises of a chapter, and what learners of another version of the course told. */
export const exercisesOf = (room, chapter) => inOrder(new Set([
  ...Object.keys(course[chapter]?.exercises ?? {}),
  ...Object.keys(room.exercises).filter((exercise) => chapterOf(exercise) === chapter),
]));

/** A check's text, what stands between backticks as code. */
export const inCode = (text) => text.split("`").map((part, place) => (place % 2 ? el("code", {}, part) : part));

export const joined = (count) => `${count} ${count === 1 ? "has" : "have"} joined`;

/** The board's address as notebooks call it, also behind a proxy's path. */
export const here = new URL(".", document.baseURI).href.replace(/\/$/, "");

/** The cell that joins; texts are written in JSON as in Python. */
export function joining(code, name = "") {
  const given = [here, code, ...(name ? [name] : [])].map((one) => JSON.stringify(one));
  return `from workshop import room\nroom.join(${given.join(", ")})`;
}
