// What every chart shows: rows of the data that its specification (stages/aggregate/page/charts.py) draws.

/** Builders of charts: what an element of class `chart` shows, as {say, sets, params, change}, or a text why not. */
const builders = {
  overview(element, chosen) {
    const all = data.networks.flatMap((network, i) => (network.dataset === element.dataset.dataset ? [i] : []));
    const rows = all.map((network, at) => ({ row: curve(network, chosen), at: at - (all.length - 1) / 2 })).filter(({ row }) => row);
    const points = rows.flatMap(({ row, at }) => networkPoints(row, at * apart(all.length)));
    const leads = rows.flatMap(({ row }, at) => lead(row, at, all.length));
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
        spec.height += 15 * Math.ceil(all.length / columns);
        numberLayers(spec, all.map((i) => data.networks[i].layers.length));
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
      change(spec) {
        roomBelow(spec, [...points, ...levels, ...folds].map((p) => p.value), points.map((p) => p.low));
        logAxis(spec, own.metric);
      },
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

/** How far apart networks stand sideways, so that their bars do not hide each other. */
const apart = (count) => Math.min(0.006, 0.04 / count);

function networkPoints(row, shift) {
  const network = data.networks[row.network], last = network.layers.length - 1;
  return row.value.flatMap((value, at) => {
    if (value === null) return [];
    const tied = row.tied?.includes(at) ?? false;
    return [{
      network: network.model, x: (last ? at / last : 0) + shift, value, ...band(row, at), tied, best: at === row.best,
      tip: pointTip(network, row, at, { "ties with the best": row.tied ? (tied ? "yes" : "no") : "not known" }),
    }];
  });
}

/** From a network's last layer to its best one, beside the last; nothing where the last is the best. */
function lead(row, at, count) {
  const network = data.networks[row.network], last = network.layers.length - 1;
  if (row.best === null || row.best === last || row.value[last] === null) return [];
  const [from, to] = [row.value[last], row.value[row.best]], text = signed(Math.abs(to - from));
  return [{
    network: network.model, x: 1.04 + Math.min(0.018, 0.2 / count) * at, from, to, value: (from + to) / 2, text: count === 1 ? text : "",
    tip: { title: network.model, "best over last layer": text },
  }];
}

/** Number the layers where all networks of a chart have as many. */
function numberLayers(spec, counts) {
  const [count] = counts, step = Math.ceil(count / 26);
  if (count < 2 || counts.some((other) => other !== count)) return;
  const values = [...Array(count).keys()].filter((i) => i % step === 0).map((i) => i / (count - 1));
  const axis = { values, labelExpr: `format(datum.value * ${count - 1} + 1, '.0f')` };
  for (const layer of spec.layer) {
    if (layer.encoding.x) Object.assign(layer.encoding.x, { axis, title: `layer, from input (1) to output (${count})` });
  }
}

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

/** Leave room below scores that are negative; others stand on 0. */
function roomBelow(spec, values, lows) {
  const known = [...values, ...lows.filter((low) => low !== null)], lowest = Math.min(...known);
  if (lowest >= 0) return;
  const domainMin = lowest - 0.08 * (Math.max(...known) - lowest);
  for (const layer of spec.layer) if (layer.encoding.y?.field) layer.encoding.y.scale = { domainMin, nice: false };
}

function logAxis(spec, metric) {
  if (!data.metrics[metric].log) return;
  for (const layer of spec.layer) if (layer.encoding.y?.field) layer.encoding.y.scale = { type: "log", nice: false };
}
