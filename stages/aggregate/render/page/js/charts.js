// What every chart shows: rows of the data that its specification (stages/aggregate/charts) draws.

const MAX_CLASSES = 24;               // of which the differences are largest

/** Builders of charts: what an element of class `chart` shows, as {say, sets, params, change}, or a text why not. */
const builders = {
  overview(element, chosen) {
    const all = data.networks.flatMap((network, i) => (network.dataset === element.dataset.dataset ? [i] : []));
    const rows = all.map((network) => curve(network, chosen)).filter((row) => row);
    if (!rows.length) return "Networks were not measured like this.";
    const counts = new Set(all.map((i) => data.networks[i].layers.length)), [count] = counts;
    const same = counts.size === 1, span = same ? Math.max(count - 1, 1) : 1;
    const names = same ? data.networks[all[0]].short.map((name, i) => (all.length > 1 ? String(i + 1) : name)) : [];
    const pointsOf = (row, at) => networkPoints(row, chosen, same ? 1 : 1 / Math.max(data.networks[row.network].layers.length - 1, 1))
      .map((point) => ({ ...point, low: point.best || point.last ? point.low : null, x: point.x + span * Math.min(0.006, 0.04 / all.length) * (at - (rows.length - 1) / 2) }));
    const others = rows.map((row) => curve(row.network, { ...chosen, step: row.step ? 0 : data.steps.at(-1) }));
    const stepsOf = (some) => [...new Set(some.filter(Boolean).map((row) => stepWords(row.step)))].join(" or ");
    element.querySelector(".steps").textContent = stepsOf(rows) === stepsOf(others) || !stepsOf(others) ? "" : `. Thick: ${stepsOf(rows)}; thin: ${stepsOf(others)}.`;
    const { name, better } = data.metrics[chosen.metric], best = rows.filter((row) => row.best !== null);
    const earlier = best.filter((row) => row.best < data.networks[row.network].layers.length - 1).length;
    const [taken] = best.length === 1 && chosen.step === ANSWER ? rowsOf(data.answers, { network: best[0].network, metric: chosen.metric }) : [];
    note(element, best.length === 0 ? "" : `${name} is ${better.replace(/er$/, "est")} at ${best.length > 1 ? `an earlier layer in ${earlier} of ${best.length} networks` : `layer ${best[0].best + 1} of ${data.networks[best[0].network].layers.length}`}${taken && taken.layer !== best[0].best ? `; taken: layer ${taken.layer + 1}` : ""}.`);
    const points = rows.flatMap((row, at) => [
      ...(others[at] && others[at] !== row ? pointsOf(others[at], at).map((point) => ({ ...point, part: "other", aside: true, low: null })) : []),
      ...pointsOf(row, at),
    ]);
    return {
      say: `${words(chosen)}, ${chosen.split} classes in ${element.dataset.dataset}, for every layer and network`,
      sets: { points, levels: levelsOf(rows[0]) },
      params: { names },
      change(spec) {
        const columns = Math.max(1, Math.floor(element.clientWidth / 200));
        Object.assign(spec.config.legend, { columns, direction: columns > 1 ? "horizontal" : "vertical" });
        spec.height += 15 * Math.ceil(all.length / columns);
        logAxis(spec, chosen.metric);
      },
    };
  },

  depth(element, chosen, at, network) {
    const own = { ...chosen, metric: element.dataset.metric ?? chosen.metric };
    const rows = [UNSEEN, SEEN].map((split) => curve(at, { ...own, split })).filter((row) => row);
    if (!rows.length) return "Not measured like this.";
    return {
      say: `${network.model}: ${words(own)}, against depth, on unseen and on seen classes`,
      sets: { points: rows.flatMap((row) => networkPoints(row, own, 1)), levels: rows.flatMap(levelsOf) },
      params: { names: network.short, split: chosen.split },
      change: (spec) => logAxis(spec, own.metric),
    };
  },

  steps(element, chosen, at, network) {
    const points = [];
    for (const row of rowsOf(data.training, { network: at, metric: chosen.metric, fold: chosen.fold })) {
      for (const [line, name] of [["g, unseen classes", "unseen"], ["g, seen classes", "seen"], ["accuracy, seen classes", "accuracy"]]) {
        const value = row[name], { step } = row;
        if (value !== null) points.push({ line, step, value, tip: { title: line, step, value: number(value) } });
      }
    }
    if (!points.length) return "This score chooses no layer, so it has no g.";
    return {
      say: `${network.model}: accuracy and the best layer's ${data.metrics[chosen.metric].name} against step`,
      sets: { points },
      change(spec) {
        for (const layer of spec.layer) layer.encoding.x.axis = { values: [...new Set(points.map((point) => point.step))] };
      },
    };
  },

  classes(element, chosen, at, network) {
    const { metric } = chosen, { name } = data.metrics[metric];
    note(element, "");
    if (!data.metrics[metric].classes) return `A single class has no ${name}.`;
    const folds = chosen.fold === MEAN ? data.folds.slice(1) : [chosen.fold];
    const { step, best: depth } = curve(at, { ...chosen, metric, split: UNSEEN, fold: MEAN }) ?? {};
    const rows = folds.flatMap((fold) => rowsOf(data.classes, { network: at, metric, step, split: chosen.split, fold }));
    const classes = new Map();
    for (const row of rows) classes.set(row.label, [...(classes.get(row.label) ?? []), row]);
    const mean = (own, name) => own.reduce((sum, row) => sum + row[name], 0) / own.length;
    const named = [...classes].filter(([, own]) => own.every((row) => row.value_best !== null && row.value_last !== null))
      .map(([name, own]) => ({ name, best: mean(own, "value_best"), last: mean(own, "value_last") }));
    const lower = data.metrics[metric].better === "lower";
    const gain = ({ best, last }) => (lower ? last - best : best - last);
    const shown = named.sort((a, b) => Math.abs(gain(b)) - Math.abs(gain(a))).slice(0, MAX_CLASSES).sort((a, b) => gain(b) - gain(a));
    note(element, !named.length ? "" : depth === network.layers.length - 1 ? "The last layer is best on average."
      : `Layer ${depth + 1} beats the last layer for ${named.filter((each) => gain(each) > 0).length} of ${named.length} classes.`);
    element.querySelector("figcaption").textContent = [
      `${data.metrics[metric].name} of ${network.model}${data.steps.length > 1 ? `, ${stepWords(step)}` : ""}, at the layer that is best on average and at the last one.`,
      shown.length < named.length ? `Shown: the ${shown.length} classes with the largest differences.` : "",
    ].join(" ");
    return bestAndLast(shown, `${network.model}: ${data.metrics[metric].name} for every class`);
  },

  folds(element, chosen, at, network) {
    const rows = rowsOf(data.best, { network: at, metric: chosen.metric }).filter((row) => row.fold !== MEAN);
    const named = rows.map((row) => ({ name: `${data.part} ${row.fold}: layer ${row.best_depth + 1}`, best: row.unseen, last: row.last_value }));
    return bestAndLast(named, `${network.model}: ${data.metrics[chosen.metric].name} for every ${data.part}, unseen classes`);
  },

  projection(element, chosen, at, network) {
    const { side } = element.dataset, found = gallery(at, side, chosen);
    element.querySelector("output").textContent = layerName(network, controls.elements[side + at].value - 1);
    if (!found) return "This network has no stored images.";
    note(element, `${PART} ${found.fold}; the plane holds ${Math.round(100 * found.explained)}% of the variance.`);
    const labels = [...new Set(found.rows.map((row) => found.images.labels[row.image]))].sort();
    const points = found.rows.map((row) => {
      const label = found.images.labels[row.image];
      return { label, x: row.x, y: row.y, image: row.image, tip: { title: label, image: source(found.images, row.image) } };
    });
    return {
      say: `${network.model}, ${found.name}, ${data.part} ${found.fold}: embedded images from unseen classes on their first two principal axes, coloured by class`,
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

/** A row's points, a layer each; `x` is the layer's place times a step. */
function networkPoints(row, chosen, step) {
  const network = data.networks[row.network], last = network.layers.length - 1, log = data.metrics[row.metric].log;
  return row.value.flatMap((value, at) => {
    if (value === null) return [];
    const [low, high] = [row.low?.[at] ?? null, row.high?.[at] ?? null], range = interval(low, high);
    const known = low !== null && !(log && low <= 0);           // a logarithmic axis has no place for it
    const tied = row.tied?.includes(at) ?? null, best = at === row.best;
    return [{
      network: network.model, split: row.split, x: at * step, value, tied, best, last: at === last,
      low: known ? low : null, high: known ? high : null,
      tip: {
        title: network.model, layer: layerName(network, at), [data.metrics[row.metric].name]: number(value),
        ...(range ? { [BANDS[row.band]]: range } : {}), classes: row.split,
        ...(data.steps.length > 1 ? { step: row.step } : {}), "ties with the best": tied === null ? "not known" : tied ? "yes" : "no",
      },
    }];
  });
}

/** What a curve compares with. */
function levelsOf(row) {
  const { split } = row, levels = Object.entries({ chance: row.chance, "raw pixels": row.pixels });
  return levels.filter(([, value]) => value !== null)
    .map(([kind, value]) => ({ split, kind, value, tip: { title: `${kind}, ${split} classes`, value: number(value) } }));
}

function bestAndLast(named, say) {
  if (!named.length) return "Not measured.";
  const height = 75 + named.length * (named.length > 12 ? 15 : 22);
  const points = named.flatMap(({ name, best, last }) =>
    [["best layer", best], ["last layer", last]].map(([at, value]) => ({ name, at, value, tip: { title: name, [at]: number(value) } })));
  return { say: `${say}, at the best and at the last layer`, sets: { points }, change: (spec) => { spec.height = height; } };
}

function logAxis(spec, metric) {
  if (!data.metrics[metric].log) return;
  for (const layer of spec.layer) if (layer.encoding.y?.field) layer.encoding.y.scale = { type: "log", nice: false };
}
