import { BasicIndex, createLiveQueryCollection, createCollection, eq } from "@tanstack/db";
import { createRoot as createSolidRoot, from } from "solid-js";
import { get } from "svelte/store";
import * as Vue from "vue";
import { deltaCollectionOptions } from "deltalink/tanstack-db";
import { useDelta, useDescription, useReadable } from "deltalink/vue";
import "./kit.js";

Object.assign(window, {
  BasicIndex,
  createCollection,
  createLiveQueryCollection,
  eq,
  createSolidRoot,
  from,
  get,
  Vue,
  deltaCollectionOptions,
  useDelta,
  useDescription,
  useReadable,
});
