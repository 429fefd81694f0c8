// Readiness reports for tests and the development page: a healthy model, faulty ones, and one that only predicts.
import type { Report, ReportFinding, ReportLayer } from "../src/core/report";
import type { MockModel } from "./mock_model";

const finding = (
  level: ReportFinding["level"],
  check: string,
  text: string,
  extra: Partial<ReportFinding> = {},
): ReportFinding => ({ level, check, text, advice: null, layer: null, cause: null, ...extra });

const NORMS = [0.0412, 0.031, 0.0187, 0.0094, 0.0121, 0.0205, 0.0388, 0.0911, 0.142, 0.318];

/** A small ResNet: four stages of two blocks of two convolutions. */
function layers(): ReportLayer[] {
  const found: ReportLayer[] = [];
  const add = (name: string, kind: string, side: number, depth: number, main: boolean) => {
    const at = found.length;
    const norm = NORMS[Math.min(NORMS.length - 1, Math.floor(at / 3.2))] * (1 + 0.4 * Math.sin(at * 2.1));
    const shape = side ? [side, side, depth] : [depth];
    found.push({
      name,
      kind,
      shape,
      gradient_norm: norm,
      finite: true,
      main,
      recommended: false,
      faint: false,
    });
  };
  add("stem.0", "Conv2d", 64, 16, false);
  add("stem.1", "BatchNorm2d", 64, 16, false);
  add("stem", "Sequential", 64, 16, true);
  for (const stage of [1, 2, 3, 4])
    for (const block of [1, 2]) {
      const side = 64 / 2 ** (stage - 1);
      for (const name of ["conv1", "conv2"])
        add(`stage${stage}.block${block}.${name}`, "Conv2d", side, 16 * stage, false);
      add(`stage${stage}.block${block}`, "ResidualBlock", side, 16 * stage, true);
    }
  add("head", "Linear", 0, 2, true);
  const last = found.find(({ name }) => name === "stage4.block2");
  if (last) last.recommended = true;
  return found;
}

const formats = (mine: string) =>
  (
    [
      ["torch", "PyTorch", "yes", "yes", "explainable"],
      ["torchscript", "TorchScript", "unless frozen", "no", "input-gradients-only"],
      ["torch-export", "torch.export", "yes", "yes", "explainable"],
      ["keras", "Keras", "yes", "yes", "explainable"],
      ["savedmodel", "SavedModel", "if it has them", "no", "input-gradients-only"],
      ["onnx", "ONNX", "no", "no", "inference-only"],
      ["frozen-graph", "Frozen graph (.pb)", "no", "no", "inference-only"],
      ["converted", "Converted from ONNX", "if kept", "if kept", "by check"],
    ] as const
  ).map(([name, title, input_gradients, layers, verdict]) => ({
    name,
    title,
    input_gradients,
    layers,
    verdict,
    this: name === mine,
  }));

const PASSED = [
  finding("ok", "forward", "The model predicts: 2 finite scores."),
  finding("ok", "deterministic", "The same picture gives the same scores twice."),
  finding("ok", "eval_mode", "All layers are in eval mode."),
  finding("ok", "batch", "A picture's scores do not depend on the others of its batch."),
];
const INPUT = [
  finding("ok", "input_gradient", "The gradient at the input is there, finite and not zero."),
  finding("ok", "layers", "26 of 26 layers get a gradient."),
];
const ASSUMED = finding(
  "info",
  "preprocessing",
  "No preprocessing was given or found: values / 255 is used.",
  {
    advice: "Pass preprocessing=... to load if the model was trained with something else.",
  },
);

function base(): Report {
  return {
    verdict: "explainable",
    ok: true,
    sentence: "A gradient flows from the score to the picture, and to every layer on the way.",
    model: {
      class: "LesionNet",
      framework: "torch",
      format: "torch",
      input_shape: [128, 128, 3],
      n_outputs: 2,
      preprocessing: "stretch to 128 x 128, values 0 to 1",
      trusted: false,
    },
    findings: [...PASSED, ...INPUT, ASSUMED],
    layers: layers(),
    formats: formats("torch"),
    versions: { torch: "2.13.0", xai_widgets: "0.1.0" },
    seconds: 0.08,
  };
}

