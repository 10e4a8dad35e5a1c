"use strict";
// The one script of the page: it picks rows of the data block by the selector, hands them to Vega-Lite, and fills,
// sorts and saves tables. Texts from the data reach the page as text alone (textContent, or Vega's own drawing).

const data = JSON.parse(document.getElementById("data").textContent);
const controls = document.getElementById("controls");
const MEAN = 0;                       // the first fold is the mean over all
const [UNSEEN, SEEN] = [0, 1];        // places of the splits
const SPLITS = ["unseen", "seen"];

// ---- the data ----------------------------------------------------------------------------------------------------

/** The rows of a table of columns that have these values. */
function rowsOf(table, match = {}) {
  const names = Object.keys(table);
  const wanted = Object.entries(match);
  const found = [];
  for (let i = 0; i < (table[names[0]] ?? []).length; i++) {
    if (wanted.every(([name, value]) => table[name][i] === value)) {
      found.push(Object.fromEntries(names.map((name) => [name, table[name][i]])));
    }
  }
  return found;
}

const curves = new Map();             // "network,metric,fold,split,step" -> row of the series
const lastSteps = new Map();          // "network,metric" -> the last step at which it was measured
for (const row of rowsOf(data.series)) {
  curves.set([row.network, row.metric, row.fold, row.split, row.step].join(), row);
  const key = [row.network, row.metric].join();
  lastSteps.set(key, Math.max(row.step, lastSteps.get(key) ?? 0));
}

/** What the selector says: places of score, split and fold, and of the step or "last". */
function selection() {
  const value = (name) => Number(controls.elements[name].value);
  const step = controls.elements.step.value;
  return { metric: value("metric"), split: value("split"), fold: value("fold"), step: step === "last" ? step : Number(step) };
}

function curve(network, { metric, fold, split, step }) {
  const at = step === "last" ? lastSteps.get([network, metric].join()) : step;
  return curves.get([network, metric, fold, split, at].join());
}

// ---- words -------------------------------------------------------------------------------------------------------

const number = (value) => (value === null || value === undefined ? "–" : value.toFixed(3));
const signed = (value) => (value === null || value === undefined ? "–" : (value < 0 ? "−" : "+") + Math.abs(value).toFixed(3));
const interval = (low, high) => (low === null || low === undefined ? "" : `[${number(low)}, ${number(high)}]`);
const layerName = (network, place) => `${place + 1} of ${network.layers.length} (${network.layers[place]})`;
const BANDS = {
  classes: "interval for other classes", images: "interval for other images of these classes", sd: "± 1 standard deviation", "": "",
};

/** Say what a selection is, for captions and for people who hear the chart. */
function when({ fold, step }) {
  const steps = step === "last" ? "last step" : `step ${data.steps[step]}`;
  return `${steps}, ${fold === MEAN ? data.mean : `fold ${data.folds[fold]}`}`;
}
const words = (chosen) => `${data.metrics[chosen.metric].name}, ${when(chosen)}`;

// ---- charts ------------------------------------------------------------------------------------------------------

const OPTIONS = { mode: "vega-lite", renderer: "svg", actions: false, ast: true, tooltip: { disableDefaultStyle: true } };

