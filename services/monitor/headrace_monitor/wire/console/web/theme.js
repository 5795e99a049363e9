// Sets the colours before anything is painted; "auto" follows the system.
(function () {
  let chosen = "auto";
  try { chosen = localStorage.getItem("headrace-theme") || "auto"; } catch { /* no storage: as the system has it */ }
  document.documentElement.dataset.theme = chosen;
  // Text never becomes a part of the page's structure: scripts may empty an element, and that is all.
  window.trustedTypes?.createPolicy("default", { createHTML: (text) => (text === "" ? "" : null) });
})();
