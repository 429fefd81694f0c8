// The readiness panel's module for anywidget. A factory: every widget model gets its own store, shared by all its views.
import type { InitializeProps, RenderProps } from "@anywidget/types";
import { Readiness } from "./readiness";
import { ReadinessStore } from "./store";

export default () => {
  let store: ReadinessStore | null = null;
  return {
    initialize({ model, signal }: InitializeProps) {
      // Never awaits the kernel: messages wait until this returns, and it is given up after 2 s.
      store = new ReadinessStore(model, signal);
    },
    render({ model, el, signal }: RenderProps) {
      store ??= new ReadinessStore(model);
      const panel = new Readiness(store, signal);
      el.append(panel.root);
      store.hello();
      return () => panel.remove();
    },
  };
};
