// @ts-check
// Receives Graph's change notifications. See Microsoft's pages "Receive change notifications
// through webhooks" (validation, responses, slow endpoints) and "Reduce missing subscriptions and
// change notifications" (lifecycle). Anybody can send such a request, so the cheap checks come
// first.
import { clientStateOf } from "./client-state.js";
import { badRequest, typeOf } from "./error.js";
import { checkNames } from "./option-checks.js";

export { nextAlarm } from "./next-alarm.js";
export { subscriptionLimits, subscriptions } from "./subscriptions.js";

/** The most bytes and notifications that a request may have. Graph sends far fewer. */
const MAX_BYTES = 1 << 20;
const MAX_NOTIFICATIONS = 1000;
/**
 * The longest time in milliseconds that a body may take. Graph sends it faster, because Graph waits
 * only 10 s for the response.
 */
const MAX_BODY_TIME = 5000;
/** The longest `clientState` (Graph's page "subscription resource type"). */
const MAX_CLIENT_STATE = 128;

/** @type {typeof import("./notifications.js").handleNotification} */
export async function handleNotification(request, options) {
  checkNames(options, ["clientState"], "handleNotification()");
  const expected = readClientState(options?.clientState);
  if (typeof request?.headers?.get !== "function")
    throw badRequest(`handleNotification() needs a Request of the Fetch API, got ${typeOf(request)}`);
  if (request.method !== "POST") return respond(405, null, { allow: "POST" });
  // The validation token is decoded once, by searchParams, and returned as plain text, because it
  // can contain HTML.
  const token = new URL(request.url).searchParams.get("validationToken");
  if (token !== null)
    return respond(200, token, {
      "content-type": "text/plain; charset=utf-8",
      "x-content-type-options": "nosniff",
    });
  const body = await readBody(request);
  if (typeof body === "number") return respond(body);
  let list;
  try {
    list = JSON.parse(body)?.value;
  } catch {
    return respond(400);
  }
  if (!Array.isArray(list)) return respond(400);
  if (list.length > MAX_NOTIFICATIONS) return respond(413);
  const notifications = list
    .filter((one) => isGenuine(one?.clientState, expected) && typeof one.subscriptionId === "string")
    .map(readNotification);
  const idsOf = (list) => [...new Set(list.map(({ subscriptionId }) => subscriptionId))];
  /** @param {import("./notifications.js").Notification} notification */
  const needsRenewal = ({ lifecycleEvent }) =>
    lifecycleEvent === "subscriptionRemoved" || lifecycleEvent === "reauthorizationRequired";
  // Forged notifications get the same response as genuine ones.
  return {
    ...respond(202),
    notifications,
    wake: idsOf(notifications),
    renew: idsOf(notifications.filter(needsRenewal)),
  };
}

/** @type {typeof import("./notifications.js").clientStateFor} */
export const clientStateFor = (secret, name) => clientStateOf(secret, name, "clientStateFor()");

/** A result without notifications. */
const respond = (status, body = null, headers = {}) => ({
  response: new Response(body, { status, headers }),
  notifications: [],
  wake: [],
  renew: [],
});

/** Returns the accepted values of `clientState`. */
function readClientState(clientState) {
  const list = Array.isArray(clientState) ? clientState : [clientState];
  if (!list.length)
    throw badRequest("options.clientState of handleNotification() must not be an empty array");
  for (const one of list) {
    if (typeof one !== "string" || !one || one.length > MAX_CLIENT_STATE)
      throw badRequest(
        `options.clientState of handleNotification() must be a string of 1 to ${MAX_CLIENT_STATE} characters, or an array of them, got ${typeOf(one)}${one?.length > MAX_CLIENT_STATE ? " that is longer" : ""}`,
      );
  }
  return list;
}

/**
 * Copies the known properties of a notification. The others may have any size and type.
 *
 * @returns {import("./notifications.js").Notification}
 */
function readNotification(one) {
  const known = ["subscriptionId", "changeType", "lifecycleEvent", "resource", "tenantId"];
  const entries = known.filter((name) => typeof one[name] === "string").map((name) => [name, one[name]]);
  return /** @type {any} */ (Object.fromEntries(entries));
}

/** Whether a value is an accepted one. The time does not depend on how many characters match. */
function isGenuine(given, expected) {
  // The type and the lengths are not secret, and cheap to compare.
  if (typeof given !== "string") return false;
  let isEqual = false;
  for (const one of expected) {
    if (given.length !== one.length) continue;
    let difference = 0;
    for (let index = 0; index < one.length; index++)
      difference |= given.charCodeAt(index) ^ one.charCodeAt(index);
    isEqual = difference === 0 || isEqual;
  }
  return isEqual;
}

/**
 * Reads a body. Resolves to the status of the response if the body is too large, by its
 * Content-Length or while it arrives, if it takes too long, or if it ends early.
 */
async function readBody(request) {
  if (Number(request.headers.get("content-length")) > MAX_BYTES) return 413;
  if (!request.body) return "";
  const streamReader = request.body.getReader();
  const decoder = new TextDecoder();
  let timer;
  const timedOut = new Promise((resolve) => (timer = setTimeout(resolve, MAX_BODY_TIME)));
  let [text, size, status] = ["", 0, 0];
  try {
    while (!status) {
      const read = await Promise.race([streamReader.read(), timedOut]);
      if (!read) status = 408;
      else if (read.done) return text + decoder.decode();
      else {
        size += read.value.byteLength;
        if (size > MAX_BYTES) status = 413;
        else text += decoder.decode(read.value, { stream: true });
      }
    }
  } catch {
    status = 400;
  } finally {
    clearTimeout(timer);
  }
  streamReader.cancel().catch(() => {});
  return status;
}
