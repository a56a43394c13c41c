"use strict";
// Click a column's heading to sort by it; again to turn the order round. Cells sort by data-sort or by text.
const key = (row, column) => row.cells[column].dataset.sort ?? row.cells[column].textContent.trim();
const compare = (a, b) => (isNaN(a) || isNaN(b) ? a.localeCompare(b) : a - b);

for (const button of document.querySelectorAll("table.sortable thead button")) {
  button.addEventListener("click", () => {
    const heading = button.closest("th");
    const table = heading.closest("table");
    const direction = heading.getAttribute("aria-sort") === "ascending" ? "descending" : "ascending";
    for (const other of heading.parentElement.cells) other.removeAttribute("aria-sort");
    heading.setAttribute("aria-sort", direction);
    const sign = direction === "ascending" ? 1 : -1;
    const rows = [...table.tBodies[0].rows];
    rows.sort((a, b) => sign * compare(key(a, heading.cellIndex), key(b, heading.cellIndex)));
    table.tBodies[0].append(...rows);
  });
}

// The gallery shows what every group of check boxes lets through; a group lets all through that it does not name.
const filters = document.querySelector("form.filters");
const showChosen = () => {
  const cards = [...document.querySelectorAll("article.study")];
  for (const card of cards) {
    card.hidden = [...filters.querySelectorAll("fieldset")].some((group) => {
      const boxes = [...group.querySelectorAll("input")];
      const value = card.dataset[boxes[0].name];
      return value !== undefined && !boxes.some((box) => box.checked && box.value === value);
    });
    if (card.hidden) card.querySelector("video")?.pause();
  }
  const shown = cards.filter((card) => !card.hidden).length;
  document.getElementById("shown").textContent = `${shown} of ${cards.length} videos shown`;
};
filters?.addEventListener("change", showChosen);
// what is folded on the screen is not on paper
addEventListener("beforeprint", () => document.querySelectorAll("details").forEach((one) => (one.open = true)));
