// The page of the reverse image search: everything it does, it does through the service's own API.
// All addresses are relative, so that it works at / and behind …/proxy/PORT/ alike.

const PAGE_SIZE = 60;
const HITS = 24;
const POLL_MS = 500;

const $ = (id) => document.getElementById(id);

// What is shown: {} is all photos, {text}, {item: {id, payload}} and {file} are searches.
let query = {};
let limits = { max_files: Infinity, max_file_bytes: Infinity }; // until the service has told its own
let newest = 0; // number of the last request for photos: answers to earlier ones come too late
let askedUrl = null;

// ------------------------------------------------------------------------------- the service

async function call(path, options = {}) {
  let response;
  try {
    response = await fetch(path, options);
  } catch {
    throw new Error("The service does not answer. Is it still running?");
  }
  if (response.ok) return response.status === 204 ? null : response.json();
  const problem = await response.json().catch(() => ({}));
  throw new Error(problem.detail ?? `The service answered ${response.status}.`);
}

const postJson = (path, body) => call(path, {
  method: "POST",
  headers: { "Content-Type": "application/json" },
  body: JSON.stringify(body),
});

function form(entries) {
  const data = new FormData();
  for (const [name, value] of entries) data.append(name, value);
  return data;
}

// ---------------------------------------------------------------------------------- the photos

const photos = (count) => (count === 1 ? "1 photo" : `${count.toLocaleString("en")} photos`);

function fail(error, retry) {
  $("error-text").textContent = error.message;
  $("error").hidden = false;
  $("retry").hidden = !retry;
  $("retry").onclick = () => { $("error").hidden = true; retry(); };
}

function card({ id, score, payload }) {
  const item = $("card").content.cloneNode(true).firstElementChild;
  const [find, remove] = item.querySelectorAll("button");
  const image = item.querySelector("img");
  image.addEventListener("error", () => { image.hidden = true; }); // the name below it stays
  image.src = `items/${id}/media`;
  image.alt = payload.name;
  item.querySelector(".name").textContent = payload.name;
  find.title = payload.category;
  find.setAttribute("aria-label", `Find photos like ${payload.name}`);
  if (score !== undefined) {
    item.querySelector(".score").hidden = false;
    item.querySelector(".number").textContent = score.toFixed(2);
    item.querySelector(".bar span").style.width = `${Math.max(0, Math.min(1, score)) * 100}%`;
    find.setAttribute("aria-label", `${payload.name}, score ${score.toFixed(2)}. Find photos like it`);
  }
  find.addEventListener("click", () => ask({ item: { id, payload } }));
  const calm = () => {
    remove.classList.remove("sure");
    remove.setAttribute("aria-label", `Delete ${payload.name}`);
  };
  calm();
  remove.title = "Delete";
  // Asked twice in the card itself: a browser shows no confirm() in a frame of another origin.
  remove.addEventListener("click", () => {
    if (remove.classList.contains("sure")) return erase(item, id, payload);
    remove.classList.add("sure");
    remove.setAttribute("aria-label", `Really delete ${payload.name}`);
  });
  remove.addEventListener("blur", calm);
  remove.addEventListener("keydown", (event) => { if (event.key === "Escape") calm(); });
  return item;
}

async function fetchPhotos(offset = 0) {
  const category = $("category").value;
  const limited = { limit: HITS, ...(category && { category }) };
  if (query.text) return postJson("search", { text: query.text, ...limited });
  if (query.item) return postJson("search", { item_id: query.item.id, ...limited });
  if (query.file) {
    const body = form([["file", query.file], ...Object.entries(limited)]);
    return call("search/file", { method: "POST", body });
  }
  const parameters = new URLSearchParams({ limit: PAGE_SIZE, offset, ...(category && { category }) });
  return call(`items?${parameters}`);
}

async function show() {
  const request = ++newest;
  $("photos").setAttribute("aria-busy", "true");
  $("told").textContent = "Looking …";
  $("error").hidden = true;
  showQuery();
  try {
    const answer = await fetchPhotos();
    if (request !== newest) return;
    const found = answer.hits ?? answer.items;
    $("photos").replaceChildren(...found.map(card));
    $("more").hidden = answer.hits !== undefined || found.length >= answer.total;
    tell(answer, found);
    await count();
  } catch (error) {
    if (request !== newest) return;
    $("photos").replaceChildren();
    $("more").hidden = true;
    $("told").textContent = "";
    fail(error, show);
  } finally {
    if (request === newest) $("photos").removeAttribute("aria-busy");
  }
}

