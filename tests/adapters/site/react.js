import * as React from "react";
import { createRoot, hydrateRoot } from "react-dom/client";
import { flushSync } from "react-dom";
import { renderToString } from "react-dom/server";
import { DeltaProvider, useDelta, useDeltaClient, useDeltaStatus } from "deltalink/react";
import "./kit.js";

const h = React.createElement;
const root = document.querySelector("#root");

/** Renders an element into the page. `render(element)` of the result replaces it. */
function mount(element) {
  const made = createRoot(root);
  made.render(element);
  return made;
}

/** The names of the contacts, one after the other. `log` receives each result. */
function Names({ options, deps, log }) {
  const result = useDelta(useDeltaClient()?.orgContacts(), options, deps);
  log?.push(result);
  Object.assign(window, { result });
  return result.items.map(({ displayName }) => displayName).join();
}

Object.assign(window, {
  React,
  h,
  root,
  mount,
  hydrateRoot,
  flushSync,
  renderToString,
  DeltaProvider,
  useDelta,
  useDeltaClient,
  useDeltaStatus,
  Names,
});
