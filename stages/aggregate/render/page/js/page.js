// What happens when.

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
  for (const element of document.querySelectorAll(".split")) element.textContent = chosen.split;
  for (const element of document.querySelectorAll(".network")) {
    const at = Number(element.id.slice("network".length)), row = curve(at, { ...chosen, split: UNSEEN });
    element.querySelector(".best").textContent = (row?.best ?? null) === null ? "" : `· ${bestWords(row)}`;
  }
  const { use } = data.metrics[chosen.metric], leads = [...controls.querySelectorAll("[data-of]")];
  if (leads.some(({ dataset }) => dataset.of === use)) {
    for (const button of leads) button.setAttribute("aria-pressed", button.dataset.of === use);
    for (const element of document.querySelectorAll("[data-use]")) element.hidden = element.dataset.use !== use;
  }
  refresh(document);
}

const initial = Object.fromEntries(new FormData(controls));
const sections = [...document.querySelectorAll("details.network:not([open])")];

/** Keep in the address what was chosen and opened, so that the view can be sent. */
function remember() {
  const state = new URLSearchParams([...new FormData(controls)].filter(([name, value]) => value !== initial[name]));
  for (const section of sections) if (section.open) state.append("open", section.id);
  if (state.size || location.hash.includes("=")) history.replaceState(null, "", `#${state}`);
}

/** Show what the address says. */
function recall() {
  const state = new URLSearchParams(location.hash.includes("=") ? location.hash.slice(1) : "");
  for (const control of [...controls.elements].filter(({ name }) => name)) {
    control.value = state.get(control.name);
    if (control.value !== state.get(control.name)) control.value = initial[control.name];
  }
  for (const section of sections) section.open ||= state.getAll("open").includes(section.id);
  select();
}

document.addEventListener("input", ({ target }) => {
  if (target.form !== controls) return;
  const chart = target.closest(".chart");
  if (chart) {
    draw(chart);
    fillGallery(chart.closest("details").querySelector(".gallery"));
  } else select();
  remember();
});
addEventListener("hashchange", () => (location.hash.includes("=") ? recall() : remember()));  // a link to a section
controls.addEventListener("submit", (event) => event.preventDefault());
document.addEventListener("toggle", ({ target }) => {
  if (target.open) refresh(target);
  if (target.matches(".network")) remember();
}, true);
document.addEventListener("click", (event) => {
  const button = event.target.closest("button");
  if (button?.closest("thead")) {
    const header = button.closest("th");
    sort(header, header.getAttribute("aria-sort") === "ascending" ? "descending" : "ascending");
  } else if (button?.dataset.lead) {
    controls.elements.metric.value = button.dataset.lead;
    select();
    remember();
  } else if (button?.dataset.save) save(document.getElementById(button.dataset.save), button.dataset.file);
});

recall();
