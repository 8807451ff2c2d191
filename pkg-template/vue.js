// @ts-check
// Composables for Vue.
import { computed, onScopeDispose, shallowRef, toValue, watch } from "vue";
import { describe } from "./describe.js";
import { checkQuery } from "./error.js";
import { EMPTY, NEW } from "./initial.js";
import { listStatus } from "./list-status.js";

const SECOND = 1000;

/** @type {typeof import("./vue.js").useDelta} */
export function useDelta(query, options) {
  const state = shallowRef(EMPTY);
  const status = shallowRef(NEW);
  let current;
  let handle;
  let stops = [];
  const stop = () => {
    for (const stop of stops.splice(0)) stop();
    [current, handle] = [undefined, undefined];
  };

  const start = () => {
    const next = toValue(query);
    const { live = true, ...rest } = toValue(options) ?? {};
    stop();
    [state.value, status.value] = [EMPTY, NEW];
    if (next) checkQuery(next, "useDelta()");
    // A server renders an empty list, and starts nothing.
    if (!next || typeof document === "undefined") return;
    current = next;
    stops = [
      next.view(rest).subscribe((value) => (state.value = value)),
      next.status.subscribe((value) => (status.value = value)),
    ];
    if (!live) return;
    const started = (handle = next.live(live === true ? {} : live));
    stops.push(() => started.stop());
  };
  // Query objects with the same key may differ between calls, but share `subscribe`.
  const identify = (value) => value?.status?.subscribe ?? value;
  watch([() => identify(toValue(query)), () => toValue(options)], start, { immediate: true });
  onScopeDispose(stop);

  const shown = computed(() => listStatus(status.value, state.value));
  return {
    items: computed(() => state.value.items),
    ready: computed(() => state.value.ready),
    synced: computed(() => state.value.synced),
    total: computed(() => state.value.total),
    status: shown,
    error: computed(() => shown.value.error),
    // `status` shows the error.
    syncNow: async () => void (await (handle ? handle.syncNow() : current?.sync())?.catch(() => {})),
  };
}

/** @type {typeof import("./vue.js").useDescription} */
export function useDescription(status, options) {
  const words = shallowRef("");
  const update = () => (words.value = describe(toValue(status), toValue(options)));
  watch([() => toValue(status), () => toValue(options)], update, { immediate: true });
  // A server renders the words once.
  if (typeof document === "undefined") return words;
  const timer = setInterval(update, SECOND);
  onScopeDispose(() => clearInterval(timer));
  return words;
}

/** @type {typeof import("./vue.js").useReadable} */
export function useReadable(readable) {
  const value = shallowRef();
  let stop = () => {};
  const follow = (next) => {
    stop();
    value.value = next?.get();
    // A server renders the current value.
    if (typeof document === "undefined") return;
    stop = next?.subscribe((current) => (value.value = current)) ?? (() => {});
  };
  watch(() => toValue(readable), follow, { immediate: true });
  onScopeDispose(() => stop());
  return value;
}
