// What the pages of all search services share. A system's page is two files:
//
//   NAME.html  {% extends "base.html" %}, {% set one, many, script = "film", "films", "NAME.js" %}, and the
//              blocks that differ: label and placeholder (how one asks), more_asking (further controls, as in
//              reverse_image_search.html), list ("grid" of pictures, or "texts"), card (what a card is made of),
//              card_buttons, sections (more on the page, above the list), empty, footer.
//              With an input #by-file in it one may search by a file; #choose opens it.
//              {% set mode_names = {"words": "the words"} %} gives the modes of the service names to show.
//   NAME.js    calls start({…}) once; every option may be left out:
//     card(node, hit, query)  fills a clone of #card; `hit` is {id, payload}, of a search also score and more.
//                             .name, .score, .find ("like this") and .delete are seen to already.
//                             textCard and pictureCard are ready-made
//     about(payload)          what is said of an item one searches by: a list of texts; empty ones are left out,
//                             long ones are cut
//     submit(text)            what asking does, if it is no search for the text: a promise. In a conversation:
//                             (text) => attempt(async (current) => { const answer = await postJson("ask", …);
//                             if (current()) … })
//     search(query, about)    how hits come: a promise of {hits, took_ms}; about = {limit, category, mode}
//     heading(query)          over the list, and told(answer, query, usual) below it: a text, or undefined for the usual
//     taken, shows            what is done with a file that is sent ("looked at"), and what a browser does with one ("show")
//     picture(item)           the address of the picture of an item one searches by, if that is not what is kept for it
//     hits                    how many a search asks for (24)
//
// A conversation has a place for its turns in the block sections:
//   <div role="log" aria-label="Questions and answers"><ol id="thread" class="thread"></ol></div>
// and `turn(question)` gives the element that the answer goes into; `source({…})` shows what an answer stands on.
//
// `ask(query)` shows something else: {} all items, or a search by {text}, by {item: {id, payload}}, by {file}, by
// {items: […], unlike: […]}. `show()` asks again. Everything is done through the service's own API, at relative
// addresses, so that it works at / and behind …/proxy/PORT/ alike. What comes from outside is shown as text: build
// with `el`, never with innerHTML.

const PAGE_SIZE = 60;
const POLL_MS = 500;
const LOOKING = "Looking …";
const REFUSED = [413, 415, 422]; // what was sent cannot be used, however often one tries
const SNIPPET = 320; // characters of a text that a card shows at first

export const $ = (id) => document.getElementById(id);
export const { one, many } = document.body.dataset; // what an item is called

let page = {}; // the system's own part, as given to start()
let query = {}; // what is shown
let limits = { max_files: Infinity, max_file_bytes: Infinity }; // until the service has told its own
let askedUrl = null;

// ------------------------------------------------------------------------------- the service

/** The JSON that a call answers. Throws an Error with the reason, in the service's own words. */
export async function call(path, options = {}) {
  let response;
  try {
    response = await fetch(path, options);
  } catch {
    throw new Error("The service does not answer. Is it still running?");
  }
  if (response.ok) return response.status === 204 ? null : response.json();
  const problem = await response.json().catch(() => ({}));
  const error = new Error(problem.detail ?? `The service answered ${response.status}.`);
  error.refused = REFUSED.includes(response.status);
  throw error;
}

const inJson = (body) => ({
  method: "POST",
  headers: { "Content-Type": "application/json" },
  body: JSON.stringify(body),
});

export const postJson = (path, body) => call(path, inJson(body));

/** [[name, value], …] as the body of a form; a value may be a file. */
export function formData(entries) {
  const data = new FormData();
  for (const [name, value] of entries) data.append(name, value);
  return data;
}

// ------------------------------------------------------------------------------ what is said

const plural = (count, single, several) => (count === 1 ? `1 ${single}` : `${count.toLocaleString("en")} ${several}`);

/** "1 photo", "1,200 photos". */
export const counted = (count) => plural(count, one, many);

export const capital = (text) => text[0].toUpperCase() + text.slice(1);

/** One line below the heading; a screen reader says it. */
export function tell(text) { $("told").textContent = text; }

