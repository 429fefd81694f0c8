// The status line while one draws: an explanation of a few milliseconds is no news, a long one shows its progress.
import type { JobState } from "../../core/job_store";
import type { SketchStore } from "./store";

const NEWS_AFTER_MS = 400;

/** The store's state, busy only when it has been so for a while; `news` is called when that moment comes. */
export function calm(store: SketchStore, news: () => void, signal: AbortSignal): JobState & { look(): void } {
  let busy = false;
  let timer: ReturnType<typeof setTimeout> | null = null;
  const stop = () => {
    if (timer !== null) clearTimeout(timer);
    timer = null;
  };
  signal.addEventListener("abort", stop);
  return {
    look() {
      if (store.state !== "busy") {
        stop();
        busy = false;
      } else if (!busy && timer === null) {
        timer = setTimeout(() => {
          timer = null;
          busy = true;
          news();
        }, NEWS_AFTER_MS);
      }
    },
    get state() {
      return store.state === "busy" && !busy ? "idle" : store.state;
    },
    get setup() {
      return store.setup;
    },
    get result() {
      return store.result;
    },
    get error() {
      return store.error;
    },
    get cancelled() {
      return store.cancelled;
    },
    get progress() {
      return store.progress;
    },
    cancel: () => store.cancel(),
    hello: () => store.hello(),
    retry: () => store.retry(),
  };
}
