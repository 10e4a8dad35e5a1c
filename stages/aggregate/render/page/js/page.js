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