/** An error in words, and a button to try again if there is a way to. */
export function fail(error, retry) {
  $("error-text").textContent = error.message;
  $("error").hidden = false;
  $("retry").hidden = !retry;
  $("retry").onclick = () => { $("error").hidden = true; retry(); };
}

/** Makes an `attempt(work)`: says that it is busy, runs `work(current)`, tells what fails and offers to try again.
 *  The newest attempt wins: of an earlier one `current()` is false, and it should show nothing any more. */
export function attempts(busy) {
  let newest = 0;
  return async function attempt(work, { failed = () => {} } = {}) {
    const request = ++newest;
    const current = () => request === newest;
    busy.setAttribute("aria-busy", "true");
    tell(LOOKING);
    $("error").hidden = true;
    try {
      await work(current);
    } catch (error) {
      if (!current()) return;
      tell("");
      failed(error);
      fail(error, error.refused ? undefined : () => attempt(work, { failed }));
    } finally {
      if (current()) {
        busy.removeAttribute("aria-busy");
        if ($("told").textContent === LOOKING) tell("");
      }
    }
  };
}

/** An attempt at something else than the list, such as an answer. */
export const attempt = attempts(document.querySelector("main"));
const attemptList = attempts($("items"));

/** An element: el("a", {href, class: "source"}, "text", otherElement, …). */
export function el(tag, attributes = {}, ...children) {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (value !== undefined && value !== null && value !== false) made.setAttribute(name, value === true ? "" : value);
  }
  made.append(...children);
  return made;
}

/** The text as nodes, with what lies in the spans [[start, end], …] in <mark>.
 *  Offsets count characters as Python does: an emoji is one. Spans may overlap and come in any order. */
export function litText(text, spans = []) {
  const letters = Array.from(text);
  const nodes = document.createDocumentFragment();
  let at = 0;
  for (const [start, end] of [...spans].sort(([a], [b]) => a - b)) {
    const from = Math.max(at, start);
    const to = Math.min(end, letters.length);
    if (to <= from) continue;
    if (from > at) nodes.append(letters.slice(at, from).join(""));
    nodes.append(el("mark", {}, letters.slice(from, to).join("")));
    at = to;
  }
  nodes.append(letters.slice(at).join(""));
  return nodes;
}

/** The part of a text that a card shows at first: about `length` characters around its first span.
 *  Returns {text, spans, cut}; in it spans still lie where they should. */
export function snippet(text, spans = [], length = SNIPPET) {
  const letters = Array.from(text);
  if (letters.length <= length) return { text, spans, cut: false };
  const first = spans.length ? Math.min(...spans.map(([start]) => start)) : 0;
  let from = Math.max(0, Math.min(first - Math.floor(length / 4), letters.length - length));
  if (from > 0) { // from the beginning of a word
    const space = letters.indexOf(" ", from);
    if (space >= 0 && space < from + 20 && space < first) from = space + 1;
  }
  const to = Math.min(letters.length, from + length);
  const before = from > 0 ? "… " : "";
  const moved = before.length - from;
  return {
    text: before + letters.slice(from, to).join("") + (to < letters.length ? " …" : ""),
    spans: spans.filter(([start, end]) => end > from && start < to)
      .map(([start, end]) => [Math.max(start, from) + moved, Math.min(end, to) + moved]),
    cut: true,
  };
}

// ---------------------------------------------------------------------------------- the cards

/** For start({card}): a picture, with the name below it. */
export function pictureCard(node, { id, payload }) {
  const image = node.querySelector("img");
  image.addEventListener("error", () => { image.hidden = true; }); // the name below it stays
  image.src = `items/${id}/media`;
  image.alt = payload.name;
}

/** For start({card}): a title, what is known of the text, the text with `spans` lit, and beside it why it was found.
 *  about  a list of texts, instead of the category
 *  spans  [[start, end], …] in payload.text
 *  why    [[label, value], …]: a value is a text, a node, or a number from 0 to 1, which gets a bar; one that is
 *         undefined is left out */
