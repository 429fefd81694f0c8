// Tells the kernel which frame of an animation is on the screen, so that no more are sent than are shown.
// Twin of xai_widgets/widgets/lesson/pulse.py. It shows nothing and needs no view.
import type { InitializeProps } from "@anywidget/types";
import { envelope, readEnvelope } from "../../core/protocol";

/** A page in the background draws no frames. */
const AT_LATEST_MS = 100;

/** When what was drawn until now is on the screen. */
function shown(): Promise<void> {
  return new Promise((done) => {
    const timer = setTimeout(done, AT_LATEST_MS);
    requestAnimationFrame(() =>
      requestAnimationFrame(() => {
        clearTimeout(timer);
        done();
      }),
    );
  });
}

export default {
  initialize({ model }: InitializeProps) {
    model.on("msg:custom", async (content: unknown) => {
      const message = readEnvelope(content);
      if (message?.kind !== "ping") return;
      await shown();
      model.send(envelope("pong", {}, message.revision));
    });
  },
};
