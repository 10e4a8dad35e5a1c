"use strict";
// The page's scripts stand in it as one, in the order of stages/aggregate/render/page/page.py. This one reads the block of
// data, and picks rows of it by the selector. Texts from the data reach the page as text alone (textContent, or Vega's
// own drawing).

const data = JSON.parse(document.getElementById("data").textContent);
const controls = document.getElementById("controls");
const [MEAN] = data.folds;            // the first is the mean over all
const ANSWER = "answer";              // the step of which the answer to a score's use tells, else the last one
const [UNSEEN, SEEN] = ["unseen", "seen"];

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

const PART = data.part[0].toUpperCase() + data.part.slice(1);
const curves = new Map();             // "network,metric,fold,split,step" -> row of the series
const lastSteps = new Map();          // "network,metric" -> the last step at which it was measured
for (const row of rowsOf(data.series)) {
  curves.set([row.network, row.metric, row.fold, row.split, row.step].join(), row);
  const key = [row.network, row.metric].join();
  lastSteps.set(key, Math.max(row.step, lastSteps.get(key) ?? 0));
}

/** What the selector says. */
function selection() {
  const chosen = Object.fromEntries(new FormData(controls));
  return { ...chosen, step: chosen.step === ANSWER ? ANSWER : Number(chosen.step) };
}

function curve(network, { metric, fold, split, step }) {
  const [answer] = step === ANSWER ? rowsOf(data.answers, { network, use: data.metrics[metric].use }) : [{ step }];
  const at = (own) => curves.get([network, metric, fold, split, own].join());
  return at(answer?.step) ?? (step === ANSWER ? at(lastSteps.get([network, metric].join())) : undefined);
}

/** The best network of a dataset for the use that a score is of, else its first. */
function bestNetwork(dataset, { metric }) {
  const own = rowsOf(data.answers).filter(({ network }) => data.networks[network].dataset === dataset);
  return (own.find(({ use, best }) => best && use === data.metrics[metric].use) ?? own[0]).network;
}

/** Name a checkpoint. */
const stepWords = (step) => (step === 0 && data.steps.length > 1 ? "pre-trained" : `step ${step}`);

const number = (value) => (value === null || value === undefined ? "–" : value.toFixed(3));
const interval = (low, high) => (low === null || low === undefined ? "" : `[${number(low)}, ${number(high)}]`);
const layerName = (network, place) => `${place + 1} of ${network.layers.length} (${network.layers[place]})`;
const bestWords = ({ network, step, best, value }) =>
  `best at layer ${layerName(data.networks[network], best)}${data.steps.length > 1 ? `, ${stepWords(step)}` : ""}, ${number(value[best])}`;
const BANDS = {
  classes: "interval over classes", images: "interval over images of these classes", sd: "± 1 standard deviation", "": "",
};

/** Say what a selection is, for captions and for people who hear the chart. */
function when({ fold, step }) {
  const steps = data.steps.length === 1 ? "" : step === ANSWER ? "" : `${stepWords(step)}, `;
  return `${steps}${fold === MEAN ? data.mean : `${data.part} ${fold}`}`;
}
const words = (chosen) => `${data.metrics[chosen.metric].name}, ${when(chosen)}`;
