// The workbench's module for anywidget. A factory: every widget model gets its own store, shared by all its views.
import type { InitializeProps, RenderProps } from "@anywidget/types";
import { WorkbenchStore } from "./store";
import { Workbench } from "./workbench";

export default () => {
  let store: WorkbenchStore | null = null;
  return {
    initialize({ model, signal }: InitializeProps) {
      // Never awaits the kernel: messages wait until this returns, and it is given up after 2 s.
      store = new WorkbenchStore(model, signal);
    },
    render({ model, el, signal, host }: RenderProps) {
      store ??= new WorkbenchStore(model);
      const view = new Workbench(store, signal, host);
      el.append(view.root, view.below);
      store.hello();
      return () => view.remove();
    },
  };
};
