// The page of the audio search: a card is a picture of a sound that can be played; a question may be recorded.
import { $, ask, chosen, counted, el, fail, start, tell } from "./service.js";

const LONGEST = 15; // seconds of a recording
const WIDTH = 800, HEIGHT = 200, TOP = 4000; // of the pictures of a match, and Hz at their upper end
const LEFT = 78, RIGHT = 20, HEAD = 26, BETWEEN = 64; // around them
const LINES = 30; // between peaks of both, at most
const seconds = (value) => `${value.toFixed(1)} s`;

// ----------------------------------------------------------------------------------- playing

let playing = null;

function label(button, name, from, plays) {
  button.setAttribute("aria-label", plays ? `Pause ${name}` : `Play ${name}${from ? ` from ${seconds(from)}` : ""}`);
}

function play(button, id, name, from) {
  const player = el("audio", { src: `items/${id}/media`, controls: true, "aria-label": name });
  player.addEventListener("loadedmetadata", () => { player.currentTime = from; }, { once: true });
  player.addEventListener("error", () => { tell("Your browser cannot play this sound."); player.remove(); });
  player.addEventListener("play", () => { if (playing !== player) playing?.pause(); playing = player; });
  for (const event of ["play", "pause"]) player.addEventListener(event, () => label(button, name, from, !player.paused));
  button.after(player);
  player.play().catch(() => {}); // of what fails the error event tells
  player.focus();
}

function card(node, { id, payload, match }, query) {
  const from = match ? Math.max(0, match.at + match.start) : 0;
  const button = node.querySelector(".play");
  label(button, payload.name, from);
  button.addEventListener("click", () => {
    const player = node.querySelector("audio");
    if (player) player.paused ? player.play() : player.pause();
    else play(button, id, payload.name, from);
  });
  const image = button.querySelector("img");
  image.addEventListener("error", () => { image.hidden = true; });
  image.src = `items/${id}/picture`;
  node.querySelector(".about").textContent = [payload.category, seconds(payload.seconds), ...payload.tags].join(" · ");
  const why = node.querySelector(".why-this");
  why.hidden = !match;
  why.setAttribute("aria-label", `Why ${payload.name}?`);
  why.addEventListener("click", () => showMatch(node, id, payload, match, query));
  if (!match) return;
  const votes = `${match.votes} votes, next best ${match.rest}`; // the share of codes says little: noise has most of them
  node.querySelector(".score").replaceChildren(votes);
  node.querySelector(".find").setAttribute("aria-label", `${payload.name}, ${votes}. Find recordings like it`);
}

// ------------------------------------------------------------------------ two sounds compared

let shown = null; // the address of a question's picture

function svg(tag, attributes) {
  const made = document.createElementNS("http://www.w3.org/2000/svg", tag);
  for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, value);
  return made;
}

function pictureOf(match, query) {
  if (shown) URL.revokeObjectURL(shown);
  shown = null;
  if (query.item) return `items/${query.item.id}/picture?${new URLSearchParams({ start: match.start, seconds: match.seconds })}`;
  const bytes = Uint8Array.from(atob(match.question), (letter) => letter.charCodeAt(0));
  shown = URL.createObjectURL(new Blob([bytes], { type: "image/webp" }));
  return shown;
}

const text = (attributes, content) => {
  const made = svg("text", attributes);
  made.textContent = content;
  return made;
};

/** A spectrogram with its name above, Hz at its left, and the seconds from `from` on below: a list of elements. */
function drawn(href, name, y, from, long) {
  const step = [0.1, 0.2, 0.5, 1, 2, 5].find((wide) => long / wide <= 8) ?? 5;
  const ticks = [];
  for (let n = Math.max(0, Math.ceil(from / step)); n * step <= from + long; n += 1) ticks.push(n * step);
  return [
    svg("image", { x: LEFT, y, width: WIDTH, height: HEIGHT, preserveAspectRatio: "none", href }),
    text({ x: LEFT, y: y - 8, class: "title" }, name),
    ...[0, TOP / 2, TOP].map((hertz) => text(
      { x: LEFT - 6, y: y + HEIGHT * (1 - hertz / TOP) + 5, "text-anchor": "end" }, `${hertz.toLocaleString("en")} Hz`,
    )),
    ...ticks.map((tick) => text(
      { x: LEFT + (WIDTH * (tick - from)) / long, y: y + HEIGHT + 18, "text-anchor": "middle" }, `${Number(tick.toFixed(1))} s`,
    )),
  ];
}

