// What pointing at a mark or a picture shows can be reached by keyboard and by touch: a chart and a gallery are one
// stop of the Tab key each; arrow keys go from one of their marks to the next, a tap goes to one.

const KEYS = { ArrowRight: 1, ArrowDown: 1, ArrowLeft: -1, ArrowUp: -1 };
const said = document.getElementById("said");
let reached = null;                   // the mark or picture at which one is

/** The marks of a chart that have something to say, from left to right; the pictures of a gallery. */
function stops(box) {
  if (box.matches(".lines")) return [...box.querySelectorAll("figure")];
  const marks = [...box.querySelectorAll("svg .role-mark path, svg .role-mark line")].filter((mark) => mark.__data__?.tooltip);
  const middles = new Map(marks.map((mark) => [mark, middle(mark)]));
  return marks.sort((a, b) => middles.get(a).clientX - middles.get(b).clientX || middles.get(a).clientY - middles.get(b).clientY);
}

function middle(element) {
  const { left, top, width, height } = element.getBoundingClientRect();
  return { clientX: left + width / 2, clientY: top + height / 2 };
}

/** Go to a mark or picture: mark it, and show and say what pointing at it shows. */
function reach(stop) {
  leave();
  reached = stop;
  stop.classList.add("reached");
  stop.scrollIntoView({ block: "nearest" });
  if (stop.__data__) stop.dispatchEvent(new PointerEvent("pointermove", { bubbles: true, ...middle(stop) }));
  said.textContent = stop.__data__ ? spoken(stop.__data__.tooltip) : stop.querySelector("img").alt;
  const line = stop.closest(".gallery")?.querySelector(".at-picture");
  if (line) line.textContent = said.textContent;
}

function leave() {
  document.getElementById("vg-tooltip-element")?.classList.remove("visible");
  reached?.classList.remove("reached");
  reached = null;
}

const spoken = (tip) => Object.entries(tip).filter(([name]) => name !== "image")
  .map(([name, value]) => (name === "title" ? value : `${name} ${value}`)).join(", ");

document.addEventListener("keydown", (event) => {
  if (event.key === "Escape") leave();
  if (event.key === "Enter" && reached) choose(reached);
  if (!event.target.matches(".plot, .lines") || !(event.key in KEYS)) return;
  const all = stops(event.target), at = all.indexOf(reached);
  const next = at < 0 ? (KEYS[event.key] > 0 ? 0 : all.length - 1) : at + KEYS[event.key];
  if (all[next]) reach(all[next]);
  event.preventDefault();
});
document.addEventListener("focusout", (event) => event.target.matches(".plot, .lines") && leave());
document.addEventListener("click", (event) => {
  const stop = event.target.closest(".plot .role-mark *, .lines figure");
  if (stop && (!stop.closest(".plot") || stop.__data__?.tooltip)) {
    reach(stop);
    if (stop.__data__) choose(stop);
  }
});
