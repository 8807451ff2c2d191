// Replaces src/auth.ts of the example: a stub sign-in for a fake Graph in the web page. The test
// reads and sets `window.example`.
import { openDelta } from "deltalink";
import { fakeGraph } from "deltalink/testing";

const graph = await fakeGraph();
const example = (window.example = { graph, isSignedIn: false, signIns: [] });

export const open = async (account) =>
  (example.client = await openDelta({
    account,
    store: "memory",
    fetch: graph.fetch,
    token: (request) =>
      example.isSignedIn
        ? graph.token(request)
        : Promise.reject(Object.assign(new Error("sign in"), { errorCode: "interaction_required" })),
    retry: { base: 1, attempts: 1 },
  }));

export const restore = async () => undefined;

export const signIn = async (claims) => {
  example.signIns.push(claims);
  example.isSignedIn = true;
  return "alex";
};

export const signOut = async () => {
  example.isSignedIn = false;
};
