// Medians, paired ratios, and the decision whether a package is slower.

/** A median ratio above this is a slowdown, if the noise does not explain it. */
export const TOLERATED_RATIO = 1.05;
/** The required confidence that the true median ratio is above 1. */
const CONFIDENCE = 0.95;

export function median(values) {
  const sorted = [...values].sort((one, other) => one - other);
  const middle = sorted.length >> 1;
  return sorted.length % 2 ? sorted[middle] : (sorted[middle - 1] + sorted[middle]) / 2;
}

export function summary(values) {
  return { median: median(values), min: Math.min(...values), max: Math.max(...values) };
}

/** The ratio of two contestants in each run. */
export function ratios(values, others) {
  return values.map((value, index) => value / others[index]);
}

/**
 * The lower confidence limit of the median of these values, by the sign test: the k-th smallest,
 * for the largest k for which fewer than k of n fair coins fall on one side with a probability of
 * at most 1 - CONFIDENCE. It assumes no distribution. With fewer than five values even the smallest
 * is not such a limit, so the result is -Infinity.
 */
export function lowerLimit(values) {
  const sorted = [...values].sort((one, other) => one - other);
  let below = 0;
  let chance = 0.5 ** sorted.length;
  let limit = -Infinity;
  for (let k = 0; k < sorted.length; k++) {
    below += chance;
    if (below > 1 - CONFIDENCE) break;
    limit = sorted[k];
    chance *= (sorted.length - k) / (k + 1);
  }
  return limit;
}

/** Whether to measure again: a slowdown, or too few ratios to decide. */
export function looksSlower(paired) {
  const limit = lowerLimit(paired);
  return median(paired) > TOLERATED_RATIO && (limit === -Infinity || limit > 1);
}

/**
 * Whether paired ratios of new to base show a slowdown: their median is above the tolerated ratio,
 * and its lower confidence limit is above 1.
 */
export function isSlower(paired) {
  return median(paired) > TOLERATED_RATIO && lowerLimit(paired) > 1;
}
