// @ts-check
/** The number of registries by default. */
export const SHARDS = 16;

/**
 * Returns the registry with this number. Each call needs another stub: one that failed is broken.
 */
export const registryOf = (registries, shard) => registries.getByName(`registry-${shard}`);
