
"use strict";
const data = JSON.parse(document.getElementById("data").textContent);
const languages = Object.keys(data.words);
const DAY = 86400000;
const PLACE = ["region", "environment"];
const HEADERS = {costs: "environment", ends: "name", exceptions: "subject", checks: "subject"};
const MONEY = ["month", "difference", "costs-after"];
const dark = matchMedia("(prefers-color-scheme: dark)");
let state = {};

// --- the state, which the address keeps ------------------------------------------------------------------------------

function read() {
  const kept = new URLSearchParams(location.hash.slice(1));
  const browser = (navigator.languages || [navigator.language]).map((one) => one.slice(0, 2));
  const language = [kept.get("lang"), ...browser, languages[0]].find((one) => languages.includes(one));
  state = {
    language,
    theme: ["dark", "light"].includes(kept.get("theme")) ? kept.get("theme") : "",
    filter: kept.get("filter") || "",
    attention: kept.has("attention"),
    chosen: kept.has("lang"),
  };
}

function keep() {
  const kept = new URLSearchParams();
  if (state.chosen) kept.set("lang", state.language);
  if (state.theme) kept.set("theme", state.theme);
  if (state.filter) kept.set("filter", state.filter);
  if (state.attention) kept.set("attention", "1");
  history.replaceState(null, "", `#${kept}`);
}

// --- words and elements: texts of the data are only ever set as text --------------------------------------------------

function known(key) {
  return Object.hasOwn(data.words[state.language], key);
}

function word(key, values = {}) {
  const counted = values.n === 1 && known(`${key}.one`) ? `${key}.one` : key;
  const text = known(counted) ? data.words[state.language][counted] : key;
  return text.replace(/\{(\w+)\}/g, (_, name) => values[name]);
}

function element(tag, attributes = {}, ...children) {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (value !== undefined && value !== false && value !== "") made.setAttribute(name, value === true ? "" : value);
  }
  made.append(...children.filter((one) => one !== null && one !== undefined));
  return made;
}

let folds = 0;

function folding(kind, label, content) {
  const button = element("button", {type: "button", class: kind, "aria-expanded": "false"}, label);
  content.hidden = true;
  content.id = `fold-${(folds += 1)}`;
  button.setAttribute("aria-controls", content.id);
  button.addEventListener("click", () => {
    content.hidden = !content.hidden;
    button.setAttribute("aria-expanded", String(!content.hidden));
  });
  return [button, content];
}

// --- cells ------------------------------------------------------------------------------------------------------------

function days(from, to) {
  return Math.floor((to - from) / DAY);
}

function ago(at) {
  const time = new Date(at);
  const passed = Math.max(0, days(time.getTime(), Date.now()));
  const day = at.length > 10 ? time.toISOString().slice(0, 16).replace("T", " ") + " UTC" : at;
  return {passed, text: `${passed === 0 ? word("today") : word("days-ago", {n: passed})} (${day})`};
}

function badge(text, level) {
  return element("span", {class: `badge ${level}`}, text);
}

