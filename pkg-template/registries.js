// @ts-check
/** The number of registries by default. */
export const SHARDS = 16;

/**
 * Returns a new stub of the registry with this number. Each call needs a new one, because a failed
 * call breaks its stub.
 */
export const registryOf = (registries, shard) => registries.getByName(`registry-${shard}`);