/** Builders of charts: what an element of class `chart` shows, as {say, sets, params, change}, or a text why not. */
const builders = {
  overview(element, chosen) {
    const own = data.networks.flatMap((network, i) => (network.dataset === element.dataset.dataset ? [i] : []));
    const points = [], leads = [];
    own.forEach((i, place) => {
      const row = curve(i, chosen);
      if (!row) return;
      const network = data.networks[i], best = row.best, last = network.layers.length - 1;
      row.value.forEach((value, at) => {
        if (value === null) return;
        const tied = row.tied?.includes(at) ?? false;
        points.push({
          network: network.model, x: last ? at / last : 0, value, ...band(row, at), tied, best: at === best,
          tip: pointTip(network, row, at, { "ties with the best": row.tied ? (tied ? "yes" : "no") : "not known" }),
        });
      });
      if (best !== null && best !== last && row.value[last] !== null) {
        const lead = Math.abs(row.value[best] - row.value[last]);
        leads.push({
          network: network.model, x: 1.03 + 0.018 * place, from: row.value[last], to: row.value[best],
          value: (row.value[best] + row.value[last]) / 2, text: own.length === 1 ? signed(lead) : "",
          tip: { title: network.model, "best over last layer": signed(lead) },
        });
      }
    });
    if (!points.length) return "No network was measured like this.";
    return {
      say: `${words(chosen)}, ${SPLITS[chosen.split]} classes of ${element.dataset.dataset}, of every layer of every network`,
      sets: {
        points, leads, tied: points.filter((p) => p.tied), others: points.filter((p) => !p.tied),
        best: points.filter((p) => p.best), bars: points.filter((p) => p.best && p.low !== null),
      },
      change(spec) {
        const columns = Math.max(1, Math.floor(element.clientWidth / 200));
        Object.assign(spec.config.legend, { columns, direction: columns > 1 ? "horizontal" : "vertical" });
        spec.height += 15 * Math.ceil(own.length / columns);
        logAxis(spec, chosen.metric);
      },
    };
  },

  depth(element, chosen) {
    const at = Number(element.dataset.network), network = data.networks[at];
    const own = { ...chosen, metric: Number(element.dataset.metric ?? chosen.metric) };
    const points = [], levels = [], folds = [], ties = [];
    for (const split of [UNSEEN, SEEN]) {
      const row = curve(at, { ...own, split });
      if (!row) continue;
      row.value.forEach((value, i) => value !== null && points.push({
        split: SPLITS[split], x: i + 1, value, ...band(row, i), tip: pointTip(network, row, i, { classes: SPLITS[split] }),
      }));
      for (const [kind, value] of [["chance", row.chance], ["raw pixels", row.pixels]]) {
        if (value !== null) levels.push({ split: SPLITS[split], kind, value, tip: { title: `${kind}, ${SPLITS[split]} classes`, value: number(value) } });
      }
      if (split === UNSEEN) (row.tied ?? []).forEach((i) => ties.push({ from: i + 0.6, to: i + 1.4 }));
    }
    if (own.fold === MEAN && data.folds.length > 2) {
      data.folds.slice(1).forEach((fold, i) => {
        const row = curve(at, { ...own, fold: i + 1 });
        row?.value.forEach((value, x) => value !== null && folds.push({ split: SPLITS[own.split], fold, x: x + 1, value }));
      });
    }
    if (!points.length) return "Not measured like this.";
    return {
      say: `${network.model}: ${words(own)}, against depth, on unseen and on seen classes`,
      sets: { points, levels, folds, ties, bands: points.filter((p) => p.split === SPLITS[chosen.split] && p.low !== null) },
      params: { names: network.short, split: SPLITS[chosen.split] },
      change: (spec) => logAxis(spec, own.metric),
    };
  },

  steps(element, chosen) {
    const at = Number(element.dataset.network), points = [];
    for (const row of rowsOf(data.training, { network: at, metric: chosen.metric, fold: chosen.fold })) {
      for (const [line, name] of [["g, unseen classes", "unseen"], ["g, seen classes", "seen"], ["accuracy, seen classes", "accuracy"]]) {
        const value = row[name], sd = row[`${name}_sd`], step = data.steps[row.step];
        if (value !== null) points.push({
          line, step, value, low: sd === null ? null : value - sd, high: sd === null ? null : value + sd,
          tip: { title: line, step, value: sd === null ? number(value) : `${number(value)} ± ${number(sd)}` },
        });
      }
    }
    if (!points.length) return "This score chooses no layer, so it has no g.";
    return {
      say: `${data.networks[at].model}: accuracy and the best layer's ${data.metrics[chosen.metric].name} against step`,
      sets: { points, bars: points.filter((p) => p.low !== null) },
      change(spec) {
        for (const layer of spec.layer) layer.encoding.x.axis = { values: [...new Set(points.map((point) => point.step))] };
      },
    };
  },

  similarity(element, chosen) {
    const at = Number(element.dataset.network);
    const [row] = rowsOf(data.similarity, { network: at, fold: chosen.fold, split: chosen.split });
    if (!row) return "Not measured (measure.analyses: layer_pairs).";
    const names = [...(row.pixels ? ["raw pixels"] : []), ...data.networks[at].short];
    const cells = [];
    names.forEach((_, b) => names.slice(0, b + 1).forEach((_, a) => {
      const value = row.value[(b * (b + 1)) / 2 + a];
      const tip = { title: `${names[a]} and ${names[b]}`, "linear CKA": number(value) };
      cells.push({ a, b, value, tip });
      if (a !== b) cells.push({ a: b, b: a, value, tip });
    }));
    return { say: `${data.networks[at].model}: similarity of every two layers, ${SPLITS[chosen.split]} classes`, sets: { cells }, params: { names } };
  },

  classes(element, chosen) {
    const at = Number(element.dataset.network);
    const metric = data.metrics[chosen.metric].classes ? chosen.metric : data.metrics.findIndex((m) => m.classes);
    if (metric < 0) return "No measured score is a mean over images, so a single class has none.";
    note(element, metric === chosen.metric ? "" :
      `${data.metrics[chosen.metric].name} is no mean over images, so a single class has none: ${data.metrics[metric].name} is shown.`);
    const folds = chosen.fold === MEAN ? data.folds.map((_, i) => i).slice(1) : [chosen.fold];
    const rows = folds.flatMap((fold) => rowsOf(data.classes, { network: at, metric, split: chosen.split, fold }));
    const classes = new Map();
    for (const row of rows) classes.set(row.label, [...(classes.get(row.label) ?? []), row]);
    const mean = (own, name) => own.reduce((sum, row) => sum + row[name], 0) / own.length;
    const named = [...classes].filter(([, own]) => own.every((row) => row.best !== null && row.last !== null))
      .map(([label, own]) => ({ name: data.labels[label], best: mean(own, "best"), last: mean(own, "last") }));
    const lower = data.metrics[metric].better === "lower";
    named.sort((a, b) => (lower ? a.best - b.best : b.best - a.best));
    return bestAndLast(named, `${data.networks[at].model}: ${data.metrics[metric].name} of every class`);
  },

  folds(element, chosen) {
    const at = Number(element.dataset.network), network = data.networks[at];
    const rows = rowsOf(data.best, { network: at, metric: chosen.metric }).filter((row) => row.fold !== MEAN);
    const named = rows.map((row) => ({ name: `fold ${data.folds[row.fold]}: layer ${row.best + 1}`, best: row.value, last: row.last }));
    return bestAndLast(named, `${network.model}: ${data.metrics[chosen.metric].name} of every fold, unseen classes`);
  },

  projection(element, chosen) {
    const found = gallery(element, chosen);
    if (!found) return "No images were kept of this network.";
    note(element, `Fold ${found.fold}; the plane holds ${Math.round(100 * found.explained)} % of the variance.`);
    const labels = [...new Set(found.rows.map((row) => found.images.labels[row.image]))].sort();
    const points = found.rows.map((row) => {
      const label = found.images.labels[row.image];
      return { label, x: row.x, y: row.y, tip: { title: label, image: source(found.images, row.image) } };
    });
    return {
      say: `${data.networks[element.dataset.network].model}, ${found.name}, fold ${found.fold}: embeddings of images of unseen classes on their first two principal axes, coloured by class`,
      sets: { points },
      change(spec) {
        const { color, shape } = spec.layer[0].encoding;
        color.scale = { domain: labels, range: labels.map((_, i) => data.colors[i % data.colors.length]) };
        const shifted = labels.map((_, i) => data.shapes[(i + Math.floor(i / data.colors.length)) % data.shapes.length]);
        shape.scale = { domain: labels, range: shifted };
      },
    };
  },
};

