// The sketch pad's module for anywidget. A factory: every widget model gets its own store, shared by all its views.
import type { InitializeProps, RenderProps } from "@anywidget/types";
import { SketchPad } from "./sketch";
import { SketchStore } from "./store";

export default () => {
  let store: SketchStore | null = null;
  return {
    initialize({ model, signal }: InitializeProps) {
      // Never awaits the kernel: messages wait until this returns, and it is given up after 2 s.
      store = new SketchStore(model, signal);
    },
    render({ model, el, signal }: RenderProps) {
      store ??= new SketchStore(model);
      const view = new SketchPad(store, signal);
      el.append(view.root);
      store.hello();
      return () => view.remove();
    },
  };
};
