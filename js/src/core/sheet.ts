// The white sheet that a snapshot is drawn on, with dark letters.

export interface Sheet {
  canvas: HTMLCanvasElement;
  ink: CanvasRenderingContext2D;
}

/** A sheet in CSS pixels, with `ratio` canvas pixels for each; null where there is no canvas to draw on. */
export function sheet(width: number, height: number, ratio = 2): Sheet | null {
  const canvas = document.createElement("canvas");
  canvas.width = width * ratio;
  canvas.height = height * ratio;
  const ink = canvas.getContext("2d");
  if (!ink) return null;
  ink.scale(ratio, ratio);
  ink.fillStyle = "#fff";
  ink.fillRect(0, 0, width, height);
  ink.font = "13px system-ui, sans-serif";
  ink.fillStyle = "#1d2127";
  return { canvas, ink };
}