export function textCard(node, { score, payload }, { text = payload.text, about, spans = [], why = [] } = {}) {
  const known = [...(about ?? [payload.category]), score !== undefined && `score ${score.toFixed(2)}`];
  node.querySelector(".about").textContent = known.filter(Boolean).join(" · ");
  const shown = node.querySelector(".snippet");
  const whole = node.querySelector(".whole");
  const part = snippet(text ?? "", spans);
  const draw = (all) => {
    shown.replaceChildren(all ? litText(text, spans) : litText(part.text, part.spans));
    whole.textContent = all ? "Show less" : "Show all of it";
    whole.setAttribute("aria-expanded", all);
  };
  draw(false);
  whole.hidden = !part.cut;
  whole.addEventListener("click", () => draw(whole.getAttribute("aria-expanded") !== "true"));
  const reasons = node.querySelector(".why");
  const said = why.filter(([, value]) => value !== undefined && value !== null);
  reasons.hidden = !said.length;
  reasons.replaceChildren(...said.flatMap(([label, value]) => [
    el("dt", {}, label), el("dd", {}, ...(typeof value === "number" ? [bar(value), value.toFixed(2)] : [value])),
  ]));
}

/** One more question at the end of #thread; gives the element for its answer, which should be filled in one go. */
export function turn(question) {
  const answer = el("div", { class: "answer" });
  $("thread").append(el("li", { class: "turn" }, el("p", { class: "question" }, question), answer));
  return answer;
}

/** A source: its name, a link to it if there is one, and the text around what is lit. */
export function source({ name, text, spans = [], href, about = "" }) {
  const part = snippet(text, spans);
  const title = href ? el("a", { href, target: "_blank", rel: "noopener" }, name) : name;
  return el("figure", { class: "source" },
    el("figcaption", {}, title, ...(about ? [el("span", { class: "quiet" }, about)] : [])),
    el("blockquote", {}, litText(part.text, part.spans)));
}

/** A bar that is full at 1. */
export function bar(value) {
  const full = el("span");
  full.style.width = `${Math.max(0, Math.min(1, value)) * 100}%`;
  return el("span", { class: "bar", "aria-hidden": "true" }, full);
}

function makeCard(hit) {
  const { id, score, payload } = hit;
  const node = $("card").content.cloneNode(true).firstElementChild;
  node.dataset.id = id;
  const find = node.querySelector(".find");
  const name = node.querySelector(".name");
  if (name) name.textContent = payload.name;
  if (find) {
    find.title = payload.category;
    find.setAttribute("aria-label", `Find ${many} like ${payload.name}`);
    find.addEventListener("click", () => ask({ item: { id, payload } }));
  }
  const shown = node.querySelector(".score");
  if (shown && score !== undefined) {
    shown.hidden = false;
    shown.querySelector(".number").textContent = score.toFixed(2);
    shown.querySelector(".bar")?.replaceWith(bar(score));
    find?.setAttribute("aria-label", `${payload.name}, score ${score.toFixed(2)}. Find ${many} like it`);
  }
  const remove = node.querySelector(".delete");
  if (remove) askTwice(remove, payload.name, () => erase(node, id, payload));
  page.card?.(node, hit, query);
  return node;
}

// Asked twice in the card itself: a browser shows no confirm() in a frame of another origin.
function askTwice(button, name, action) {
  const calm = () => {
    button.classList.remove("sure");
    button.setAttribute("aria-label", `Delete ${name}`);
  };
  calm();
  button.title = "Delete";
  button.addEventListener("click", () => {
    if (button.classList.contains("sure")) return action();
    button.classList.add("sure");
    button.setAttribute("aria-label", `Really delete ${name}`);
  });
  button.addEventListener("blur", calm);
  button.addEventListener("keydown", (event) => { if (event.key === "Escape") calm(); });
}

async function erase(node, id, payload) {
  node.classList.add("going");
  try {
    await call(`items/${id}`, { method: "DELETE" });
    const next = node.nextElementSibling ?? node.previousElementSibling;
    node.remove();
    (next?.querySelector(".find") ?? $("results")).focus();
    await count(); // it may show another list, of which it tells
    tell(`${payload.name} is deleted.`);
  } catch (error) {
    node.classList.remove("going");
    fail(error);
  }
}

// ----------------------------------------------------------------------------------- the list

const isSearch = ({ text, item, items, file }) => Boolean(text || item || items?.length || file);

