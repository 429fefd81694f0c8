// The path scrubber's module for anywidget. A factory: every widget model gets its own store, shared by all its views.
import type { InitializeProps, RenderProps } from "@anywidget/types";
import { PathScrubber } from "./scrubber";
import { ScrubberStore } from "./store";

export default () => {
  let store: ScrubberStore | null = null;
  return {
    initialize({ model, signal }: InitializeProps) {
      // Never awaits the kernel: messages wait until this returns, and it is given up after 2 s.
      store = new ScrubberStore(model, signal);
    },
    render({ model, el, signal }: RenderProps) {
      store ??= new ScrubberStore(model);
      const view = new PathScrubber(store, signal);
      el.append(view.root);
      store.hello();
      return () => view.remove();
    },
  };
};
