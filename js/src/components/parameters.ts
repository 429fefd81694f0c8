// The method's parameters as a form made from their descriptions; only values that differ from the default are sent.

import { h, setAttr, setText, uniqueId } from "../core/dom";
import type { ParameterInfo, ParameterValue } from "../core/protocol";
import type { Change, Context, Part } from "./context";

/** The value a field holds, or the sentence that says what is wrong with it. */
export function readField(
  info: ParameterInfo,
  text: string,
  checked: boolean,
): { value: ParameterValue } | { wrong: string } {
  if (info.kind === "bool") return { value: checked };
  if (info.kind === "choice") {
    const value = (info.choices ?? []).find((choice) => String(choice) === text);
    return value === undefined ? { wrong: `${info.label}: "${text}" is not one of the choices.` } : { value };
  }
  const value = text.trim() === "" ? Number.NaN : Number(text);
  if (!Number.isFinite(value)) return { wrong: `${info.label} has to be a number.` };
  if (info.kind === "int" && !Number.isInteger(value))
    return { wrong: `${info.label} has to be a whole number.` };
  if (typeof info.minimum === "number" && value < info.minimum)
    return { wrong: `${info.label} has to be at least ${info.minimum}.` };
  if (typeof info.maximum === "number" && value > info.maximum)
    return { wrong: `${info.label} can be at most ${info.maximum}.` };
  return { value };
}

/** What a parameter is for, and its range. */
export function helpText({ help, minimum, maximum }: ParameterInfo): string {
  const number = (value: number) => (value >= 2 ** 31 - 1 ? "any number" : String(value));
  const range =
    typeof minimum !== "number"
      ? ""
      : typeof maximum === "number"
        ? `${minimum} to ${number(maximum)}`
        : `at least ${minimum}`;
  return [help, range && `${range}.`].filter(Boolean).join(" ");
}

const ownOption = (input: HTMLElement) => input.querySelector<HTMLOptionElement>("option[data-own]");

export function parameterForm(context: Context): Part {
  const { store } = context;
  const fields = h("div", { class: "xaiw-fields" });
  const helpId = uniqueId("help");
  const help = h("small", { id: helpId, class: "xaiw-about" });
  const reset = h("button", { type: "button", class: "xaiw-link", hidden: true }, "Reset");
  const root = h(
    "section",
    { class: "xaiw-section" },
    h("div", { class: "xaiw-heading" }, h("h3", {}, "Parameters"), reset),
    fields,
    help,
  );
  let shown: ParameterInfo[] | null = null;
  let setters: ((value: ParameterValue) => void)[] = [];

  const values = () => store.get("parameters")?.[store.get("method")] ?? {};

  function change(info: ParameterInfo, value: ParameterValue): void {
    const own: Record<string, ParameterValue> = { ...values(), [info.name]: value };
    if (value === info.default) delete own[info.name];
    save(own);
  }

  function save(own: Record<string, ParameterValue>): void {
    const method = store.get("method");
    const { [method]: _, ...others } = store.get("parameters") ?? {};
    store.set({ parameters: Object.keys(own).length ? { ...others, [method]: own } : others });
  }
  reset.addEventListener("click", () => save({}));

  function field(info: ParameterInfo): HTMLElement {
    const id = uniqueId("parameter");
    const wrong = h("small", { class: "xaiw-wrong", id: `${id}-wrong`, role: "alert" });
    const common = {
      id,
      "data-parameter": info.name,
      title: info.help ?? null,
      "aria-describedby": `${id}-wrong ${helpId}`,
      onfocus: () => setText(help, helpText(info)),
    };
    const input =
      info.kind === "choice"
        ? h(
            "select",
            common,
            ...(info.choices ?? []).map((choice) =>
              h("option", { value: choice }, String(choice).replaceAll("_", " ")),
            ),
          )
        : h("input", {
            ...common,
            type: info.kind === "bool" ? "checkbox" : "number",
            // The buttons of a field step from its minimum: 0.01, 0.06, ... would be nobody's numbers.
            min: info.kind === "float" && info.minimum ? null : (info.minimum ?? null),
            max: info.maximum ?? null,
            step: info.kind === "bool" ? null : (info.step ?? (info.kind === "int" ? 1 : "any")),
          });
    input.addEventListener("change", () => {
      const read = ownOption(input)?.selected
        ? { value: input.value }
        : readField(info, input.value, input instanceof HTMLInputElement && input.checked);
      setAttr(input, "aria-invalid", "wrong" in read ? true : null);
      setText(wrong, "wrong" in read ? read.wrong : "");
      if ("value" in read) change(info, read.value);
    });
    setters.push((value) => {
      if (input instanceof HTMLInputElement && info.kind === "bool") input.checked = value === true;
      else if (input.value !== String(value)) {
        input.value = String(value ?? "");
        // What was set elsewhere and is none of the choices, such as a colour, is listed as long as it holds.
        ownOption(input)?.remove();
        if (input instanceof HTMLSelectElement && input.value !== String(value) && value !== null) {
          input.append(h("option", { value, selected: true, "data-own": true }, String(value)));
        }
      }
      setAttr(input, "aria-invalid", null);
      setText(wrong, "");
    });
    const unit = info.unit ? h("span", { class: "xaiw-unit" }, info.unit) : null;
    return h(
      "div",
      { class: "xaiw-field" },
      h("label", { for: id, title: info.help ?? null }, info.label),
      h("span", { class: "xaiw-input" }, input, unit),
      wrong,
    );
  }

  function update(change: Change): void {
    if (change !== "setup" && change !== "traits") return;
    const infos = store.method?.parameters ?? [];
    if (infos !== shown) {
      shown = infos;
      setText(help, "");
      setters = [];
      fields.replaceChildren(...infos.map(field));
      if (!infos.length) fields.append(h("small", {}, store.method ? "This method has none." : ""));
    }
    const own = values();
    infos.forEach((info, index) => {
      setters[index](info.name in own ? own[info.name] : info.default);
    });
    reset.hidden = Object.keys(own).length === 0;
  }
  return { root, update };
}
