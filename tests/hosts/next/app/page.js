"use client";

import { useEffect } from "react";
import { round } from "../src/round.js";

export default function Home() {
  useEffect(() => {
    round(Object.fromEntries(new URLSearchParams(location.search))).then((result) => {
      document.body.dataset.result = JSON.stringify(result);
    });
  }, []);
  return <main>A round</main>;
}
