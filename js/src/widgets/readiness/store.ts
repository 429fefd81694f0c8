// What all views of one readiness panel share: the job and the newest report.
import { JobStore } from "../../core/job_store";
import type { Payloads, ReportMessage, ToBrowser } from "../../core/protocol";
import type { Report } from "../../core/report";

export class ReadinessStore extends JobStore<"report"> {
  report: Report | null = null;

  protected override take(kind: ToBrowser, payload: Payloads[ToBrowser]): void {
    if (kind !== "report") return;
    this.report = (payload as ReportMessage).report;
    this.emit("report");
  }
}
