// Order statistics of attribution maps: sorted magnitudes, percentiles and the scale of the colours.

const sortedCache = new WeakMap<Float32Array, Float32Array>();

/** Magnitudes of the finite values, ascending; sorted once per map. */
export function sortedMagnitudes(values: Float32Array): Float32Array {
  let sorted = sortedCache.get(values);
  if (!sorted) {
    sorted = values.filter(Number.isFinite).map(Math.abs).sort();
    sortedCache.set(values, sorted);
  }
  return sorted;
}

/** The p-th percentile (0..100) of the magnitudes, linearly interpolated as NumPy does; 0 for an empty map. */
export function percentile(values: Float32Array, p: number): number {
  const sorted = sortedMagnitudes(values);
  if (sorted.length === 0) return 0;
  const position = (Math.min(100, Math.max(0, p)) / 100) * (sorted.length - 1);
  const low = Math.floor(position);
  const high = Math.min(low + 1, sorted.length - 1);
  return sorted[low] + (sorted[high] - sorted[low]) * (position - low);
}

/** Share of the pixels that may saturate so that one outlier does not wash out the rest of a map. */
const SCALE_PERCENTILE = 99.5;

/** Magnitude that gets the end of the colour table: the 99.5th percentile, or the largest of a very sparse map. */
export function scaleOf(values: Float32Array): number {
  const robust = percentile(values, SCALE_PERCENTILE);
  if (robust > 0) return robust;
  const sorted = sortedMagnitudes(values);
  return sorted.length ? sorted[sorted.length - 1] : 0;
}
