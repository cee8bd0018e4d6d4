// What the page does besides being read: it finds operations, writes requests as curl commands, and makes calls.

// The longest answer that is shown, in characters. A stream may have no end.
const longest = 200_000;

const token = document.querySelector("#token");
const bearer = () => token?.value.trim().replace(/^bearer\s+/i, "") ?? "";

// request returns what a form asks for.
function request(form) {
  const { method, path } = form.dataset;
  const headers = {};
  const query = new URLSearchParams();
  const names = {};
  for (const { name, value, dataset } of form.querySelectorAll("[data-in]")) {
    if (value === "") continue;
    if (dataset.in === "path") names[name] = encodeURIComponent(value);
    else if (dataset.in === "query") for (const each of "list" in dataset ? value.split(",") : [value]) query.append(name, each.trim());
    else headers[name] = value;
  }
  // A name in braces that is not filled in stays, so that one sees what is missing.
  const target = path.replace(/\{([^}=]+)(?:=[^}]*)?\}/g, (braces, name) => names[name] ?? braces);
  const body = form.querySelector("textarea");
  if (body && body.value.trim() !== "") headers["Content-Type"] = body.dataset.type;
  if (bearer()) headers.Authorization = `Bearer ${bearer()}`;
  const url = target + (query.size ? `?${query}` : "");
  return { method, url, headers, body: headers["Content-Type"] ? body.value : undefined };
}

const quoted = (text) => `'${text.replaceAll("'", `'\\''`)}'`;

// curl returns the command that does the same. A token is left out of it, because commands are kept and shown around.
function curl({ method, url, headers, body }) {
  const lines = [`curl ${quoted(location.origin + url)}`];
  if (method !== (body === undefined ? "GET" : "POST")) lines[0] += ` -X ${method}`;
  for (const [name, value] of Object.entries(headers)) {
    lines.push(name === "Authorization" ? `-H "Authorization: Bearer $TOKEN"` : `-H ${quoted(`${name}: ${value}`)}`);
  }
  if (body !== undefined) lines.push(`-d ${quoted(body)}`);
  return lines.join(" \\\n  ");
}

// pretty sets JSON in lines, and leaves everything else as it is.
function pretty(text) {
  try {
    // Numbers that JavaScript cannot hold must not be changed by being looked at.
    return /\d{16}/.test(text) ? text : JSON.stringify(JSON.parse(text), null, 2);
  } catch {
    return text;
  }
}

// renew gives a body another request id, if it has one: the same id means the same request, and another request would be refused.
function renew(text) {
  return text.replace(/("request_?id"\s*:\s*")[^"]*"/i, (_, before) => `${before}${newID()}"`);
}

// newID is for pages that were loaded without TLS, too, where there is no crypto.randomUUID.
function newID() {
  return Array.from(crypto.getRandomValues(new Uint8Array(12)), (byte) => byte.toString(16).padStart(2, "0")).join("");
}

function prepare(section) {
  const form = section.querySelector("form");
  const details = section.querySelector(".try");
  const shown = section.querySelector("pre.request");
  const copy = section.querySelector(".copy");
  const stop = form.querySelector(".stop");
  const send = form.querySelector(".send");
  const result = form.querySelector(".result");
  const answer = form.querySelector(".answer");
  const body = form.querySelector("textarea");

  const show = () => (shown.textContent = curl(request(form)));
  let sent; // The body of the last call.
  let running;

  if (body) body.value = renew(body.value);
  show();
  form.addEventListener("input", show);
  token?.addEventListener("input", show);
  details.hidden = false;
  copy.hidden = !navigator.clipboard; // Pages that were loaded without TLS, from elsewhere than localhost, have none.
  copy.addEventListener("click", async () => {
    await navigator.clipboard.writeText(shown.textContent);
    const label = copy.firstChild;
    label.data = "Copied";
    setTimeout(() => (label.data = "Copy"), 2000);
  });
  stop.addEventListener("click", () => running?.abort());

  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    if (running) return;
    // Who changes the body after a call wants another effect, and no answer of before.
    const id = /"request_?id"\s*:\s*"([^"]*)"/i;
    if (body && sent !== undefined && body.value !== sent && body.value.match(id)?.[1] === sent.match(id)?.[1]) body.value = renew(body.value);
    sent = body?.value;
    show();
    const asked = request(form);
    running = new AbortController();
    stop.hidden = false;
    send.setAttribute("aria-disabled", "true");
    result.textContent = "Waiting for the answer …";
    answer.hidden = true;
    const start = performance.now();
    try {
      const response = await fetch(asked.url, { ...asked, signal: running.signal });
      const status = `${response.status} ${response.statusText}`.trim();
      result.textContent = `${status}, still coming …`;
      const text = await read(response, (soFar) => {
        answer.hidden = false;
        answer.textContent = soFar;
      });
      const id = response.headers.get("X-Correlation-Id");
      result.textContent = `${status} in ${Math.round(performance.now() - start)} ms${id ? `, correlation id ${id}` : ""}`;
      answer.textContent = pretty(text);
      answer.hidden = text === "";
    } catch (error) {
      result.textContent = error.name === "AbortError" ? "Stopped." : `There was no answer: ${error.message}`;
    } finally {
      running = undefined;
      stop.hidden = true;
      send.removeAttribute("aria-disabled");
    }
  });
}

// read returns the text of an answer, and tells of it while it comes.
async function read(response, tell) {
  if (!response.body) return "";
  const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
  let text = "";
  for (;;) {
    const { done, value } = await reader.read();
    if (done) return text;
    text += value;
    if (text.length > longest) {
      await reader.cancel();
      return `${text.slice(0, longest)}\n… and more`;
    }
    tell(text);
  }
}

for (const section of document.querySelectorAll(".operation")) prepare(section);
if (token) {
  token.form.hidden = false;
  token.form.addEventListener("submit", (event) => event.preventDefault());
}

// The list of operations: what is asked for, and where one is.
const search = document.querySelector("#search");
const links = new Map(Array.from(document.querySelectorAll("nav li a"), (link) => [link.hash.slice(1), link]));
search.closest(".search").hidden = false;
search.addEventListener("input", () => {
  const wanted = search.value.toLowerCase().split(/\s+/);
  let found = 0;
  for (const [id, link] of links) {
    const text = `${link.textContent} ${document.getElementById(id).querySelector(".route").textContent}`.toLowerCase();
    const match = wanted.every((word) => text.includes(word));
    link.parentElement.hidden = !match;
    if (match) found++;
  }
  for (const group of document.querySelectorAll("nav .group")) group.hidden = !group.querySelector("li:not([hidden])");
  document.querySelector("nav .nothing").textContent = found ? "" : "No operation is called like that.";
});

const seen = new IntersectionObserver(
  (entries) => {
    for (const { target, isIntersecting } of entries) {
      if (!isIntersecting) continue;
      for (const link of links.values()) link.removeAttribute("aria-current");
      const link = links.get(target.id);
      link.setAttribute("aria-current", "true");
      if (getComputedStyle(link.closest("nav")).position === "fixed") link.scrollIntoView({ block: "nearest" });
    }
  },
  { rootMargin: "-15% 0px -80% 0px" },
);
for (const section of document.querySelectorAll(".operation")) seen.observe(section);
