import * as React from "react";
import { createRoot, hydrateRoot } from "react-dom/client";
import { flushSync } from "react-dom";
import { renderToString } from "react-dom/server";
import * as adapter from "deltalink/react";
import "./kit.js";

const { useDelta, useDeltaClient } = adapter;
const h = React.createElement;
const root = document.querySelector("#root");

/** Renders an element. `render(element)` of the result replaces it. */
function mount(element) {
  const reactRoot = createRoot(root);
  reactRoot.render(element);
  return reactRoot;
}

/** A component with the names of the contacts, separated by commas. `log` receives each result. */
function Names({ options, deps, log }) {
  const result = useDelta(useDeltaClient()?.orgContacts(), options, deps);
  log?.push(result);
  Object.assign(window, { result });
  return result.items.map(({ displayName }) => displayName).join();
}

Object.assign(window, adapter, {
  React,
  h,
  root,
  mount,
  hydrateRoot,
  flushSync,
  renderToString,
  Names,
});
