// The page of the audio search: a card is a picture of a sound that can be played; a question may be recorded.
import { $, ask, chosen, counted, el, fail, start, tell } from "./service.js";

const LONGEST = 15; // seconds of a recording
const WIDTH = 800, HEIGHT = 200, BETWEEN = 60, TOP = 4000; // of the pictures of a match, and Hz at their upper end
const seconds = (value) => `${value.toFixed(1)} s`;

// ----------------------------------------------------------------------------------- playing

let playing = null;

function play(button, id, name, from) {
  const player = el("audio", { src: `items/${id}/media`, controls: true, "aria-label": name });
  player.addEventListener("loadedmetadata", () => { player.currentTime = from; }, { once: true });
  player.addEventListener("error", () => { tell("Your browser cannot play this sound."); player.remove(); button.hidden = false; });
  player.addEventListener("play", () => { if (playing !== player) playing?.pause(); playing = player; });
  button.after(player);
  player.play().catch(() => {}); // of what fails the error event tells
  player.focus();
}

function card(node, { id, payload, match }, query) {
  const from = match ? Math.max(0, match.at + match.start) : 0;
  const button = node.querySelector(".play");
  button.setAttribute("aria-label", `Play ${payload.name}${match ? ` from ${seconds(from)}` : ""}`);
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
  why.addEventListener("click", () => showMatch(id, payload, match, query));
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

/** The question above the recording, at the same moments, and lines between the peaks that both have. */
function showMatch(id, payload, match, query) {
  const { at, start: from, seconds: long, points, votes, rest } = match;
  const below = HEIGHT + BETWEEN;
  const there = at + from;
  const drawing = svg("svg", { viewBox: `0 0 ${WIDTH} ${below + HEIGHT}`, role: "img", "aria-labelledby": "match-about" });
  const place = { width: WIDTH, height: HEIGHT, preserveAspectRatio: "none" };
  drawing.append(
    svg("image", { ...place, href: pictureOf(match, query) }),
    svg("image", { ...place, y: below, href: `items/${id}/picture?${new URLSearchParams({ start: there, seconds: long })}` }),
  );
  for (const [mine, theirs, hertz] of points) {
    const y = HEIGHT * (1 - hertz / TOP);
    const [x1, x2] = [(WIDTH * (mine - from)) / long, (WIDTH * (theirs - there)) / long];
    drawing.append(
      svg("line", { x1, x2, y1: y, y2: y + below }),
      svg("circle", { cx: x1, cy: y, r: 5 }), svg("circle", { cx: x2, cy: y + below, r: 5 }),
    );
  }
  $("match-heading").textContent = `Why ${payload.name}`;
  $("match-about").textContent = `Above ${seconds(long)} of your sound from ${seconds(from)}, below the recording from ${seconds(there)}. `
    + `${votes} pairs of peaks agree on this shift in time, ${rest} on the next best. Orange lines join ${points.length} peaks that both have.`;
  $("match-picture").replaceChildren(drawing);
  $("match").hidden = false;
  $("match").focus();
  $("match").scrollIntoView({ block: "nearest" });
}

function closeMatch() {
  $("match").hidden = true;
  $("match-picture").replaceChildren();
}
$("match-close").addEventListener("click", () => { closeMatch(); $("results").focus(); });

// ----------------------------------------------------------------------------------- recording

let recorder = null;

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
  card,
  about: ({ category, seconds: long, tags }) => [category, seconds(long), ...tags],
  heading(query) {
    closeMatch();
    return isSame(query) ? "The same recording" : undefined;
  },
  told({ hits }, query) {
    if (!isSame(query)) return undefined;
    if (!hits.length) return "Nothing here is surely the same recording. To find what sounds like it, choose “how it sounds”.";
    return `${counted(hits.length)} with enough peaks at one shift in time.`;
  },
});
