// The projector's page: numbers, and no names.
import { $, chapterOf, countdown, el, fill, inOrder, key, live, say } from "./room.js";

const code = key("projector");
let room = null;
let now = () => 0;

function draw() {
  const { clock, exercises, learners } = room;
  const tried = Object.keys(exercises).filter((one) => exercises[one].solved + exercises[one].tried);
  const last = inOrder(tried).at(-1);
  const shown = clock ? [clock.exercise] : inOrder(tried).filter((one) => chapterOf(one) === chapterOf(last));
  $("exercise").textContent = clock ? `Exercise ${clock.exercise}` : "The room";
  $("count").textContent = learners === 1 ? "1 learner is here" : `${learners} learners are here`;
  fill($("bars"), shown.map((one) => bar(one, exercises[one] ?? { solved: 0, tried: 0 }, learners)));
  tick();
}

function bar(exercise, { solved, tried }, learners) {
  const parts = [["solved", solved], ["tried", tried]].map(([state, count]) => {
    const part = el("span", { class: state });
    part.style.width = `${100 * count / Math.max(1, learners)}%`;
    return part;
  });
  return el("li", {}, el("strong", {}, exercise), el("span", { class: "track", "aria-hidden": "true" }, ...parts),
    el("span", { class: "told" }, `${solved} solved, ${tried} trying`));
}

function tick() {
  $("left").textContent = room?.clock ? countdown(room.clock.ends - now()) || "Time is over" : "";
}

const here = new URL(".", document.baseURI).href.replace(/\/$/, "");
$("join").textContent = `from workshop import room; room.join("${here}", "${code}")`;
setInterval(tick, 1000);

if (code) live("projector/events", code, (news, clock) => { [room, now] = [news, clock]; draw(); });
else say("This page needs the room's code behind its address: the link that `make room` printed.");