/** torch.no_grad around stage 2: nothing arrives from its end back to the input. */
function lost(): Report {
  const report = base();
  const end = report.layers.findIndex(({ name }) => name === "stage2.block2");
  return {
    ...report,
    verdict: "layer-gradients-only",
    sentence: "The gradient is lost in stage2.block2, on its way from the score to the picture.",
    findings: [
      finding(
        "error",
        "input_gradient",
        "No gradient arrives at the input. It is lost in stage2.block2: it runs under torch.no_grad(), so autograd does not record it.",
        {
          advice:
            "Take the no_grad block or decorator out of the forward pass; callers who only predict can put it around the call of the model.",
          layer: "stage2.block2",
          cause: "no_grad",
        },
      ),
      finding("warning", "bias", "The scores barely change between pictures: the head may be saturated.", {
        advice: "Check that the weights are loaded.",
        layer: "head",
      }),
      ...PASSED,
      ASSUMED,
    ],
    layers: report.layers.map((layer, index) => (index <= end ? { ...layer, gradient_norm: null } : layer)),
  };
}

/** A dead network: the gradient arrives, and fades from the middle on. */
function faded(): Report {
  const report = base();
  const end = report.layers.findIndex(({ name }) => name === "stage2.block2");
  return {
    ...report,
    findings: [
      finding("warning", "gradient", "The gradient vanishes in stage3.block1.conv1.", {
        advice: "Check that the weights are loaded.",
        layer: "stage3.block1.conv1",
        cause: "vanishing",
      }),
      ...PASSED,
    ],
    layers: report.layers.map((layer, index) =>
      index <= end ? { ...layer, gradient_norm: 10 ** (-13 + index / 6), faint: true } : layer,
    ),
  };
}

function onnx(): Report {
  return {
    ...base(),
    verdict: "inference-only",
    sentence: "This model predicts, but cannot be explained by gradients.",
    model: { ...base().model, class: "lesions.onnx", framework: "onnxruntime", format: "onnx" },
    findings: [
      finding("info", "gradient", "An ONNX file holds the forward pass only.", {
        advice: "Load the model that it was exported from.",
      }),
      ...PASSED,
    ],
    layers: [],
    formats: formats("onnx"),
    versions: { onnxruntime: "1.24.1" },
  };
}

function broken(): Report {
  return {
    ...base(),
    verdict: "broken",
    ok: false,
    sentence: "The scores are not finite: the model cannot be used for this picture.",
    findings: [
      finding("error", "finite", "The scores are not finite from stage3.block1 on.", {
        advice: "Add a small constant under roots, logarithms and divisions.",
        layer: "stage3.block1",
        cause: "not_finite",
      }),
      ...PASSED.slice(1),
    ],
    layers: layers().map((layer) => ({
      ...layer,
      gradient_norm: null,
      finite: !/stage[34]|head/.test(layer.name),
    })),
  };
}

function many(): Report {
  const report = base();
  const blocks = Array.from({ length: 60 }, (_, i) => ({
    ...report.layers[3],
    name: `backbone/conv${1 + Math.floor(i / 15)}_block${(i % 15) + 1}_out`,
    gradient_norm: 10 ** (-9 + i / 7),
    shape: [28, 28, 512],
    main: true,
  }));
  return { ...report, layers: blocks };
}

export const REPORTS: Record<string, () => Report> = { healthy: base, lost, faded, onnx, broken, many };

/** Answers a readiness panel as the real kernel would; `finish` ends a job that is held back. */
export class MockChecker {
  revision = 1;

  constructor(
    readonly model: MockModel,
    readonly report: Report,
    readonly manual = false,
  ) {
    model.onSend = (message) => {
      model.receive("ack", { id: message.id }, this.revision);
      if (message.kind === "hello") this.start();
      else if (message.kind === "retry") {
        this.revision += 1;
        this.start();
      } else if (message.kind === "cancel")
        model.receive("cancelled", { message: "The check was cancelled." }, this.revision);
    };
  }

  start(): void {
    const { model, report, revision } = this;
    const verdict = {
      verdict: report.verdict === "inference-only" ? "inference-only" : "explainable",
      sentence: "A gradient flows from the score to the picture.",
      findings: [],
    };
    model.receive("setup", { title: report.model.class, framework: "torch", verdict }, revision);
    model.receive("accepted", {}, revision);
    const text = `Checking ${report.model.class}`;
    model.receive("progress", { done: 0, total: 0, stage: "check", text }, revision);
    if (!this.manual) this.finish();
  }

  finish(): void {
    const { model, report, revision } = this;
    model.receive("report", { report, error: null }, revision);
    const nothing = { cached: false, target: null, layer: null, facts: [], notes: [] };
    model.receive("result", { seconds: report.seconds, ...nothing }, revision);
  }

  fail(message: string, traceback: string): void {
    this.model.receive("error", { message, traceback, stage: "check", withdrawn: [] }, this.revision);
  }
}
