// The tools below another that look closer at what it shows: buttons that open them, and their views. Twin of companions.py.

import { h, setAttr, setText, uniqueId } from "../core/dom";
import type { Tool } from "../core/protocol";
import type { Store } from "../core/store";
import type { Change, Part } from "./context";

/** What this needs of a host: it shows another widget's view by the id of its model. */
export interface Host {
  getWidget(
    reference: string,
  ): Promise<{ render(options: { el: HTMLElement; signal: AbortSignal }): Promise<void> }>;
}

export interface Entry {
  tool: Tool;
  title: string;
  /** On the button, where that says more than the title. */
  ask?: string;
  help: string;
  /** The method that needs of the model what the tool needs. */
  method: string;
  /** What to run where no widget can be shown inside another. */
  code: string;
  /** The button asks again while the tool is open, instead of closing it. */
  again?: boolean;
}

export interface Closer {
  buttons: Part;
  root: HTMLElement;
  remove(): void;
}

/** `buttons` stand in the side panel, `root` below the Explorer. */
export function companions(store: Store, host: Host | undefined, tools: readonly Entry[]): Closer {
  const entries = tools.map((entry) => tool(store, host, entry));
  const section = h(
    "section",
    { class: "xaiw-section xaiw-closer" },
    h("div", { class: "xaiw-heading" }, h("h3", {}, "Look closer")),
    h("div", { class: "xaiw-closer-buttons" }, ...entries.map(({ button }) => button)),
  );
  return {
    buttons: {
      root: section,
      update(change: Change) {
        if (change !== "opened" && change !== "setup") return;
        for (const entry of entries) entry.update();
        section.hidden = entries.every(({ button }) => button.hidden);
      },
    },
    root: h("div", { class: "xaiw-companions" }, ...entries.map((entry) => entry.root)),
    remove: () => {
      for (const entry of entries) entry.clear();
    },
  };
}

function tool(store: Store, host: Host | undefined, entry: Entry) {
  const alone = `This page cannot show it here: display ${entry.code} in a cell.`;
  const id = uniqueId("closer");
  const message = h("p", { role: "status", hidden: true });
  const place = h("div");
  const close = h("button", { type: "button", class: "xaiw-link" }, "Close");
  const root = h(
    "section",
    { class: "xaiw-companion", id, "aria-label": `${entry.title} of what is above`, hidden: true },
    h("div", { class: "xaiw xaiw-companion-bar" }, h("b", {}, entry.title), message, close),
    place,
  );
  const button = h(
    "button",
    {
      type: "button",
      class: "xaiw-closer-button",
      title: entry.help,
      "aria-expanded": "false",
      "aria-controls": id,
      hidden: true,
    },
    entry.ask ?? entry.title,
  );
  let shown: string | null = null;
  let controller: AbortController | null = null;
  let wanted = false;

  function clear(): void {
    controller?.abort();
    controller = null;
    shown = null;
    place.replaceChildren();
  }

  async function show(model: string): Promise<void> {
    clear();
    shown = model;
    controller = new AbortController();
    const { signal } = controller;
    try {
      if (!host?.getWidget) throw new Error(alone);
      const widget = await host.getWidget(`anywidget:${model}`);
      const el = h("div");
      place.replaceChildren(el);
      if (!signal.aborted) await widget.render({ el, signal });
      // It stands below, perhaps out of sight; nothing moves that nobody asked for here.
      if (wanted) root.scrollIntoView({ block: "nearest" });
      wanted = false;
    } catch (error) {
      if (signal.aborted) return;
      console.warn("xai_widgets:", error);
      say(alone);
    }
  }

  function say(text: string): void {
    setText(message, text);
    message.hidden = !text;
    root.hidden = !text && shown === null;
    setAttr(button, "aria-expanded", !root.hidden);
    setAttr(root, "data-model", shown);
  }

  /** Without a host nothing is made in the kernel that nobody would see. */
  function ask(open: boolean): void {
    wanted = open;
    say(open && !host?.getWidget ? alone : "");
    if (host?.getWidget) store.open(entry.tool, open);
    if (!open) button.focus();
  }
  button.addEventListener("click", () => ask(entry.again === true || root.hidden === true));
  close.addEventListener("click", () => ask(false));

  return {
    button,
    root,
    clear,
    update() {
      const method = store.setup?.methods.find(({ name }) => name === entry.method);
      button.hidden = !method?.applicable;
      const { model, error } = store.opened[entry.tool] ?? { model: null, error: null };
      if (model !== shown) {
        if (model === null) clear();
        else void show(model);
        say("");
      } else if (model !== null && wanted) {
        root.scrollIntoView({ block: "nearest" });
        wanted = false;
      }
      if (error) say(error);
    },
  };
}
