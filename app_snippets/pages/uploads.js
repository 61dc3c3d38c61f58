// Send the files, then watch the job through its WebSocket. Every address is relative, so that the
// page works behind Jupyter's proxy too.
const $ = (id) => document.getElementById(id);
const form = document.querySelector("form");
let location_ = null;

form.addEventListener("submit", async (event) => {
  event.preventDefault();
  form.querySelector("button").disabled = true;
  $("error").hidden = true;
  try {
    const body = new FormData();
    for (const file of $("files").files) body.append("files", file);
    say("Sending …");
    const answer = await fetch("photos", { method: "POST", body });
    if (answer.status !== 202) throw new Error(await reason(answer));
    location_ = answer.headers.get("Location");
    await watch(location_);
    form.reset();
  } catch (error) {
    fail(error.message);
  } finally {
    form.querySelector("button").disabled = false;
    $("cancel").hidden = true;
    count();
  }
});

$("cancel").addEventListener("click", () => fetch(location_, { method: "DELETE" }));

function watch(job) {
  const address = new URL(`${job}/events`, document.baseURI);
  address.protocol = address.protocol.replace("http", "ws");
  const events = new WebSocket(address);
  $("cancel").hidden = false;
  let ended = false;
  return new Promise((resolve, reject) => {
    events.onmessage = ({ data }) => {
      const { state, total, done, failed, finished_at } = JSON.parse(data);
      $("bar").max = total;
      $("bar").value = done + failed.length;
      say(`${done} of ${total} in` + (state === "running" ? "" : `: ${state}`));
      $("failed").hidden = !failed.length;
      const names = failed.map(({ name }) => name);
      $("failed").replaceChildren(...failed.map(({ name, reason, number }) => {
        const item = document.createElement("li");
        const which = names.filter((other) => other === name).length > 1 ? `File ${number}, ` : "";
        item.textContent = `${which}${name}: ${reason}`; // as text: a file's name is a stranger's
        return item;
      }));
      ended = finished_at !== null;
    };
    events.onclose = () => (ended ? resolve() : reject(new Error("The connection was lost. The upload may go on: reload the page to see the count.")));
  });
}

function say(text) {
  $("job").hidden = false;
  $("empty").hidden = true;
  $("text").textContent = text;
}

function fail(text) {
  $("job").hidden = true;
  $("error").hidden = false;
  $("error").textContent = text;
}

async function reason(answer) {
  const problem = await answer.json().catch(() => ({}));
  const wait = answer.headers.get("Retry-After");
  return (problem.detail ?? `The service answers ${answer.status}.`) + (wait ? ` (${wait} s)` : "");
}

async function count() {
  const answer = await fetch("count");
  $("count").textContent = answer.ok ? `${(await answer.json()).count} photos` : "";
}

count();
