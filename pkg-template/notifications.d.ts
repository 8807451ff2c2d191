import type { AbortSignal, fetch, Request, Response } from "./host.js";
import type { Cloud, TokenSource } from "deltalink";

/** The options of `handleNotification()`. */
export interface NotificationOptions {
  /**
   * The `clientState` of the subscriptions that send to this URL, or several while a secret is
   * being replaced. Notifications with another one are ignored.
   */
  clientState: string | readonly string[];
}

/** A notification with the right `clientState`, as Graph sent it. */
export interface Notification {
  subscriptionId: string;
  /** `created`, `updated` or `deleted`. Missing in lifecycle notifications. */
  changeType?: string;
  /**
   * `missed`: Graph could not deliver some notifications. `subscriptionRemoved`: the subscription
   * no longer exists. `reauthorizationRequired`: renew the subscription soon. Graph may add others.
   */
  lifecycleEvent?: string;
  /** The path of the changed item. Do not use it as a URL. */
  resource?: string;
  tenantId?: string;
}

/** The result of `handleNotification()`. */
export interface HandledNotification {
  /** The response to Graph. Return it after `wake` is stored, and within ten seconds. */
  response: Response;
  /** The notifications with the right `clientState`. */
  notifications: Notification[];
  /**
   * The ids of the subscriptions whose resource may have changed: run a round. A round needs no
   * other data from a notification, and finds the changes of a lost one (`missed`) too.
   */
  wake: string[];
  /**
   * The ids of the subscriptions to renew: call `ensure(subscription, { renew: true })`. It creates
   * another one if Graph has removed it.
   */
  renew: string[];
}

/**
 * Reads a request of Graph to a notification URL, and returns what to do and the response.
 *
 * Echoes the token by which Graph validates a new notification URL. Accepts notifications with the
 * right `clientState`, compared in constant time; forged ones get the same response, so that a
 * sender learns nothing. Bodies of more than 1 MB or with more than 1,000 notifications are refused
 * with 413, bodies that take more than 5 seconds with 408, and others that Graph would not send
 * with 400 or 405. Rejects for wrong options, and for a request whose body has already been read.
 *
 * Do the work elsewhere: Graph counts an endpoint as slow if more than 10 % of its responses take
 * longer than 10 seconds, and drops notifications beyond 15 % (Graph's page "Receive change
 * notifications through webhooks"). If the ids cannot be stored, respond with 503 instead: Graph
 * then repeats the notification for up to four hours. Graph may also repeat one that was delivered,
 * and anybody can replay one: it must lead to a round at most.
 *
 * @example
 *   const options = { clientState: env.CLIENT_STATE };
 *   const { response, wake } = await handleNotification(request, options);
 *   if (wake.length) await env.USERS.getByName("users").wake(); // only sets an alarm
 *   return response;
 */
export function handleNotification(
  request: Request,
  options: NotificationOptions,
): Promise<HandledNotification>;

/**
 * Returns a `clientState` for the name of a mailbox or tenant: its HMAC, 64 characters. It proves
 * without a lookup that a notification is genuine, and is not valid for another name. Put the name
 * into the notification URL.
 *
 * Rejects with `bad-request` if the secret has fewer than 32 characters.
 *
 * @example
 *   const clientState = await clientStateFor(env.NOTIFICATION_SECRET, mailbox);
 */
export function clientStateFor(secret: string, name: string): Promise<string>;

/** The options of `subscriptions()`. */
export interface SubscriptionOptions {
  /** The token source, as for `openDelta()`. It needs the permission to read the resource. */
  token: TokenSource;
  /**
   * The resource as Graph names it for subscriptions, such as `users`, `users/{id}/events` or
   * `users/{id}/onlineMeetings/getAllRecordings`. It is not the path of the delta query.
   */
  resource: string;
  /**
   * The https URL of the route that calls `handleNotification()`. Graph calls it while the
   * subscription is created, so the Worker must already be deployed.
   */
  notificationUrl: string;
  /** The URL for lifecycle notifications. Default: `notificationUrl`. */
  lifecycleNotificationUrl?: string;
  /** A secret of at most 128 characters that Graph sends with each notification. */
  clientState: string;
  /** The changes, separated by commas. Default: all that {@link subscriptionLimits} names. */
  changeType?: string;
  /**
   * The lifetime in milliseconds, from 1 to a year. Default: the longest that Graph allows for the
   * resource, less ten minutes for clock skew.
   */
  lifetime?: number;
  /** A national cloud. Default `"global"`. */
  cloud?: Cloud;
  /** The root of another Graph, as for `openDelta()`. Not together with `cloud`. */
  endpoint?: string;
  /**
   * The time in milliseconds after which a request fails with `network`: a whole number. Default
   * 30000.
   */
  timeout?: number;
  /** Called instead of the host's `fetch`. */
  fetch?: typeof fetch;
}

