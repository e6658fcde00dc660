(function () {
  var rows = window.EMOSYNTH_TIMINGS || [], box = document.getElementById("timings"), arms = document.getElementById("energy");
  // a step that found texts of an earlier run has not paid for all of them: then nothing is split
  var wrote = rows.filter(function (row) { return row.stage === "05_generation" && typeof row.energy_wh === "number" && !row.resumed; })[0];
  if (arms && wrote) {
    document.getElementById("energy-is").textContent = wrote.energy;
    arms.querySelectorAll("td[data-times]").forEach(function (cell) {
      var value = wrote.energy_wh * Number(cell.dataset.times);
      cell.textContent = value < 10 ? value.toPrecision(2) : value.toFixed(0);
    });
    arms.hidden = false;
  }
  if (!rows.length || !box) { return; }
  var body = box.querySelector("tbody"), total = 0, energy = 0, busy = 0;
  function add(cells) {
    var line = body.insertRow();
    cells.forEach(function (content, place) {
      var cell = line.insertCell();
      cell.textContent = content;
      if (place) { cell.className = "num"; }
    });
  }
  function number(value, digits) { return typeof value === "number" ? value.toFixed(digits) : "–"; }
  rows.forEach(function (row) {
    total += +row.seconds || 0; busy += +row.core_seconds || 0; energy += +row.energy_wh || 0;
    add([row.stage, number(row.seconds, 1), number(row.core_seconds, 1), number(row.peak_mb, 0), number(row.energy_wh, 2), row.energy || "–"]);
  });
  add(["Together", number(total, 1), busy ? number(busy, 1) : "–", "", energy ? number(energy, 2) : "–", ""]);
  box.hidden = false;
})();
