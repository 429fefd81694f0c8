// Numbers as people read them, with a true minus sign, so that columns of figures line up.

const MINUS = "\u2212";

/** Three significant digits with a sign: +0.0236, −1.20e−7; 0 has none. */
export function signed(value: number | null | undefined): string {
  if (value === null || value === undefined || !Number.isFinite(value)) return "no value";
  if (value === 0) return "0";
  return (value > 0 ? "+" : MINUS) + magnitude(Math.abs(value));
}

/** Three significant digits without a sign. */
export function magnitude(value: number): string {
  if (value === 0) return "0";
  const text = value >= 0.001 && value < 10000 ? trim(value.toPrecision(3)) : value.toExponential(2);
  return text.replace("e-", `e${MINUS}`).replace("e+", "e");
}

const trim = (text: string) => (text.includes("e") ? String(Number(text)) : text);

/** A probability with two decimals; a tiny one is not called zero. */
export function probability(value: number): string {
  if (value > 0 && value < 0.005) return "<0.01";
  if (value < 1 && value >= 0.995) return ">0.99";
  return value.toFixed(2);
}

/** A share in whole percent; a tiny one with one digit: 61 %, 0.4 %. */
export function percent(share: number): string {
  const value = share * 100;
  if (value > 0 && value < 0.1) return "<0.1 %";
  return `${value > 0 && value < 1 ? value.toFixed(1) : Math.round(value)} %`;
}

export function seconds(value: number): string {
  return value < 10 ? `${value.toFixed(2)} s` : `${value.toFixed(0)} s`;
}
