// The instructor's page: everything through the board's own calls, with the secret of the link.
import { $, chapterOf, countdown, el, fill, inOrder, key, live, say } from "./room.js";

const secret = key("instructor");
const SIGNS = { solved: "✓", tried: "✗", open: "–" };
let room = null;
let now = () => 0;
let chosen = false; // whether a chapter was picked: until then the page follows the room

async function call(method, path, body) {
  const headers = { Authorization: `Bearer ${secret}`, ...(body && { "Content-Type": "application/json" }) };
  let answer;
  try {
    answer = await fetch(path, { method, headers, body: body && JSON.stringify(body) });
  } catch {
    return say("The board does not answer. Is it still running?");
  }
  if (answer.ok) return answer;
  say((await answer.json().catch(() => ({}))).detail ?? `The board answers ${answer.status}.`);
}

const people = (count) => (count === 1 ? "1 learner" : `${count} learners`);
const nameOf = ({ name, number }) => name || `Learner ${number}`;

/** A button that keeps the focus when the page is drawn anew. */
function button(text, name, onclick, attributes = {}) {
  const made = el("button", { type: "button", class: "plain", "data-key": name, ...attributes }, text);
  made.addEventListener("click", onclick);
  return made;
}

function draw() {
  $("count").textContent = `${people(room.learners)}, code ${room.code}`;
  $("projector").href = `projector#${room.code}`;
  drawClock();
  drawHands();
  if (!chosen) $("chapter").value = busiest() ?? $("chapter").value;
  drawTable();
  drawSaid();
}

/** The chapter of the exercise at hand, or else the one that most have tried something of. */
function busiest() {
  if (room.clock) return chapterOf(room.clock.exercise);
  const tries = {};
  for (const [exercise, { solved, tried }] of Object.entries(room.exercises)) {
    tries[chapterOf(exercise)] = (tries[chapterOf(exercise)] ?? 0) + solved + tried;
  }
  return Object.keys(tries).sort((a, b) => tries[b] - tries[a])[0];
}

function drawClock() {
  $("stop").hidden = !room?.clock;
  if (!room?.clock) return void ($("left").textContent = "");
  const { exercise, ends } = room.clock;
  const { solved } = room.exercises[exercise] ?? { solved: 0 };
  const left = countdown(ends - now());
  $("left").textContent =
    `Exercise ${exercise}: ${left ? `${left} left` : "the time is over"}, solved by ${solved} of ${room.learners}.`;
}

function drawHands() {
  $("no-hands").hidden = room.hands.length > 0;
  fill($("hands"), room.hands.map((hand) => {
    const what = hand.exercise ? `, exercise ${hand.exercise}` : "";
    const answered = button("Answered", `hand-${hand.number}`, () => call("DELETE", `hands/${hand.number}`),
      { "aria-label": `Answered: ${nameOf(hand)}` });
    const since = new Date(hand.raised * 1000).toLocaleTimeString([], { timeStyle: "short" });
    return el("li", {}, `${nameOf(hand)}${what}, since ${since}`, answered);
  }));
}

function exercises() {
  const option = $("chapter").selectedOptions[0];
  const seen = Object.keys(room.exercises).filter((exercise) => chapterOf(exercise) === option.value);
  return inOrder(new Set([...option.dataset.exercises.split(" "), ...seen]));
}

function drawTable() {
  const columns = exercises();
  const heads = columns.map((exercise) => el("th", { scope: "col" }, exercise));
  const each = $("view").value === "people";
  const first = el("th", { scope: "col" }, each ? "Learner" : "Share");
  const last = each ? [el("th", { scope: "col" }, el("span", { class: "hidden" }, "Remove"))] : [];
  fill($("head"), [el("tr", {}, first, ...heads, ...last)]);
  fill($("rows"), each ? room.people.map((one) => personRow(one, columns)) : shareRows(columns));
}

function personRow(person, columns) {
  const cells = columns.map((exercise) => {
    const [state, tries] = person.exercises[exercise] ?? [];
    if (!state) return el("td", {}, el("span", { class: "hidden" }, "not begun"));
    return el("td", { class: state }, el("span", { "aria-hidden": "true" }, SIGNS[state]),
      el("span", { class: "hidden" }, state), tries ? ` ${tries}` : "");
  });
  const remove = button("Remove", `person-${person.number}`, async () => {
    const text = `What ${nameOf(person)} told is deleted. Who has the code can join again.`;
    if (await sure(`Remove ${nameOf(person)}?`, text, "Remove")) call("DELETE", `learners/${person.number}`);
  }, { "aria-label": `Remove ${nameOf(person)}` });
  return el("tr", {}, el("th", { scope: "row", title: nameOf(person) }, nameOf(person)), ...cells, el("td", {}, remove));
}

function shareRows(columns) {
  const share = (count) => (room.learners ? `${Math.round(100 * count / room.learners)} % (${count})` : "–");
  const counts = columns.map((exercise) => room.exercises[exercise] ?? { solved: 0, tried: 0 });
  const row = (title, of, state) => el("tr", {}, el("th", { scope: "row" }, title),
    ...counts.map((count) => el("td", of(count) ? { class: state } : {}, share(of(count)))));
  return [
    row("✓ solved", ({ solved }) => solved, "solved"),
    row("✗ tried", ({ tried }) => tried, "tried"),
    row("not begun", ({ solved, tried }) => room.learners - solved - tried, "none"),
  ];
}

function drawSaid() {
  const found = exercises().filter((exercise) => room.said[exercise]);
  $("nothing-said").hidden = found.length > 0;
  fill($("said"), found.flatMap((exercise) => [
    el("h3", {}, `Exercise ${exercise}`),
    el("ul", {}, ...room.said[exercise].map(({ wording, learners, times }) =>
      el("li", {}, ...inCode(wording || "another message"), el("span", { class: "quiet" },
        ` ${people(learners)}${times > learners ? `, ${times} times` : ""}`)))),
  ]));
}

/** A check's text, what stands between backticks as code. */
const inCode = (text) => text.split("`").map((part, place) => (place % 2 ? el("code", {}, part) : part));

/** Asks in a dialog; resolves to whether it is meant. */
function sure(title, text, verb) {
  [$("sure-heading").textContent, $("sure-text").textContent, $("yes").textContent] = [title, text, verb];
  $("sure").returnValue = "no";
  $("sure").showModal();
  return new Promise((resolve) => {
    $("sure").addEventListener("close", () => resolve($("sure").returnValue === "yes"), { once: true });
  });
}

$("clock").addEventListener("submit", (event) => {
  event.preventDefault();
  call("PUT", "clock", { exercise: $("exercise").value, minutes: Number($("minutes").value) });
});
$("stop").addEventListener("click", () => call("DELETE", "clock"));
$("chapter").addEventListener("change", () => { chosen = true; draw(); });
$("view").addEventListener("change", draw);
$("export").addEventListener("click", async () => {
  const answer = await call("GET", "board.csv");
  if (!answer) return;
  const link = el("a", { href: URL.createObjectURL(await answer.blob()), download: "room.csv" });
  link.click();
  URL.revokeObjectURL(link.href);
});
$("end").addEventListener("click", async () => {
  const text = "All that learners told is deleted, here and for good. Export it before, if you want to keep it.";
  if (await sure("End the room?", text, "End the room")) call("DELETE", "room?confirm=true");
});
setInterval(drawClock, 1000);

if (secret) live("instructor/events", secret, (news, clock) => { [room, now] = [news, clock]; draw(); });
else say("This page needs the secret link that `make room` printed.");