/** A subscription, to be stored: it can be serialized as JSON and contains no secret. */
export interface Subscription {
  id: string;
  /** When the subscription expires, in milliseconds since 1970. */
  expiresAt: number;
  /**
   * The time from which `ensure()` renews it, in milliseconds since 1970: when a third of its
   * lifetime is left.
   */
  renewAt: number;
  /**
   * A hash of `resource`, `changeType`, the URLs and `clientState`. `ensure()` replaces a
   * subscription that was made with others.
   */
  settings: string;
}

/** Creates, renews, replaces and deletes the subscription of a resource. */
export interface Subscriptions {
  /**
   * Makes sure that there is a subscription with these options, and resolves to it: store it, and
   * pass it to the next call. Sends no request if there is nothing to do.
   *
   * Without `current` it creates a subscription. It renews `current` from `renewAt` on, or with
   * `renew`, and creates another one if Graph no longer has it. If one of the
   * options in the hash of `settings` has changed, it deletes `current` and creates another one.
   *
   * When `signal` fires, no further request begins, but a pending one is awaited: the subscription
   * that it makes is returned, so that it can be deleted.
   *
   * Rejects with a `DeltaError`, such as `throttled` with `retryAt`, `forbidden` (a permission or a
   * quota), `network`, `unauthorized`, `bad-request` (also if the notification URL did not respond
   * to Graph) or `foreign-link` (a redirect, which is never followed). No message contains a token
   * or the `clientState`.
   *
   * @example
   *   const stored = ctx.storage.kv.get<Subscription>("subscription");
   *   const subscription = await subscriptions(options).ensure(stored);
   *   ctx.storage.kv.put("subscription", subscription);
   *   await ctx.storage.setAlarm(subscription.renewAt);
   */
  ensure(current?: Subscription, options?: { renew?: boolean; signal?: AbortSignal }): Promise<Subscription>;
  /** Deletes a subscription. Resolves if Graph no longer has it. Rejects as `ensure()` does. */
  delete(subscription: Pick<Subscription, "id">): Promise<void>;
}

/**
 * Returns an object that creates, renews, replaces and deletes the subscription of a resource. This
 * call sends no request: call `ensure()` in an alarm.
 *
 * Throws `bad-request` for wrong options, and for a resource that has no notifications: poll it, or
 * set `lifetime` and `changeType`.
 *
 * @example
 *   const { TENANT: tenant, CLIENT: clientId, SECRET: secret } = env;
 *   const push = subscriptions({
 *     token: clientCredentials({ tenant, clientId, secret }),
 *     resource: "users",
 *     notificationUrl: "https://sync.example/notifications",
 *     clientState: env.CLIENT_STATE,
 *   });
 *   const subscription = await push.ensure();
 */
export function subscriptions(options: SubscriptionOptions): Subscriptions;

/**
 * Returns the longest lifetime in milliseconds, and the changes that Graph reports, for a resource
 * with a delta query. Undefined if Graph documents no notifications for it, as for directory
 * contacts and devices, or for a resource that has no delta query (Graph's page "Set up
 * notifications for changes in resource data").
 *
 * @example subscriptionLimits("users/alex@contoso.com/events")?.lifetime; // 604800000, a week
 */
export function subscriptionLimits(resource: string): { lifetime: number; changeType: string } | undefined;

/** The options of `nextAlarm()`. */
export interface NextAlarmOptions {
  /** The current time, in milliseconds since 1970. Default: `Date.now()`. */
  now?: number;
  /** A number from 0 to 1 for the jitter. Default: `Math.random()`. */
  random?: number;
  /** The back-off after a first failure, in milliseconds. Default 5000. */
  base?: number;
  /** The longest back-off, in milliseconds. Default 1800000, half an hour. */
  cap?: number;
}

/** When to try again, and why at that time. */
export interface NextAlarm {
  /** In milliseconds since 1970: in the future, and at most a day ahead. */
  at: number;
  /**
   * `retry-after`: Graph named the time. `back-off`: another attempt may succeed. `needs-user`: a
   * user has to sign in, or an administrator to consent. `gone`: the user or the collection does
   * not exist; consider removing its state. `failed`: a mistake of the app, or an answer that
   * cannot be used.
   */
  reason: "retry-after" | "back-off" | "needs-user" | "gone" | "failed";
}

/**
 * Returns when to try again after an error of a round or of `subscriptions()`.
 *
 * The wait doubles with each attempt, up to `cap` (for `gone`, up to a day), and jitter shortens it
 * by at most half. It is never shorter than Graph's `Retry-After`, but one of more than a day is
 * ignored. After errors that only people resolve, the first wait is 64 times as long. `attempts` is
 * the number of consecutive failures: increase and store it before a round, and reset it after a
 * round without an error. A round during which the Durable Object is aborted then counts as a
 * failure.
 *
 * @example
 *   const { at, reason } = nextAlarm(error, attempts);
 *   console.warn({ reason, code: error.code });
 *   await ctx.storage.setAlarm(at);
 */
export function nextAlarm(error: unknown, attempts: number, options?: NextAlarmOptions): NextAlarm;
