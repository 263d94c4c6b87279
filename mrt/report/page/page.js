"use strict";
(() => {
  const table = document.getElementById("networks"), body = table.tBodies[0], rows = [...body.rows];
  const by = document.getElementById("by"), down = document.getElementById("down"), told = document.getElementById("told");
  const text = document.getElementById("name"), filters = [...document.querySelectorAll("select[data-filter]")];
  const heads = [...table.tHead.rows[0].cells];
  const value = (row, column) => row.cells[column].dataset.value ?? row.cells[column].textContent.trim();

  function sort() {
    const column = Number(by.value), sign = down.checked ? -1 : 1;
    const order = (a, b) => {
      const x = value(a, column), y = value(b, column);
      if (x === "" || y === "") return (x === "") - (y === "");  // what is missing comes last either way
      const numbers = !isNaN(x) && !isNaN(y);
      return sign * (numbers ? x - y : x.localeCompare(y, undefined, { numeric: true }));
    };
    body.append(...rows.sort(order));
    heads.forEach((head, i) => head.setAttribute("aria-sort", i !== column ? "none" : down.checked ? "descending" : "ascending"));
  }

  function filter() {
    const wanted = text.value.toLowerCase();
    let shown = 0;
    for (const row of rows) {
      const fits = row.dataset.name.toLowerCase().includes(wanted)
        && filters.every(each => !each.value || row.dataset[each.dataset.filter] === each.value);
      row.hidden = !fits;
      shown += fits;
      const inside = document.getElementById("about-" + row.id);
      if (inside) inside.hidden = !fits;
      for (const point of document.querySelectorAll(`.point[data-of="${row.id}"]`)) point.classList.toggle("off", !fits);
    }
    told.textContent = `${shown} of ${rows.length} networks`;
  }

  heads.forEach((head, i) => head.querySelector("button").addEventListener("click", () => {
    down.checked = Number(by.value) === i && !down.checked;
    by.value = i;
    sort();
  }));
  for (const each of [by, down]) each.addEventListener("change", sort);
  text.addEventListener("input", filter);
  for (const each of filters) each.addEventListener("change", filter);
  const open = () => { const target = location.hash && document.getElementById(location.hash.slice(1));
    if (target && target.tagName === "DETAILS") { target.open = true; target.scrollIntoView(); } };
  addEventListener("hashchange", open);
  sort(); filter(); open();
})();
