// @ts-check
"use client";
import { useSyncExternalStore } from "react";
import { describe } from "./describe.js";
import { badRequest, typeOf } from "./error.js";

const SECOND = 1000;

/** Calls `run` each second. The component renders again only if the text has changed. */
function subscribe(run) {
  const timer = setInterval(run, SECOND);
  return () => clearInterval(timer);
}

/** @type {typeof import("./react.js").useDescription} */
export function useDescription(status, options) {
  if (typeof status?.phase !== "string")
    throw badRequest(
      `useDescription() needs the status of useDelta() or useDeltaStatus(query), got ${typeOf(status)}`,
    );
  const get = () => describe(status, options);
  return useSyncExternalStore(subscribe, get, get);
}