/** What a search is told besides what it looks for: {limit, category, mode}. */
export function chosen() {
  const category = $("category").value;
  const mode = $("mode")?.value;
  return { limit: page.hits ?? 24, ...(category && { category }), ...(mode && { mode }) };
}

/** How hits come, unless a system says otherwise: start({search}) may call it for what it does not do itself. */
export function search({ text, item, items, unlike = [], file }, about) {
  if (text) return postJson("search", { text, ...about });
  if (item) return postJson("search", { item_id: item.id, ...about });
  if (file) return call("search/file", { method: "POST", body: formData([["file", file], ...Object.entries(about)]) });
  return postJson("search", { items: items.map(({ id }) => id), unlike: unlike.map(({ id }) => id), ...about });
}

function fetchItems(offset = 0) {
  if (isSearch(query)) return (page.search ?? search)(query, chosen());
  const { category } = chosen();
  return call(`items?${new URLSearchParams({ limit: PAGE_SIZE, offset, ...(category && { category }) })}`);
}

/** Asks again for what is shown now. */
export function show() {
  showQuery();
  return attemptList(async (current) => {
    const answer = await fetchItems();
    if (!current()) return;
    const found = answer.hits ?? answer.items;
    $("items").replaceChildren(...found.map(makeCard));
    $("more").hidden = answer.hits !== undefined || found.length >= answer.total;
    const said = usual(answer, found);
    tell(page.told?.(answer, query, said) ?? said);
    await count();
  }, {
    failed: ({ refused }) => {
      $("items").replaceChildren();
      $("more").hidden = true;
      if (refused && query.file) $("heading").hidden = $("keep").hidden = true; // nothing was searched, nor can be kept
    },
  });
}

function usual({ hits, total, took_ms: took }, found) {
  if (hits === undefined) return total ? `${counted(total)}. Choose one to find others like it.` : "";
  if (found.length) {
    const ms = Object.values(took ?? {}).reduce((sum, part) => sum + part, 0);
    return `The ${counted(found.length)} that fit best${took ? `, found in ${Math.max(1, Math.round(ms))} ms` : ""}`;
  }
  if ($("category").value) return `No ${one} of this category. Choose another one, or all.`;
  return limits.count ? `No ${one} fits. Try other words.` : `No ${many} to search yet.`;
}

function showQuery() {
  const { text, item, file } = query;
  $("heading").textContent = page.heading?.(query) ?? (
    text ? `${capital(many)} for “${text}”`
      : item || file ? `${capital(many)} like this one`
        : isSearch(query) ? `${capital(many)} like these` : `All ${many}`);
  $("heading").hidden = false;
  $("back").hidden = !isSearch(query);
  $("asked").hidden = !(item || file);
  $("keep").hidden = !file;
  if (askedUrl) URL.revokeObjectURL(askedUrl);
  askedUrl = file ? URL.createObjectURL(file) : null;
  const picture = $("asked-picture");
  if (picture) {
    picture.hidden = false;
    if (item || file) picture.src = askedUrl ?? page.picture?.(item) ?? `items/${item.id}/media`;
    picture.alt = `The ${one} that you search by`;
  }
  $("asked-name").textContent = item ? item.payload.name : file ? file.name : "";
  const about = page.about ?? (({ category, text }) => [category, text]);
  $("asked-about").textContent = item
    ? about(item.payload).filter(Boolean).map((text) => snippet(text).text).join(" · ") : `Your ${one}. ${notKept()}`;
  if (!text) $("text").value = "";
}

const notKept = () => `It is ${page.taken ?? "looked at"} and not kept.`;

/** Shows something else: all items ({}), or what a search finds. */
export function ask(next) {
  query = next;
  show();
  if (isSearch(next) && !next.text) {
    window.scrollTo({ top: 0 });
    $("results").focus({ preventScroll: true });
  }
}

async function showMore() {
  $("more").disabled = true;
  try {
    const shown = $("items").children.length;
    const answer = await fetchItems(shown);
    const cards = answer.items.map(makeCard);
    $("items").append(...cards);
    $("more").hidden = shown + cards.length >= answer.total;
    cards[0]?.querySelector(".find")?.focus({ preventScroll: true });
  } catch (error) {
    fail(error, showMore);
  } finally {
    $("more").disabled = false;
  }
}

