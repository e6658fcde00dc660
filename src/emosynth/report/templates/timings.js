(function () {
  var rows = window.EMOSYNTH_TIMINGS || [], box = document.getElementById("timings");
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
