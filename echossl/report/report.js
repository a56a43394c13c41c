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