function pointTip(network, row, at, further) {
  const range = interval(row.low?.[at], row.high?.[at]);
  return {
    title: network.model, layer: layerName(network, at), [data.metrics[row.metric].name]: number(row.value[at]),
    ...(range ? { [BANDS[row.band]]: range } : {}), ...further,
  };
}

function bestAndLast(named, say) {
  if (!named.length) return "Not measured.";
  const height = 75 + named.length * (named.length > 12 ? 15 : 22);
  const points = named.flatMap(({ name, best, last }) =>
    [["best layer", best], ["last layer", last]].map(([at, value]) => ({ name, at, value, tip: { title: name, [at]: number(value) } })));
  return { say: `${say}, at the best and at the last layer`, sets: { points }, change: (spec) => { spec.height = height; } };
}

/** The ends of a curve's band at one layer; none where a logarithmic axis has no place for it. */
function band(row, at) {
  const [low, high] = [row.low?.[at] ?? null, row.high?.[at] ?? null];
  return low === null || (data.metrics[row.metric].log && low <= 0) ? { low: null, high: null } : { low, high };
}

function logAxis(spec, metric) {
  if (!data.metrics[metric].log) return;
  for (const layer of spec.layer) if (layer.encoding.y?.field) layer.encoding.y.scale = { type: "log", nice: false };
}

