// The readiness report as Report.to_dict() gives it, and what can be read off it: where the gradient dies, on which scale.

export type FindingLevel = "ok" | "info" | "warning" | "error";

export interface ReportFinding {
  level: FindingLevel;
  check: string;
  text: string;
  advice: string | null;
  /** "" is the model itself. */
  layer: string | null;
  cause: string | null;
}

export interface ReportLayer {
  name: string;
  kind: string;
  shape: number[];
  /** null: no gradient arrives. */
  gradient_norm: number | null;
  finite: boolean;
  main: boolean;
  recommended: boolean;
  /** A gradient arrives that is zero or orders of magnitude too small. */
  faint: boolean;
}

export interface ReportFormat {
  name: string;
  title: string;
  input_gradients: string;
  layers: string;
  verdict: string;
  this: boolean;
}

export interface Report {
  verdict: string;
  /** False if the model is broken, or does not predict what its reference does; the verdict says nothing of that. */
  ok: boolean;
  sentence: string;
  model: {
    class: string;
    framework: string;
    format: string;
    input_shape: number[];
    n_outputs: number;
    preprocessing: string;
    trusted: boolean;
  };
  findings: ReportFinding[];
  /** In the order of the forward pass. */
  layers: ReportLayer[];
  formats: ReportFormat[];
  versions: Record<string, string>;
  seconds: number;
}

export type Tone = "good" | "part" | "warn" | "bad";

const TONES: Record<string, Tone> = {
  explainable: "good",
  "input-gradients-only": "part",
  "layer-gradients-only": "part",
  "inference-only": "warn",
  broken: "bad",
};

/** How good a verdict is, for its colour; the word always stands beside it. */
export const tone = (verdict: string): Tone => TONES[verdict] ?? "warn";

/** A verdict as people read it: "input gradients only". */
export const verdictWords = (verdict: string): string => verdict.replaceAll("-", " ");

/** Whether a gradient came back to a layer. */
export const arrives = ({ gradient_norm, finite }: ReportLayer): boolean =>
  !finite || (gradient_norm !== null && gradient_norm > 0);

const LOST = ["layer-gradients-only", "inference-only"];

/** Whether gradients at layers were looked at: not where the model cannot predict, or its layers cannot be reached. */
export const measured = ({ verdict, layers }: Pick<Report, "verdict" | "layers">): boolean =>
  LOST.includes(verdict) || layers.some((layer) => layer.gradient_norm !== null);

/**
 * Position of the first layer, seen from the score backwards, behind which no gradient arrives any more; -1 if it
 * reaches the first layer, or the verdict says that nothing is lost.
 */
export function lastDead({ verdict, layers }: Pick<Report, "verdict" | "layers">): number {
  if (!LOST.includes(verdict)) return -1;
  const alive = layers.findIndex(arrives);
  return (alive === -1 ? layers.length : alive) - 1;
}

/** Names of the layers that are shown first: the main ones, and as many levels of nesting as fit into some rows. */
export function outline(layers: readonly ReportLayer[], prefix: string, rows = 28): Set<string> {
  const depth = ({ name }: ReportLayer) => name.slice(prefix.length).split(/[./]/).length;
  let chosen = layers.filter((layer) => layer.main);
  for (let level = 1; ; level += 1) {
    const more = layers.filter((layer) => layer.main || depth(layer) <= level);
    if (more.length > rows || more.length === layers.length) break;
    chosen = more;
  }
  return new Set(chosen.map((layer) => layer.name));
}

export interface Decades {
  low: number;
  high: number;
}

/** Decades of a logarithmic axis around the norms, at most `most` of them; smaller norms keep the shortest bar. */
export function decades(layers: readonly ReportLayer[], most = 12): Decades {
  const norms = layers.map((layer) => layer.gradient_norm ?? 0).filter((norm) => norm > 0);
  if (norms.length === 0) return { low: -3, high: 0 };
  const high = Math.ceil(Math.log10(Math.max(...norms)) - 1e-9) + 0; // not -0
  const low = Math.floor(Math.log10(Math.min(...norms)) + 1e-9);
  return { low: Math.max(high - most, Math.min(low, high - 2)), high };
}

/** Length of a bar, 0 to 1; a gradient that arrives is never nothing. */
export function barLength(norm: number, { low, high }: Decades): number {
  return Math.min(1, Math.max(0.02, (Math.log10(norm) - low) / (high - low)));
}

/** A name for the exported file: letters, digits and dashes of the model's class. */
export const fileName = (report: Report): string =>
  `readiness-${report.model.class.replace(/[^A-Za-z0-9]+/g, "-").replace(/^-|-$/g, "") || "model"}.json`;
