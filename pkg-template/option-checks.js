// @ts-check
// Checks the options of the subpaths for Workers and servers. A message contains a number, or the
// type of any other value: `vars` and secrets are easily confused.
import { badRequest, typeOf } from "./error.js";

/**
 * Returns a finite number. `what` names it in the message.
 *
 * @returns {number}
 */
export function checkNumber(value, what, least = 0) {
  if (Number.isFinite(value) && value >= least) return value;
  throw badRequest(`${what} must be a number of at least ${least}, got ${shown(value)}`);
}

/**
 * Returns a whole number of at least 1. `what` names it in the message.
 *
 * @returns {number}
 */
export function checkCount(value, what) {
  if (Number.isSafeInteger(value) && value >= 1) return value;
  throw badRequest(`${what} must be a whole number of at least 1, got ${shown(value)}`);
}

/** Returns a number of the options of `owner`, or `initial` if it is missing. */
export const readNumber = (options, name, owner, initial, least = 0) =>
  checkNumber(options?.[name] ?? initial, `options.${name} of ${owner}`, least);

/** Returns a whole number of the options of `owner`, or `initial` if it is missing. */
export const readCount = (options, name, owner, initial) =>
  checkCount(options?.[name] ?? initial, `options.${name} of ${owner}`);

export const isFunction = (value) => typeof value === "function";
export const isText = (value) => typeof value === "string" && value !== "";
/** The longest delay of a timer. Hosts fire a timer at once if its delay is longer. */
const LONGEST_TIMEOUT = 2 ** 31 - 1;
export const isTimeout = (ms) => Number.isSafeInteger(ms) && ms > 0 && ms <= LONGEST_TIMEOUT;
/** What `isTimeout` accepts. */
export const TIMEOUT = `a whole number of milliseconds from 1 to ${LONGEST_TIMEOUT}`;

/** Checks an option, if it is set. `what` says what it must be. */
export function checkOption(options, name, owner, isValid, what) {
  const value = options?.[name];
  if (value !== undefined && !isValid(value))
    throw badRequest(`options.${name} of ${owner} must be ${what}, got ${shown(value)}`);
}

/** Returns a function of the options, or undefined if it is missing and optional. */
export function readFunction(options, name, owner, isOptional = false) {
  const value = options?.[name];
  if (typeof value === "function" || (isOptional && value === undefined)) return value;
  throw badRequest(`options.${name} of ${owner} must be a function, got ${typeOf(value)}`);
}

/**
 * Returns a binding of Durable Objects, or undefined if it is missing and optional. Every property
 * of a stub is a function, except for the `id` of a Durable Object. A binding has no `id`.
 */
export function readNamespace(options, name, owner, isOptional = false) {
  const value = options?.[name];
  const isStub = value?.id !== undefined;
  if (typeof value?.getByName === "function" && !isStub) return value;
  if (isOptional && value === undefined) return value;
  throw badRequest(
    `options.${name} of ${owner} must be a binding of Durable Objects, such as env.${name.toUpperCase()}, got ${isStub ? "a stub" : typeOf(value)}`,
  );
}

/** The settings of mailboxes, which classes and functions may get even if they do not use them. */
const SETTINGS = "mailboxes registries budget shards roundsAtOnce pause backOff spread".split(" ");

/** Refuses names of options that are not in `names`, those of `owner`, and not in `SETTINGS`. */
export function checkSettings(options, names, owner) {
  checkNames(options ?? undefined, names, owner, SETTINGS);
}

/** Refuses names of options that are not in `names`, those of `owner`, and not in `ignored`. */
export function checkNames(options, names, owner, ignored = []) {
  if (options !== undefined && (options === null || typeof options !== "object"))
    throw badRequest(`the options of ${owner} must be an object, got ${typeOf(options)}`);
  const other = Object.keys(options ?? {}).find((name) => ![...names, ...ignored].includes(name));
  if (other === undefined) return;
  throw badRequest(`options.${other} is not an option of ${owner}: the options are ${names.join(", ")}`);
}

/** Returns the name of a mailbox. */
export function readName(value, owner) {
  if (typeof value === "string" && value) return value;
  throw badRequest(`the mailbox of ${owner} must be a non-empty string, got ${typeOf(value)}`);
}

const shown = (value) => (typeof value === "number" ? value : typeOf(value));