function tell(answer, found) {
  if (answer.hits === undefined) {
    $("told").textContent = answer.total ? `${photos(answer.total)}. Choose one to find others like it.` : "";
  } else if (found.length) {
    const { encode, search } = answer.took_ms;
    $("told").textContent = `The ${photos(found.length)} that fit best, found in ${Math.max(1, Math.round(encode + search))} ms`;
  } else {
    $("told").textContent = $("category").value
      ? "No photo of this category. Choose another one, or all." : "No photos to search yet.";
  }
}

function showQuery() {
  const { text, item, file } = query;
  $("heading").textContent = text ? `Photos for “${text}”` : item || file ? "Photos like this one" : "All photos";
  $("back").hidden = !(text || item || file);
  $("asked").hidden = !(item || file);
  $("keep").hidden = !file;
  if (askedUrl) URL.revokeObjectURL(askedUrl);
  askedUrl = file ? URL.createObjectURL(file) : null;
  $("asked-photo").hidden = false;
  if (item || file) $("asked-photo").src = askedUrl ?? `items/${item.id}/media`;
  $("asked-photo").alt = "The photo that you search by";
  $("asked-name").textContent = item ? item.payload.name : file ? file.name : "";
  $("asked-about").textContent = item
    ? [item.payload.category, item.payload.credit, item.payload.licence].filter(Boolean).join(" · ")
    : "Your photo. It is looked at and not kept.";
  if (!text) $("text").value = "";
}

// A service reads more kinds of pictures than a browser shows, such as TIFF: then the name stands alone.
$("asked-photo").addEventListener("error", () => {
  $("asked-photo").hidden = true;
  if (query.file) $("asked-about").textContent = "Your browser cannot show this file. It is looked at and not kept.";
});

function ask(next) {
  query = next;
  show();
  if (next.item || next.file) {
    window.scrollTo({ top: 0 });
    $("results").focus({ preventScroll: true });
  }
}

async function showMore() {
  $("more").disabled = true;
  try {
    const shown = $("photos").children.length;
    const answer = await fetchPhotos(shown);
    const cards = answer.items.map(card);
    $("photos").append(...cards);
    $("more").hidden = shown + cards.length >= answer.total;
    cards[0]?.querySelector(".find").focus({ preventScroll: true });
  } catch (error) {
    fail(error, showMore);
  } finally {
    $("more").disabled = false;
  }
}

async function erase(item, id, payload) {
  item.classList.add("going");
  try {
    await call(`items/${id}`, { method: "DELETE" });
    const next = item.nextElementSibling ?? item.previousElementSibling;
    item.remove();
    (next?.querySelector(".find") ?? $("results")).focus();
    $("told").textContent = `${payload.name} is deleted.`;
    await count();
  } catch (error) {
    item.classList.remove("going");
    fail(error);
  }
}

async function count() {
  const [health, { categories }] = await Promise.all([call("health"), call("categories")]);
  limits = health;
  $("count").textContent = health.count ? photos(health.count) : "";
  const empty = health.count === 0;
  $("empty").hidden = !empty || !$("job").hidden;
  $("results").querySelector(".row").hidden = empty;
  const select = $("category");
  const chosen = select.value;
  const options = categories.map(({ name, count }) => new Option(`${name} (${count})`, name));
  select.replaceChildren(new Option("all", ""), ...options);
  select.value = chosen;
  if (select.selectedIndex < 0) { // its last photo is gone
    select.value = "";
    await show();
  }
}

// ------------------------------------------------------------------------------------ loading

async function add(files) {
  files = [...files];
  if (!files.length) return;
  const large = files.filter((file) => file.size > limits.max_file_bytes);
  if (files.length > limits.max_files) {
    return fail(new Error(`These are ${files.length} photos. Add at most ${limits.max_files} at once.`));
  }
  if (large.length) {
    const names = large.map((file) => file.name).join(", ");
    return fail(new Error(`Larger than ${limits.max_file_bytes / 2 ** 20} MB: ${names}. Nothing was added.`));
  }
  await load("items", { method: "POST", body: form(files.map((file) => ["files", file])) });
}

// A browser may keep storage from a page in a frame of another site: then it is done without.
function remembered(use) {
  try {
    return use(sessionStorage);
  } catch {
    return null;
  }
}

async function load(path, options) {
  $("error").hidden = true;
  try {
    const { job_id: id, accepted } = await call(path, options);
    remembered((storage) => storage.setItem("job", id));
    progress({ id, state: "queued", done: 0, total: accepted, failed: [] });
    follow(id);
  } catch (error) {
    fail(error, () => load(path, options));
  }
}

