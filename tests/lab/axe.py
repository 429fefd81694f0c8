"""Runs axe-core on a part of a page, and proves each time that it sees faults there."""

from __future__ import annotations

from pathlib import Path

from playwright.sync_api import Locator

AXE = Path(__file__).resolve().parents[2] / "js" / "node_modules" / "axe-core" / "axe.min.js"

# JupyterLab's body is 0 px high and hides its overflow, so that axe takes everything for hidden.
RUN = """async (root) => {
  const before = document.body.style.overflow;
  document.body.style.overflow = "visible";
  try {
    const { violations } = await window.axe.run(root, { resultTypes: ["violations"] });
    return violations.flatMap(({ id, help, nodes }) =>
      nodes.map((node) => `${id}: ${help}: ${node.html}`));
  } finally {
    document.body.style.overflow = before;
  }
}"""
PLANT = """(root) => {
  const fault = document.createElement("p");
  fault.className = "planted-fault";
  fault.textContent = "grey on grey";
  fault.style.cssText = "color: #aaa; background: #bbb; font-size: 14px;";
  root.append(fault);
}"""
UPROOT = '(root) => root.querySelector(":scope > .planted-fault").remove()'


def violations(root: Locator) -> list[str]:
    """What axe finds inside ``root``: rule, sentence and element of each violation.

    A fault is planted first; if axe does not find it, its silence would mean nothing.
    """
    page = root.page
    if not page.evaluate("() => Boolean(window.axe)"):
        page.add_script_tag(path=AXE)
    root.evaluate(PLANT)
    try:
        planted = root.evaluate(RUN)
    finally:
        root.evaluate(UPROOT)
    assert any("color-contrast" in found and "planted-fault" in found for found in planted), (
        "axe-core does not see a planted fault, so it would see no other"
    )
    found: list[str] = root.evaluate(RUN)
    return found
