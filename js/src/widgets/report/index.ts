// What shows a readiness report, for the Explorer: sent when the report is opened first, not saved with every Explorer.
export { download, reportView } from "../../components/readiness/report_view";
