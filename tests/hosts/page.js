// What every page runs. Copied into each project as it is.
import { round } from "./round.js";

round(Object.fromEntries(new URLSearchParams(location.search))).then((result) => {
  document.body.dataset.result = JSON.stringify(result);
});
