// The projector's page: numbers, and no names.
import { $, countdown, el, exercisesOf, fill, inCode, joined, joining, here, key, live, say, titleOf } from "./room.js";

const code = key("projector");
let room = null;
let now = () => 0;

function draw() {
  const { chapter, clock, exercises, learners, message } = room;
  const begun = message || clock || chapter !== null;
  document.body.classList.toggle("joining", !begun); // then nothing else matters
  $("heading").textContent = message ? `Exercise ${message.exercise}: a check says`
    : clock ? `Exercise ${clock.exercise}` : titleOf(chapter);
  $("message").hidden = !message;
  fill($("message"), message ? inCode(message.wording) : []);
  const shown = message || !begun ? [] : clock ? [clock.exercise] : exercisesOf(room, chapter);
  fill($("bars"), shown.map((one) => bar(one, exercises[one] ?? { solved: 0, tried: 0 }, learners)));
  $("count").textContent = joined(learners);
  tick();
}

function bar(exercise, { solved, tried }, learners) {
  const parts = [["solved", solved], ["tried", tried]].map(([state, count]) => {
    const part = el("span", { class: state });
    part.style.width = `${100 * count / Math.max(1, learners)}%`;
    return part;
  });
  const rest = learners - solved - tried;
  return el("li", {}, el("strong", {}, exercise), el("span", { class: "track", "aria-hidden": "true" }, ...parts),
    el("span", { class: "told" }, `${solved} solved, ${tried} trying, ${rest} not begun`));
}

function tick() {
  $("left").textContent = room?.clock ? countdown(room.clock.ends - now()) || "Time is over" : "";
}

[$("code").textContent, $("join").textContent, $("here").textContent] = [code, joining(code), here];
$("named").textContent = joining(code, "Grace").split("\n")[1];
setInterval(tick, 1000);

if (code) live("projector/events", code, (news, clock) => { [room, now] = [news, clock]; draw(); });
else say("This page needs the room's code behind its address: the link that `make room` printed.");
