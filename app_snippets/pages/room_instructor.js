// The instructor's page: everything through the board's own calls, with the secret of the link.
import { $, chapterOf, countdown, el, exercisesOf, fill, inCode, joined, key, live, minutesOf, say, titleOf } from "./room.js";

const secret = key("instructor");
const SIGNS = { solved: "✓", tried: "✗", open: "–" };
const WORDS = { solved: "solved", tried: "trying", open: "without an answer" };
let room = null;
let now = () => 0;
let picked = false; // whether the clock's form was touched: until then it names what comes next

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

/** The chapter whose exercises are seen. */
const chapter = () => room.chapter ?? (room.clock ? chapterOf(room.clock.exercise) : 0);

/** A name that stands for one alone. */
function nameOf({ name, number }) {
  if (!name) return `Learner ${number}`;
  const same = room.people.filter((one) => one.name.toLowerCase() === name.toLowerCase());
  return same.length > 1 ? `${name} (${number})` : name;
}

/** A button that keeps the focus when the page is drawn anew. */
function button(text, name, onclick, attributes = {}) {
  const made = el("button", { type: "button", class: "plain", "data-key": name, ...attributes }, text);
  made.addEventListener("click", onclick);
  return made;
}

function draw() {
  $("count").textContent = `${joined(room.learners)}, code ${room.code}`;
  $("projector").href = `projector#${room.code}`;
  $("join").href = `.#${room.code}`;
  if (document.activeElement !== $("chapter")) $("chapter").value = room.chosen ?? "";
  $("table-heading").textContent = `Exercises of ${titleOf(chapter())}`;
  propose();
  drawHands();
  drawTable();
  drawSaid();
  tick();
}

/** What the form of the clock names before anybody touches it: the exercise at hand, or the chapter's first. */
function propose() {
  if (picked || $("clock").contains(document.activeElement)) return;
  const exercise = room.clock?.exercise ?? exercisesOf(room, chapter())[0];
  $("exercise").value = exercise;
  $("minutes").value = minutesOf(exercise);
}

/** What changes as time goes by. */
function tick() {
  if (!room) return;
  drawClock();
  for (const one of document.querySelectorAll("[data-raised]")) {
    one.textContent = `, waits ${Math.max(0, Math.floor((now() - one.dataset.raised) / 60))} min`;
  }
}

function drawClock() {
  $("stop").hidden = !room.clock;
  if (!room.clock) return void ($("left").textContent = "");
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
    return el("li", {}, `${nameOf(hand)}${what}`, el("span", { "data-raised": hand.raised }), answered);
  }));
}

function drawTable() {
  const columns = exercisesOf(room, chapter());
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
      el("span", { class: "hidden" }, WORDS[state]), tries ? ` ${tries}` : "");
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
    row("✗ trying", ({ tried }) => tried, "tried"),
    row("not begun", ({ solved, tried }) => room.learners - solved - tried, "none"),
  ];
}

function drawSaid() {
  const found = exercisesOf(room, chapter()).filter((exercise) => room.said[exercise]);
  const { message } = room;
  $("shown").hidden = !message;
  fill($("shown-text"), message ? [`${message.exercise}, `, ...inCode(message.wording)] : []);
  $("nothing-said").hidden = found.length > 0;
  fill($("said"), found.flatMap((exercise) => [
    el("h3", {}, `Exercise ${exercise}`),
    el("ul", {}, ...room.said[exercise].map((said) => saidItem(exercise, said))),
  ]));
}

/** A message, how many see it and have not solved the exercise since, and how many ever saw it. */
function saidItem(exercise, { wording, now: seeing, ever }) {
  const count = `${seeing || "none"} of ${room.learners} now${ever > seeing ? ` (${ever} in all)` : ""}`;
  const show = button("Show to the room", `show-${exercise}-${wording.replace(/\W/g, "-")}`,
    () => call("PUT", "message", { exercise, wording }), { "aria-label": `Show to the room: ${wording}` });
  return el("li", {}, ...inCode(wording || "another message"), " ", el("span", { class: "quiet" }, count),
    ...(wording ? [" ", show] : []));
}

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
  picked = false;
  call("PUT", "clock", { exercise: $("exercise").value, minutes: Number($("minutes").value) });
});
$("exercise").addEventListener("change", () => {
  picked = true;
  $("minutes").value = minutesOf($("exercise").value);
});
$("minutes").addEventListener("input", () => { picked = true; });
$("stop").addEventListener("click", () => call("DELETE", "clock"));
$("hide").addEventListener("click", () => call("DELETE", "message"));
$("chapter").addEventListener("change", () => {
  picked = false;
  const number = $("chapter").value;
  if (number) call("PUT", "chapter", { chapter: Number(number) });
  else call("DELETE", "chapter");
});
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
setInterval(tick, 1000);

if (secret) live("instructor/events", secret, (news, clock) => { [room, now] = [news, clock]; draw(); });
else say("This page needs the secret link that `make room` printed.");