function note(element, text) {
  element.querySelector(".note").textContent = text;
}

const pending = new WeakMap();        // element -> its drawing, so that two of one chart never overlap

function draw(element) {
  const built = builders[element.dataset.chart](element, selection());
  const plot = element.querySelector(".plot");
  const spec = structuredClone(data.charts[element.dataset.spec]);
  if (typeof built !== "string") {
    spec.description = built.say;
    spec.datasets = built.sets;
    spec.layer = spec.layer.filter((layer) => built.sets[layer.data.name].length);
    for (const param of spec.params ?? []) param.value = built.params[param.name];
    built.change?.(spec);
  }
  const drawing = (pending.get(element) ?? Promise.resolve()).then(async () => {
    element.view?.finalize();
    element.view = null;
    if (typeof built === "string") plot.textContent = built;
    else element.view = (await vegaEmbed(plot, spec, OPTIONS)).view;
  });
  pending.set(element, drawing);
  return drawing;
}

// ---- images ------------------------------------------------------------------------------------------------------

const source = (images, at) => `data:${images.type};base64,${images.images[at]}`;

/** The shown images of a network's unseen classes at one layer: best or last, of the fold chosen, else the first. */
function gallery(element, { fold }) {
  const at = Number(element.dataset.network), network = data.networks[at], images = data.images[network.dataset];
  const kept = fold === MEAN ? 1 : fold;
  const [found] = rowsOf(data.gallery, { network: at, fold: kept, at: element.dataset.at });
  if (!images || !found) return null;
  const rows = found.image.map((image, i) => ({ image, x: found.x[i], y: found.y[i], neighbours: found.neighbours[i] }));
  const name = `${element.dataset.at} layer, ${layerName(network, found.layer)}`;
  return { rows, images, name, fold: data.folds[kept], explained: found.explained };
}

/** Fill a gallery: of two images a class, the nearest of the shown images at the best and at the last layer. */
function fillGallery(element) {
  const layers = ["best", "last"].map((at) => gallery({ dataset: { ...element.dataset, at } }, selection())).filter(Boolean);
  const lines = layers.length ? queries(layers[0]).map((image) => neighbourLine(image, layers)) : [];
  element.querySelector(".lines").replaceChildren(...lines);
  note(element, layers.length === 0 ? "No images were kept of this network." :
    `Fold ${layers[0].fold}, two images of each class. Neighbours of all its images that have the image's class: ` +
    `${layers.map(rightNeighbours).join("; ")}.`);
}

