// Tables: they are filled, sorted, and saved as CSV.

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
        model: network.model, dataset: network.dataset, best: cell(row.best_depth + 1, `${row.best_depth + 1} of ${network.layers.length}`),
        layer: network.layers[row.best_depth], value: cell(row.unseen), range: interval(row.low, row.high), last: cell(row.last_value),
        seen: cell(row.seen), accuracy: cell(row.accuracy),
        parameters: share(network.parameters, row.best_depth), operations: share(network.operations, row.best_depth),
      };
    });
  },

  layers(chosen, at) {
    const network = data.networks[at];
    const [unseen, seen] = [UNSEEN, SEEN].map((split) => curve(at, { ...chosen, split }));
    return network.layers.map((layer, i) => ({
      layer, number: cell(i + 1, String(i + 1)), unseen: cell(unseen?.value[i] ?? null),
      range: unseen?.band === "sd" ? "" : interval(unseen?.low?.[i], unseen?.high?.[i]), tied: unseen?.tied ? (unseen.tied.includes(i) ? "yes" : "no") : "–",
      seen: cell(seen?.value[i] ?? null), parameters: share(network.parameters, i), operations: share(network.operations, i),
    }));
  },
};

function share(values, at) {
  const part = values[at] === null ? null : values[at] / values[values.length - 1];
  return cell(part, part === null ? "–" : `${(100 * part).toFixed(part < 0.1 ? 1 : 0)}%`);
}

function fillTable(table) {
  const rows = tables[table.dataset.table](selection(), Number(table.dataset.network));
  fill(table, rows);
  const { brackets } = data.metrics[selection().metric];
  table.createCaption().textContent = rows.length ? (rows.some((row) => row.range) ? brackets : "") : "This score chooses no layer: neither high nor low is better.";
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
