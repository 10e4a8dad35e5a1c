// Charts are drawn by Vega-Lite, one drawing of each at a time.

const OPTIONS = { mode: "vega-lite", renderer: "svg", actions: false, ast: true, tooltip: { disableDefaultStyle: true } };

function note(element, text) {
  element.querySelector(".note").textContent = text;
}

const pending = new WeakMap();        // element -> its drawing, so that two of one chart never overlap

function draw(element) {
  const chosen = selection(), { network, dataset } = element.dataset;
  const at = network === undefined ? bestNetwork(dataset, chosen) : Number(network);
  const built = builders[element.dataset.chart](element, chosen, at, data.networks[at]);
  const plot = element.querySelector(".plot");
  const spec = structuredClone(data.charts[element.dataset.spec]);
  if (typeof built !== "string") {
    spec.description = built.say;
    spec.datasets = built.sets;
    spec.layer = spec.layer.filter((layer) => built.sets[layer.data.name]?.length);
    for (const param of spec.params ?? []) param.value = built.params[param.name];
    built.change?.(spec);
  }
  const drawing = (pending.get(element) ?? Promise.resolve()).then(async () => {
    element.view?.finalize();
    element.view = null;
    if (plot.contains(reached)) leave();
    if (typeof built === "string") plot.textContent = built;
    else element.view = (await vegaEmbed(plot, spec, OPTIONS)).view;
    if (element.dataset.side) markChosen(element);
    plot.tabIndex = typeof built === "string" ? -1 : 0;
  });
  pending.set(element, drawing);
  return drawing;
}