async function count() {
  const [health, { categories }] = await Promise.all([call("health"), call("categories")]);
  limits = health;
  $("count").textContent = health.count ? counted(health.count) : "";
  const empty = health.count === 0;
  $("empty").hidden = !empty || !$("job").hidden;
  $("results").querySelector(":scope > .row").hidden = empty;
  const select = $("category");
  const before = select.value;
  const options = categories.map(({ name, count }) => new Option(`${name} (${count})`, name));
  select.replaceChildren(new Option("all", ""), ...options);
  select.value = before;
  $("write-categories")?.replaceChildren(...categories.map(({ name }) => new Option(name)));
  if (select.selectedIndex < 0) { // its last item is gone
    select.value = "";
    await show();
  }
}

// ------------------------------------------------------------------------------------ loading

function tooLarge(files) {
  const large = files.filter((file) => file.size > limits.max_file_bytes);
  return large.length ? `${limits.max_file_bytes / 2 ** 20} MB: ${large.map(({ name }) => name).join(", ")}` : "";
}

async function add(files, category) {
  files = [...files];
  if (!files.length) return;
  if (files.length > limits.max_files) {
    const what = $("write") ? plural(files.length, "file", "files") : counted(files.length);
    return fail(new Error(`These are ${what}. Add at most ${limits.max_files} at once.`));
  }
  if (tooLarge(files)) return fail(new Error(`Larger than ${tooLarge(files)}. Nothing was added.`));
  const body = formData([...files.map((file) => ["files", file]), ...(category ? [["category", category]] : [])]);
  await load("items", { method: "POST", body });
}

// A browser may keep storage from a page in a frame of another site: then it is done without.
// Services behind one proxy share their storage: the address of the page tells them apart.
const JOB = `job of ${new URL(".", document.baseURI).pathname}`;
function remembered(use) {
  try {
    return use(sessionStorage);
  } catch {
    return null;
  }
}

/** Starts a load by a call that answers 202, and follows it. Gives whether it was taken. */
export async function load(path, options) {
  $("error").hidden = true;
  try {
    const { job_id: id, accepted } = await call(path, options);
    remembered((storage) => storage.setItem(JOB, id));
    progress({ id, state: "queued", done: 0, items: 0, total: accepted, failed: [] });
    follow(id);
    return true;
  } catch (error) {
    fail(error, () => load(path, options));
    return false;
  }
}

function progress(job) {
  const files = job.failed.filter(({ row }) => !row); // that failed whole; of the others only rows are missing
  const rows = job.failed.length - files.length;
  const taken = job.done + files.length;
  $("job").hidden = false;
  $("empty").hidden = true;
  $("job-bar").max = job.total;
  $("job-bar").value = taken;
  if (job.total === 1) $("job-bar").removeAttribute("value"); // one file of many: nobody knows how far it is
  $("job-bar").hidden = Boolean(job.finished_at);
  $("cancel").textContent = job.finished_at ? "Close" : "Stop";
  $("cancel").onclick = job.finished_at
    ? () => { $("job").hidden = true; count().catch(fail); }
    : () => call(`jobs/${job.id}`, { method: "DELETE" }).catch(fail);
  const parts = job.items === job.done ? "" : ` parts, ${counted(job.items)} so far`;
  const now = {
    queued: $("write") ? "Waiting for its turn" : `${counted(job.total)} wait for their turn`,
    running: `Loading ${many}: ${taken} of ${job.total}${parts}`,
    done: `${counted(job.items)} loaded`,
    failed: "Nothing was loaded",
    interrupted: `Stopped after ${taken} of ${job.total}${parts}. What is in stays in.`,
  };
  $("job-text").textContent = now[job.state];
  $("job-failed").hidden = !job.failed.length;
  const lost = [files.length && counted(files.length), rows && plural(rows, "row", "rows")].filter(Boolean);
  $("job-failed").querySelector("summary").textContent = `${lost.join(" and ")} could not be loaded`;
  const twice = (name) => new Set(job.failed.filter((other) => other.name === name).map(({ number }) => number)).size > 1;
  $("job-failed").querySelector("ul").replaceChildren(...job.failed.map(({ name, reason, number, row }) => {
    const which = twice(name) ? `File ${number}: ` : "";
    if (row) return el("li", {}, `${which}${name}, row ${row}: ${reason}`);
    return el("li", {}, which + (reason.includes(name) ? reason : `${name}: ${reason}`));
  }));
}