/** The question above the recording, at the same moments, and lines between the peaks that both have. */
function compared(id, match, query) {
  const { at, start: from, seconds: long, points } = match;
  const there = at + from;
  const [above, below] = [HEAD, HEAD + HEIGHT + BETWEEN];
  const drawing = svg("svg", { viewBox: `0 0 ${LEFT + WIDTH + RIGHT} ${below + HEIGHT + HEAD}`, role: "img", "aria-labelledby": "match-about" });
  const [lines, rings] = [[], []];
  const each = Math.ceil(points.length / LINES);
  points.forEach(([mine, theirs, hertz], number) => {
    const y = HEIGHT * (1 - hertz / TOP);
    const [x1, x2] = [(mine - from) / long, (theirs - there) / long].map((part) => LEFT + WIDTH * part);
    rings.push(svg("circle", { cx: x1, cy: above + y, r: 5 }), svg("circle", { cx: x2, cy: below + y, r: 5 }));
    if (number % each === 0) lines.push(svg("line", { x1, x2, y1: above + y, y2: below + y }));
  });
  const part = new URLSearchParams({ start: there, seconds: long });
  const mine = drawn(pictureOf(match, query), query.item?.payload.name ?? "Your sound", above, from, long);
  const theirs = drawn(`items/${id}/picture?${part}`, "This recording", below, there, long);
  const [images, words] = [[mine[0], theirs[0]], [...mine.slice(1), ...theirs.slice(1)]];
  drawing.append(...images, ...lines, ...rings, ...words);
  return { drawing, joined: lines.length };
}

/** Opens the comparison in the card that it belongs to. */
function showMatch(card, id, payload, match, query) {
  closeMatch();
  card.append($("match-card").content.cloneNode(true));
  const { drawing, joined } = compared(id, match, query);
  $("match-heading").textContent = `Why ${payload.name}`;
  $("match-about").textContent = `Above ${seconds(match.seconds)} of your sound from ${seconds(match.start)}, below the recording from ${seconds(match.at + match.start)}. `
    + `${match.votes} pairs of peaks agree on this shift in time, ${match.rest} on the next best. Orange rings are ${match.points.length} peaks that both have; lines join ${joined} of them.`;
  $("match-picture").append(drawing);
  $("match-close").addEventListener("click", () => { closeMatch(); card.querySelector(".why-this").focus(); });
  $("match").focus({ preventScroll: true });
  $("match").scrollIntoView({ block: "nearest" });
}

const closeMatch = () => $("match")?.remove();

// ----------------------------------------------------------------------------------- recording

let recorder = null;
let modeChosen = false; // by hand
$("mode").addEventListener("change", () => { modeChosen = true; });

const whyNot = ({ name }) => ({
  NotAllowedError: "The browser does not let this page use the microphone. Allow it, or open the page in a tab of its own, or choose a file.",
  NotFoundError: "No microphone was found. Connect one, or choose a file.",
}[name] ?? "The microphone cannot be used now. Close other programs that use it, or choose a file.");

async function microphone() {
  if (!navigator.mediaDevices) throw new Error("A browser lets a page record only on this machine or at an https:// address. Choose a file instead.");
  const plainly = { echoCancellation: false, noiseSuppression: false, autoGainControl: false }; // they are made for speech
  try {
    return await navigator.mediaDevices.getUserMedia({ audio: plainly });
  } catch (error) {
    throw new Error(whyNot(error));
  }
}

async function record() {
  const stream = await microphone();
  const about = $("record-state").textContent;
  const parts = [];
  const made = new MediaRecorder(stream);
  const begin = performance.now();
  const clock = setInterval(() => {
    const now = Math.floor((performance.now() - begin) / 1000);
    $("record-state").textContent = `${now} of ${LONGEST} s`;
    if (now >= LONGEST) made.stop();
  }, 250);
  made.addEventListener("dataavailable", ({ data }) => parts.push(data));
  made.addEventListener("stop", () => {
    clearInterval(clock);
    for (const track of stream.getTracks()) track.stop();
    recorder = null;
    $("record-verb").textContent = "Record a sound";
    $("record-state").textContent = about;
    if (!modeChosen) $("mode").value = "same"; // who records mostly asks: what is this?
    ask({ file: new File(parts, "Your recording", { type: made.mimeType }) });
  }, { once: true });
  made.start();
  recorder = made;
  $("record-verb").textContent = "Stop and search";
  tell(`Recording, for at most ${LONGEST} seconds.`);
}

$("record").addEventListener("click", async () => {
  if (recorder) return recorder.stop();
  $("record").disabled = true; // while the browser asks
  $("error").hidden = true;
  await record().catch((error) => fail(error));
  $("record").disabled = false;
  return $("record").focus();
});

// ------------------------------------------------------------------------------------ the list

const isSame = ({ item, file }) => Boolean((item || file) && chosen().mode === "same");

start({
  taken: "listened to",
  shows: "play",
  card,
  about: ({ category, seconds: long, tags }) => [category, seconds(long), ...tags],
  heading(query) {
    closeMatch();
    return isSame(query) ? "The same recording" : undefined;
  },
  told({ hits }, query, usual) {
    if (query.text && hits?.length && chosen().mode === "same") return `${usual}. Words find similar sounds: the same recording is found by a sound only.`;
    if (isSame(query)) {
      if (hits.length) return `${counted(hits.length)} with enough peaks at one shift in time.`;
      $("heading").textContent = "Not recognised";
      return "Nothing here is surely the same recording. To find what sounds like it, choose “similar sounds”.";
    }
    if (query.file && !hits.length) return "Nothing here sounds like it. If it may be one of these recordings with noise, choose “the same recording”.";
    return undefined;
  },
});