const CELLS = {
  text: (cell) => ({level: cell.level, nodes: [cell.level ? badge(cell.text, cell.level) : cell.text]}),
  code: (cell) => ({level: "", nodes: [element("code", {class: "short"}, cell.text)]}),
  state: (cell) => {
    const text = known(`state.${cell.name}`) ? word(`state.${cell.name}`) : cell.name;
    return {level: cell.level, nodes: [cell.level ? badge(text, cell.level) : text]};
  },
  day: (cell) => {
    const left = days(Date.now(), Date.parse(`${cell.day}T23:59:59Z`));
    const level = left < 0 ? "bad" : left <= cell.soon_days ? "warn" : "";
    const text = left < 0 ? word("ended", {n: -left}) : word("days-left", {n: left});
    return {level, nodes: [`${cell.day} `, badge(text, level)]};
  },
  since: (cell) => {
    const {passed, text} = ago(cell.at);
    const level = cell.old_days !== null && passed >= cell.old_days ? "warn" : "";
    return {level, nodes: [level ? badge(text, level) : text]};
  },
  lines: (cell) => {
    if (!cell.lines.length) return {level: "", nodes: [word("none")]};
    const list = element("ul", {}, ...cell.lines.map((one) => element("li", {}, one)));
    const [button, content] = folding("", word("show"), list);
    return {
      level: cell.level,
      nodes: [element("div", {class: "lines"}, badge(String(cell.lines.length), cell.level), " ", button, content)],
      text: cell.lines.join(" "),
    };
  },
  money: (cell) => ({level: "", nodes: [`${cell.amount} ${cell.currency}`]}),
  behind: (cell) => {
    if (!cell.images) return {level: "", nodes: [word("same")]};
    const since = cell.since ? `, ${ago(cell.since).text}` : "";
    return {level: "warn", nodes: [badge(word("images-behind", {n: cell.images}) + since, "warn")]};
  },
  unknown: (cell) => {
    const parts = [];
    if (cell.command) parts.push(element("span", {}, word("makes-known"), " ", element("code", {}, cell.command)));
    if (cell.detail) parts.push(element("span", {class: "copy"}, cell.detail));
    const text = `${word("not-known")}: ${word(`why.${cell.why}`)}`;
    if (!parts.length) return {level: "", nodes: [element("span", {class: "unknown"}, text)]};
    const spans = parts.map((one) => element("span", {class: "more"}, one));
    const [button, content] = folding("why", word("how"), element("div", {}, ...spans));
    return {level: "", nodes: [element("span", {class: "unknown"}, text), " ", button, content]};
  },
};

function shown(cell) {
  if (cell === null) return {level: "", nodes: ["–"]};
  if (Object.hasOwn(CELLS, cell.type ?? "")) return CELLS[cell.type](cell);
  return {level: "", nodes: [typeof cell === "string" ? cell : JSON.stringify(cell)]};
}

// --- tables -----------------------------------------------------------------------------------------------------------

function header(table) {
  return HEADERS[table.name] || table.columns.find((one) => !PLACE.includes(one));
}

function isMoney(table, column) {
  return MONEY.includes(column) || (table.name === "kinds" && !known(`column.${column}`));
}

function row(table, cells) {
  const made = element("tr");
  const texts = [];
  for (let at = 0; at < cells.length; ) {
    let width = 1;
    const isUnknown = cells[at] && cells[at].type === "unknown";
    while (isUnknown && JSON.stringify(cells[at + width]) === JSON.stringify(cells[at])) width += 1;
    const {level, nodes, text} = shown(cells[at]);
    const column = table.columns[at];
    const isHeader = column === header(table);
    const kind = isMoney(table, column) ? "money" : PLACE.includes(column) ? "place" : "";
    const attributes = {colspan: width > 1 && width, class: kind, scope: isHeader && "row"};
    made.append(element(isHeader ? "th" : "td", attributes, ...nodes));
    texts.push(made.lastChild.textContent, text || "");
    if (level === "warn" || level === "bad") made.dataset.attention = level;
    at += width;
  }
  made.dataset.text = texts.join(" ").toLowerCase();
  return made;
}

function section(table) {
  const name = (column) => (known(`column.${column}`) ? word(`column.${column}`) : column);
  const head = element("tr", {}, ...table.columns.map((one) =>
    element("th", {scope: "col", class: isMoney(table, one) && "money"}, name(one))));
  const rows = table.rows.map((cells) => row(table, cells));
  if (!rows.length) rows.push(element("tr", {class: "empty"}, element("td", {colspan: table.columns.length}, word("none"))));
  const caption = element("caption");
  const made = element("table", {}, caption, element("thead", {}, head), element("tbody", {}, ...rows));
  const title = element("h2", {id: `${table.name}-title`, tabindex: "-1"}, word(`table.${table.name}`));
  return element("section", {id: table.name, "aria-labelledby": title.id}, title,
    element("p", {class: "about"}, word(`about.${table.name}`)),
    element("div", {class: "wide", tabindex: "0", role: "region", "aria-labelledby": title.id}, made));
}