async function follow(id) {
  let seen = -1;
  const changed = async (job) => {
    progress(job);
    // A look at what has come in: at the start, now and then, and at the end.
    if (!isSearch(query) && (job.finished_at || job.items >= seen + PAGE_SIZE)) {
      seen = job.items;
      await show();
    }
    if (job.finished_at) {
      tell($("job-text").textContent);
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
      changed(job).catch(fail);
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
  // What it is its content says, to the service: a type is only a guess from its name.
  if (tooLarge([file])) return fail(new Error(`${file.name} is larger than ${limits.max_file_bytes / 2 ** 20} MB.`));
  ask({ file });
}

function write(text = "") {
  if (!$("write").open) $("write").showModal();
  if (text) $("write-text").value = text;
  $("write-text").focus();
}

async function addWritten() {
  const item = {
    text: $("write-text").value,
    ...($("write-name").value.trim() && { name: $("write-name").value.trim() }),
    ...($("write-category").value.trim() && { category: $("write-category").value.trim() }),
  };
  $("write").close();
  const taken = await load("items", inJson({ items: [item] }));
  if (taken) for (const id of ["write-text", "write-name"]) $(id).value = ""; // what was written is not lost
}

const chosenFile = (input, use) => input.addEventListener("change", () => {
  if (input.files.length) use([...input.files]);
  input.value = "";
});

function controls() {
  $("search").addEventListener("submit", (event) => {
    event.preventDefault();
    const text = $("text").value.trim();
    if (page.submit) page.submit(text);
    else ask(text ? { text } : {});
  });
  const byFile = $("by-file");
  $("choose")?.addEventListener("click", () => byFile.click());
  if (byFile) chosenFile(byFile, ([file]) => searchBy(file));
  for (const id of ["add", "add-first"]) {
    $(id).addEventListener("click", () => ($("write") ? write() : $("add-files").click()));
  }
  chosenFile($("add-files"), (files) => {
    const category = $("write")?.open ? $("write-category").value.trim() : "";
    $("write")?.close();
    add(files, category);
  });
  if ($("write")) {
    $("write").querySelector("form").addEventListener("submit", (event) => {
      event.preventDefault();
      addWritten();
    });
    $("write-close").addEventListener("click", () => $("write").close());
    $("write-files").addEventListener("click", () => $("add-files").click());
  }
  $("keep").addEventListener("click", () => { $("keep").hidden = true; add([query.file]); });
  $("samples").addEventListener("click", () => load("samples", { method: "POST" }));
  $("back").addEventListener("click", () => { ask({}); $("text").focus(); });
  $("category").addEventListener("change", show);
  $("mode")?.addEventListener("change", () => { if (isSearch(query)) show(); });
  $("more").addEventListener("click", showMore);
  // A service reads more kinds of pictures than a browser shows, such as TIFF: then the name stands alone.
  $("asked-picture")?.addEventListener("error", () => {
    $("asked-picture").hidden = true;
    if (query.file) $("asked-about").textContent = `Your browser cannot ${page.shows ?? "show"} this file. ${notKept()}`;
  });

  const take = (files) => (byFile && files.length === 1 ? searchBy(files[0]) : add(files));
  document.addEventListener("paste", (event) => {
    const [file] = event.clipboardData.files;
    const text = event.clipboardData.getData("text/plain");
    if (file) take([file]);
    else if (text && $("write") && !event.target.closest?.("input, textarea")) write(text);
    else return;
    event.preventDefault();
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
    take([...event.dataTransfer.files]);
  });
}

/** Brings the page to life; the options are described at the top of this file. */
export async function start(options = {}) {
  page = options;
  controls();
  await show();
  const running = remembered((storage) => storage.getItem(JOB));
  if (!running) return;
  // The page was loaded again, perhaps in the middle of a load.
  const job = await call(`jobs/${running}`).catch(() => null);
  if (job && !job.finished_at) follow(job.id);
}
