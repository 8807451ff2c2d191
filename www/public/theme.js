// Before the first paint, so that a chosen theme never flashes.
try {
  const theme = localStorage.getItem("deltalink.theme");
  if (theme === "light" || theme === "dark") document.documentElement.dataset.theme = theme;
} catch {
  // No storage, no choice: the system decides.
}
