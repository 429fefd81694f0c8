// The Explorer's module for anywidget. A factory: every widget model gets its own store, shared by all its views.
import type { InitializeProps, RenderProps } from "@anywidget/types";
import { Store } from "../../core/store";
import { Explorer } from "./explorer";

export default () => {
  let store: Store | null = null;
  return {
    initialize({ model, signal }: InitializeProps) {
      // Never awaits the kernel: messages wait until this returns, and it is given up after 2 s.
      store = new Store(model, signal);
    },
    render({ model, el, signal, host }: RenderProps) {
      store ??= new Store(model);
      const explorer = new Explorer(store, signal, host);
      el.append(explorer.root, explorer.below);
      store.hello();
      return () => explorer.remove();
    },
  };
};
