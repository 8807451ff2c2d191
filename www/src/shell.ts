// Registers the service worker, which stores the files of the dashboard, so that it opens offline.

interface TrustedTypes {
  createPolicy(
    name: string,
    rules: { createScriptURL(url: string): string },
  ): { createScriptURL(url: string): string };
}

/** Calls `onUpdate` with the function that reloads the dashboard, if a newer build is ready. */
export async function keepShell(onUpdate: (reload: () => void) => void): Promise<void> {
  if (!import.meta.env.PROD || !("serviceWorker" in navigator)) return;
  // The only Trusted Types policy that the Content Security Policy allows. It accepts one URL.
  const types = (window as { trustedTypes?: TrustedTypes }).trustedTypes;
  const own = new URL("sw.js", document.baseURI).href;
  const url = types
    ? types.createPolicy("deltalink-worker", { createScriptURL: () => own }).createScriptURL(own)
    : own;
  try {
    const registration = await navigator.serviceWorker.register(url);
    const watch = (worker: ServiceWorker | null): void =>
      worker?.addEventListener("statechange", () => {
        if (worker.state === "installed" && navigator.serviceWorker.controller) offer(worker);
      });
    if (registration.waiting && navigator.serviceWorker.controller) offer(registration.waiting);
    watch(registration.installing);
    registration.addEventListener("updatefound", () => watch(registration.installing));
    await navigator.serviceWorker.ready;
    document.body.dataset.shell = "kept";
  } catch {
    // Without a service worker the dashboard works online only.
  }

  function offer(worker: ServiceWorker): void {
    onUpdate(() => {
      navigator.serviceWorker.addEventListener("controllerchange", () => location.reload(), { once: true });
      worker.postMessage("activate");
    });
  }
}