function queries({ rows, images }) {
  const seen = {};
  const label = (row) => images.labels[row.image];
  const own = rows.filter((row) => (seen[label(row)] = (seen[label(row)] ?? 0) + 1) <= 2);
  return own.sort((a, b) => label(a).localeCompare(label(b))).map((row) => row.image);
}

function rightNeighbours({ rows, images, name }) {
  const right = (row) => row.neighbours.filter((other) => images.labels[other] === images.labels[row.image]).length;
  const [count, all] = rows.reduce(([r, a], row) => [r + right(row), a + row.neighbours.length], [0, 0]);
  return `${name}: ${Math.round((100 * count) / all)} %`;
}

function neighbourLine(image, layers) {
  const line = document.createElement("li");
  line.append(thumbnail(layers[0].images, image));
  layers.forEach(({ rows, images }, i) => {
    const list = document.createElement("div");
    list.append(Object.assign(document.createElement("span"), { className: "at", textContent: i ? "last" : "best" }));
    const own = rows.find((row) => row.image === image);
    list.append(...(own?.neighbours ?? []).map((other) => thumbnail(images, other, images.labels[other] === images.labels[image])));
    line.append(list);
  });
  return line;
}

/** One image with its class; with a sign whether it is a right neighbour, if that is given. */
function thumbnail(images, at, right) {
  const figure = document.createElement("figure");
  const image = new Image();
  image.src = source(images, at);
  image.alt = images.labels[at] + (right === undefined ? "" : right ? ", same class" : ", other class");
  image.title = image.alt;
  figure.append(image);
  if (right === undefined) figure.append(Object.assign(document.createElement("figcaption"), { textContent: images.labels[at] }));
  else figure.className = right ? "right" : "wrong";
  return figure;
}

// ---- tables ------------------------------------------------------------------------------------------------------

/** Fill a table's body: a row is {key: {text, value}}, in the order of the header's keys. */
function fill(table, rows) {
  const keys = [...table.tHead.rows[0].cells].map((cell) => cell.dataset.key);
  const body = document.createElement("tbody");
  for (const row of rows) {
    const line = body.insertRow();
    for (const key of keys) {
      const cell = key === keys[0] ? line.appendChild(document.createElement("th")) : line.insertCell();
      if (key === keys[0]) cell.scope = "row";
      cell.textContent = row[key].text ?? row[key];
      cell.dataset.value = row[key].value ?? row[key].text ?? row[key];
      if (typeof row[key].value === "number") cell.className = "number";
    }
  }
  table.tBodies[0].replaceWith(body);
  const sorted = table.querySelector("th[aria-sort]");
  if (sorted) sort(sorted, sorted.getAttribute("aria-sort"));
}

const cell = (value, text = number(value)) => ({ text, value: value ?? "" });

const tables = {
  networks(chosen) {
    return rowsOf(data.best, { metric: chosen.metric, fold: chosen.fold }).map((row) => {
      const network = data.networks[row.network];
      return {
        model: network.model, dataset: network.dataset, best: cell(row.best + 1, `${row.best + 1} of ${network.layers.length}`),
        layer: network.layers[row.best], value: cell(row.value), range: interval(row.low, row.high), last: cell(row.last),
        lead: cell(row.lead, signed(row.lead)), least: cell(row.at_least, signed(row.at_least)), seen: cell(row.seen),
        accuracy: cell(row.accuracy),
        parameters: share(network.parameters, row.best), operations: share(network.operations, row.best),
      };
    });
  },

  layers(chosen, at) {
    const network = data.networks[at];
    const [unseen, seen] = [UNSEEN, SEEN].map((split) => curve(at, { ...chosen, split }));
    return network.layers.map((layer, i) => ({
      layer, number: cell(i + 1, String(i + 1)), unseen: cell(unseen?.value[i] ?? null),
      range: interval(unseen?.low?.[i], unseen?.high?.[i]), tied: unseen?.tied ? (unseen.tied.includes(i) ? "yes" : "no") : "–",
      seen: cell(seen?.value[i] ?? null), parameters: share(network.parameters, i), operations: share(network.operations, i),
    }));
  },
};

