// Pictures of unseen images, and the gallery of their nearest neighbours.

const source = (images, at) => `data:${images.type};base64,${images.images[at]}`;

/** The shown images of a network's unseen classes at the layer of one side, of the fold chosen, else the first. */
function gallery(at, side, { fold }) {
  const network = data.networks[at], images = data.images[network.dataset], kept = fold === MEAN ? data.folds[1] : fold;
  const layer = Number(controls.elements[side + at].value) - 1;
  const [found] = rowsOf(data.gallery, { network: at, fold: kept, layer });
  if (!images || !found) return null;
  const rows = found.image.map((image, i) => ({ image, x: found.x[i], y: found.y[i], neighbours: found.neighbours[i] }));
  return { rows, images, name: `layer ${layerName(network, layer)}`, fold: kept, explained: found.explained };
}

/** Fill a gallery: the chosen image and two of each class, the nearest of the shown images at the layers of both sides. */
function fillGallery(element) {
  const at = Number(element.dataset.network), { value } = controls.elements[`image${at}`];
  const layers = ["left", "right"].map((side) => gallery(at, side, selection())).filter(Boolean);
  const shown = layers.length ? new Set([...layers[0].rows.map((row) => row.image).filter((image) => String(image) === value), ...queries(layers[0])]) : [];
  element.querySelector(".lines").replaceChildren(...[...shown].map((image) => neighbourLine(image, layers)));
  note(element, layers.length === 0 ? "This network has no stored images." :
    `${PART} ${layers[0].fold}. Neighbours of all its images that have the image's class: ${layers.map(rightNeighbours).join("; ")}.`);
}

/** Mark the chosen image in a drawing of images. */
function markChosen(chart) {
  const { value } = controls.elements[`image${chart.dataset.network}`];
  for (const mark of chart.querySelectorAll(".role-mark path")) {
    mark.classList.toggle("chosen", value !== "" && String(mark.__data__?.datum?.image) === value);
  }
}

/** Put the image of a point or picture first in its gallery. */
function choose(stop) {
  const image = stop.dataset.image ?? stop.__data__?.datum?.image, element = stop.closest("details")?.querySelector(".gallery");
  if (image === undefined || !element) return;
  controls.elements[`image${element.dataset.network}`].value = image;
  fillGallery(element);
  element.closest("details").querySelectorAll("[data-side]").forEach(markChosen);
  remember();
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
  return `${name}: ${Math.round((100 * count) / all)}%`;
}

function neighbourLine(image, layers) {
  const line = document.createElement("li");
  line.append(thumbnail(layers[0].images, image));
  layers.forEach(({ rows, images }, i) => {
    const list = document.createElement("div");
    list.append(Object.assign(document.createElement("span"), { className: "at", textContent: i ? "right" : "left" }));
    const own = rows.find((row) => row.image === image);
    list.append(...(own?.neighbours ?? []).map((other) => thumbnail(images, other, images.labels[other] === images.labels[image])));
    line.append(list);
  });
  return line;
}

/** One image with its class; with a sign whether it is a right neighbour, if that is given. */
function thumbnail(images, at, right) {
  const figure = document.createElement("figure");
  figure.dataset.image = at;
  const image = new Image();
  image.src = source(images, at);
  image.alt = images.labels[at] + (right === undefined ? "" : right ? ", same class" : ", other class");
  image.title = image.alt;
  figure.append(image);
  if (right === undefined) figure.append(Object.assign(document.createElement("figcaption"), { textContent: images.labels[at] }));
  else figure.className = right ? "right" : "wrong";
  return figure;
}
