// The feature gallery's module for anywidget. A factory: every widget model gets its own store, shared by all its views.
import type { InitializeProps, RenderProps } from "@anywidget/types";
import { FeatureGallery } from "./gallery";
import { GalleryStore } from "./store";

export default () => {
  let store: GalleryStore | null = null;
  return {
    initialize({ model, signal }: InitializeProps) {
      // Never awaits the kernel: messages wait until this returns, and it is given up after 2 s.
      store = new GalleryStore(model, signal);
    },
    render({ model, el, signal }: RenderProps) {
      store ??= new GalleryStore(model);
      const view = new FeatureGallery(store, signal);
      el.append(view.root);
      store.hello();
      return () => view.remove();
    },
  };
};
