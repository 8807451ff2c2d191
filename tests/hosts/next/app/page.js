"use client";

import { useEffect } from "react";
import { round } from "../src/round.js";

export default function Home() {
  useEffect(() => {
    round(Object.fromEntries(new URLSearchParams(location.search))).then((result) => {
      // The development server runs effects twice. The second round finds nothing new.
      document.body.dataset.result ??= JSON.stringify(result);
    });
  }, []);
  return <main>A round</main>;
}