function link(table) {
  const rows = [...document.querySelectorAll(`#${CSS.escape(table.name)} tbody tr:not(.empty)`)];
  const n = rows.filter((one) => one.dataset.attention).length;
  const text = n ? word("need-attention", {n, all: rows.length}) : word("rows", {n: rows.length});
  const made = element("a", {href: `#${table.name}`, class: n && "warn"}, element("strong", {}, word(`table.${table.name}`)),
    element("small", {}, text));
  made.addEventListener("click", (event) => {
    event.preventDefault(); // the address keeps language, theme and filter
    const title = document.getElementById(`${table.name}-title`);
    title.scrollIntoView();
    title.focus();
  });
  return element("li", {}, made);
}

// --- the page ---------------------------------------------------------------------------------------------------------

function filter() {
  const terms = state.filter.toLowerCase().split(/\s+/).filter(Boolean);
  let all = 0;
  let visible = 0;
  for (const table of data.tables) {
    const rows = [...document.querySelectorAll(`#${CSS.escape(table.name)} tbody tr:not(.empty)`)];
    for (const one of rows) {
      const fits = terms.every((term) => one.dataset.text.includes(term));
      one.hidden = !fits || (state.attention && !one.dataset.attention);
    }
    const left = rows.filter((one) => !one.hidden).length;
    const caption = document.querySelector(`#${CSS.escape(table.name)} caption`);
    caption.textContent = word("shown", {n: left, all: rows.length});
    all += rows.length;
    visible += left;
  }
  document.getElementById("shown").textContent = word("shown", {n: visible, all});
}

function theme() {
  const isDark = state.theme ? state.theme === "dark" : dark.matches;
  document.documentElement.dataset.theme = isDark ? "dark" : "light";
  document.getElementById("theme").textContent = word(isDark ? "light" : "dark");
}

function render() {
  const other = languages[(languages.indexOf(state.language) + 1) % languages.length];
  document.documentElement.lang = state.language;
  document.title = word("title");
  for (const one of document.querySelectorAll("[data-word]")) one.textContent = word(one.dataset.word);
  const button = document.getElementById("language");
  button.textContent = data.words[other].language;
  button.lang = other;
  const revision = data.revision ? `${word("commit")} ${data.revision}. ` : "";
  document.getElementById("made").textContent = `${word("made")} ${ago(data.made).text}. ${revision}`;
  document.getElementById("filter").value = state.filter;
  document.getElementById("attention").checked = state.attention;
  document.getElementById("main").replaceChildren(...data.tables.map(section));
  const sections = document.getElementById("sections");
  sections.setAttribute("aria-label", word("sections"));
  sections.replaceChildren(element("ul", {}, ...data.tables.map(link)));
  theme();
  filter();
}

document.getElementById("language").addEventListener("click", (event) => {
  state.language = event.target.lang;
  state.chosen = true;
  keep();
  render();
});
document.getElementById("theme").addEventListener("click", () => {
  state.theme = document.documentElement.dataset.theme === "dark" ? "light" : "dark";
  keep();
  theme();
});
document.getElementById("filter").addEventListener("input", (event) => {
  state.filter = event.target.value;
  keep();
  filter();
});
document.getElementById("attention").addEventListener("change", (event) => {
  state.attention = event.target.checked;
  keep();
  filter();
});
document.querySelector("form").addEventListener("submit", (event) => event.preventDefault());
document.addEventListener("keydown", (event) => {
  const input = document.getElementById("filter");
  if (event.key === "/" && event.target !== input && !event.ctrlKey && !event.altKey && !event.metaKey) {
    event.preventDefault();
    input.focus();
  } else if (event.key === "Escape" && event.target === input) {
    input.value = state.filter = "";
    keep();
    filter();
  }
});
dark.addEventListener("change", theme);
addEventListener("hashchange", () => {
  read();
  render();
});
read();
render();