function progress(job) {
  const taken = job.done + job.failed.length;
  $("job").hidden = false;
  $("empty").hidden = true;
  $("job-bar").max = job.total;
  $("job-bar").value = taken;
  $("job-bar").hidden = Boolean(job.finished_at);
  $("cancel").textContent = job.finished_at ? "Close" : "Stop";
  $("cancel").onclick = job.finished_at
    ? () => { $("job").hidden = true; count(); }
    : () => call(`jobs/${job.id}`, { method: "DELETE" }).catch(fail);
  const now = {
    queued: `${photos(job.total)} wait for their turn`,
    running: `Loading photos: ${taken} of ${job.total}`,
    done: `${photos(job.done)} loaded`,
    failed: "Nothing was loaded",
    interrupted: `Stopped after ${taken} of ${job.total}. What is in stays in.`,
  };
  $("job-text").textContent = now[job.state];
  $("job-failed").hidden = !job.failed.length;
  $("job-failed").querySelector("summary").textContent = `${photos(job.failed.length)} could not be loaded`;
  const names = job.failed.map(({ name }) => name);
  $("job-failed").querySelector("ul").replaceChildren(...job.failed.map(({ name, reason, number }) => {
    const line = document.createElement("li");
    const which = names.filter((other) => other === name).length > 1 ? `File ${number}: ` : "";
    line.textContent = which + (reason.includes(name) ? reason : `${name}: ${reason}`);
    return line;
  }));
}

async function follow(id) {
  let seen = -1;
  const changed = async (job) => {
    progress(job);
    // A look at what has come in: at the start, now and then, and at the end.
    if (!query.text && !query.item && !query.file && (job.finished_at || job.done >= seen + 60)) {
      seen = job.done;
      await show();
    }
    if (job.finished_at) {
      $("told").textContent = $("job-text").textContent;
      await count();
      if (!job.failed.length) setTimeout(() => { if ($("cancel").textContent === "Close") $("job").hidden = true; }, 4000);
    }
  };
  try {
    if (!(await listen(id, changed))) await poll(id, changed);
  } catch (error) {
    fail(error, () => follow(id));
  }
}

function listen(id, changed) {
  return new Promise((resolve) => {
    const url = new URL(`jobs/${id}/events`, document.baseURI);
    url.protocol = url.protocol.replace("http", "ws");
    let finished = false;
    let socket;
    try {
      socket = new WebSocket(url);
    } catch {
      return resolve(false);
    }
    socket.onmessage = ({ data }) => {
      const job = JSON.parse(data);
      finished = Boolean(job.finished_at);
      changed(job);
    };
    socket.onclose = () => resolve(finished); // a proxy without WebSockets: then we ask
  });
}

async function poll(id, changed) {
  for (;;) {
    const job = await call(`jobs/${id}`);
    await changed(job);
    if (job.finished_at) return;
    await new Promise((resolve) => setTimeout(resolve, POLL_MS));
  }
}

// -------------------------------------------------------------------------------- the controls

function searchBy(file) {
  // Whether it is a photo its content says, to the service: a type is only a guess from its name.
  if (file.size > limits.max_file_bytes) {
    return fail(new Error(`${file.name} is larger than ${limits.max_file_bytes / 2 ** 20} MB.`));
  }
  ask({ file });
}

$("search").addEventListener("submit", (event) => {
  event.preventDefault();
  const text = $("text").value.trim();
  ask(text ? { text } : {});
});
$("choose").addEventListener("click", () => $("photo").click());
$("photo").addEventListener("change", (event) => {
  if (event.target.files[0]) searchBy(event.target.files[0]);
  event.target.value = "";
});
for (const id of ["add", "add-first"]) $(id).addEventListener("click", () => $("add-files").click());
$("add-files").addEventListener("change", (event) => {
  add(event.target.files);
  event.target.value = "";
});
$("keep").addEventListener("click", () => { $("keep").hidden = true; add([query.file]); });
$("samples").addEventListener("click", () => load("samples", { method: "POST" }));
$("back").addEventListener("click", () => { ask({}); $("text").focus(); });
$("category").addEventListener("change", show);
$("more").addEventListener("click", showMore);

document.addEventListener("paste", (event) => {
  const file = event.clipboardData.files[0];
  if (file) { event.preventDefault(); searchBy(file); }
});
const carriesFiles = (event) => event.dataTransfer?.types.includes("Files");
document.addEventListener("dragover", (event) => {
  if (!carriesFiles(event)) return;
  event.preventDefault();
  $("cover").hidden = false;
});
document.addEventListener("dragleave", (event) => { if (!event.relatedTarget) $("cover").hidden = true; });
document.addEventListener("drop", (event) => {
  if (!carriesFiles(event)) return;
  event.preventDefault();
  $("cover").hidden = true;
  const { files } = event.dataTransfer;
  if (files.length === 1) searchBy(files[0]);
  else add(files);
});

await show();
const running = remembered((storage) => storage.getItem("job"));
if (running) { // the page was loaded again, perhaps in the middle of a load
  call(`jobs/${running}`).then((job) => { if (!job.finished_at) follow(job.id); }).catch(() => {});
}
