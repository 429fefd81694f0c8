// The comparison's module for anywidget. A factory: every widget model gets its own store, shared by all its views.
import type { InitializeProps, RenderProps } from "@anywidget/types";
import { ComparisonView } from "./comparison";
import { ComparisonStore } from "./store";

export default () => {
  let store: ComparisonStore | null = null;
  return {
    initialize({ model, signal }: InitializeProps) {
      // Never awaits the kernel: messages wait until this returns, and it is given up after 2 s.
      store = new ComparisonStore(model, signal);
    },
    render({ model, el, signal }: RenderProps) {
      store ??= new ComparisonStore(model);
      const view = new ComparisonView(store, signal);
      el.append(view.root);
      store.hello();
      return () => view.remove();
    },
  };
};
