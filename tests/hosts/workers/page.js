// Starts the workers of the tests. A worker sends one message for each task.
const { MessageChannel, SharedWorker, Worker } = globalThis;

const reply = (port) =>
  new Promise((resolve) => {
    port.onmessage = ({ data }) => resolve(data);
  });

export const sendTask = {
  dedicated(url, type, task) {
    const worker = new Worker(url, { type });
    worker.postMessage(task);
    return Promise.race([
      reply(worker),
      new Promise((_, reject) => {
        worker.onerror = ({ message }) => reject(new Error(`the worker failed: ${message}`));
      }),
    ]);
  },
  shared(url, type, task) {
    const { port } = new SharedWorker(url, { type });
    port.postMessage(task);
    return reply(port);
  },
  async service(url, type, task) {
    const registration = await navigator.serviceWorker.register(url, { type });
    const worker = registration.active ?? registration.waiting ?? registration.installing;
    const { port1, port2 } = new MessageChannel();
    worker.postMessage(task, [port2]);
    return reply(port1);
  },
};
