// Pictures of unseen images, and the gallery of their nearest neighbours.

const source = (images, at) => `data:${images.type};base64,${images.images[at]}`;

/** The shown images of a network's unseen classes at one layer, of the fold chosen, else the first. */
function gallery(element, { fold }) {
  const at = Number(element.dataset.network), network = data.networks[at], images = data.images[network.dataset];
  const kept = fold === MEAN ? 1 : fold;
  const [found] = rowsOf(data.gallery, { network: at, fold: kept, layer: Number(element.dataset.layer) });
  if (!images || !found) return null;
  const rows = found.image.map((image, i) => ({ image, x: found.x[i], y: found.y[i], neighbours: found.neighbours[i] }));
  const name = `layer ${layerName(network, found.layer)}`;
  return { rows, images, name, fold: data.folds[kept], explained: found.explained };
}

/** Fill a gallery: of two images a class, the nearest of the shown images at the best and at the last layer. */
function fillGallery(element) {
  const { network, best, last } = element.dataset;
  const layers = [best, last].map((layer) => gallery({ dataset: { network, layer } }, selection())).filter(Boolean);
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
