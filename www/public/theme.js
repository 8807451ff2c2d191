// Runs before the first paint, so that the web page never flashes in another theme.
try {
  const theme = localStorage.getItem("deltalink.theme");
  if (theme === "light" || theme === "dark") document.documentElement.dataset.theme = theme;
} catch {
  // Without storage the system decides.
}
