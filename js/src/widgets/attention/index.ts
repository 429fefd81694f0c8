// The attention view's module for anywidget. A factory: every widget model gets its own store, shared by all its views.
import type { InitializeProps, RenderProps } from "@anywidget/types";
import { AttentionView } from "./attention";
import { AttentionStore } from "./store";

export default () => {
  let store: AttentionStore | null = null;
  return {
    initialize({ model, signal }: InitializeProps) {
      // Never awaits the kernel: messages wait until this returns, and it is given up after 2 s.
      store = new AttentionStore(model, signal);
    },
    render({ model, el, signal }: RenderProps) {
      store ??= new AttentionStore(model);
      const view = new AttentionView(store, signal);
      el.append(view.root);
      store.hello();
      return () => view.remove();
    },
  };
};
