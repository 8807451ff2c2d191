// The code of every web page. Copied into each project unchanged.
import { round } from "./round.js";

round(Object.fromEntries(new URLSearchParams(location.search))).then((result) => {
  document.body.dataset.result = JSON.stringify(result);
});