function share(values, at) {
  const part = values[at] === null ? null : values[at] / values[values.length - 1];
  return cell(part, part === null ? "–" : `${(100 * part).toFixed(part < 0.1 ? 1 : 0)} %`);
}

function fillTable(table) {
  const rows = tables[table.dataset.table](selection(), Number(table.dataset.network));
  fill(table, rows);
  table.createCaption().textContent = rows.length ? "" : "This score chooses no layer: neither high nor low is better.";
}

function sort(header, direction) {
  const table = header.closest("table");
  for (const other of table.querySelectorAll("th[aria-sort]")) other.removeAttribute("aria-sort");
  header.setAttribute("aria-sort", direction);
  const sign = direction === "ascending" ? 1 : -1;
  const value = (row) => row.cells[header.cellIndex].dataset.value;
  const compare = (a, b) => {
    if (a === "" || b === "") return (a === "") - (b === "");       // what is missing comes last
    const difference = Number(a) - Number(b);
    return sign * (Number.isNaN(difference) ? a.localeCompare(b) : difference);
  };
  table.tBodies[0].append(...[...table.tBodies[0].rows].sort((a, b) => compare(value(a), value(b))));
}

/** A field of a CSV file: numbers as they are; text that a spreadsheet would take for a formula gets an apostrophe. */
function field(text) {
  const isNumber = text !== "" && !Number.isNaN(Number(text));
  const safe = !isNumber && /^[=+\-@\t\r]/.test(text) ? `'${text}` : text;
  return /[",\n\r]/.test(safe) ? `"${safe.replaceAll('"', '""')}"` : safe;
}

function save(table, name) {
  const lines = [table.tHead.rows[0], ...table.tBodies[0].rows].map((row) =>
    [...row.cells].map((c) => field(c.dataset.value ?? c.textContent.trim())).join(","));
  const link = document.createElement("a");
  link.href = URL.createObjectURL(new Blob([lines.join("\r\n") + "\r\n"], { type: "text/csv" }));
  link.download = name;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 1000);
}

// ---- what happens when -------------------------------------------------------------------------------------------

/** Draw and fill everything in an element that is not inside a closed section. */
function refresh(root) {
  const shown = (element) => !element.closest("details:not([open])");
  for (const table of root.querySelectorAll("table[data-table]")) if (shown(table)) fillTable(table);
  for (const element of root.querySelectorAll(".gallery")) if (shown(element)) fillGallery(element);
  for (const element of root.querySelectorAll(".chart")) if (shown(element)) draw(element);
}

function select() {
  const chosen = selection();
  document.getElementById("definition").textContent = data.metrics[chosen.metric].definition;
  for (const element of document.querySelectorAll(".selected")) element.textContent = words(chosen);
  for (const element of document.querySelectorAll(".when")) element.textContent = when(chosen);
  for (const element of document.querySelectorAll(".split")) element.textContent = SPLITS[chosen.split];
  refresh(document);
}

controls.addEventListener("change", select);
controls.addEventListener("submit", (event) => event.preventDefault());
document.addEventListener("toggle", (event) => event.target.open && refresh(event.target), true);
document.addEventListener("click", (event) => {
  const button = event.target.closest("button");
  if (button?.closest("thead")) {
    const header = button.closest("th");
    sort(header, header.getAttribute("aria-sort") === "ascending" ? "descending" : "ascending");
  } else if (button?.dataset.save) save(document.getElementById(button.dataset.save), button.dataset.file);
});

let closed = [];                      // sections to close again after printing
addEventListener("beforeprint", () => {
  closed = [...document.querySelectorAll("details:not([open])")];
  for (const section of closed) section.open = true;
  refresh(document);
});
addEventListener("afterprint", () => closed.forEach((section) => { section.open = false; }));

select();
