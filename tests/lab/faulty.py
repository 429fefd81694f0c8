"""A demo model that lost its gradient on the way, as code of a notebook's cell."""

FAULTY = """
import torch
import xai_widgets as xw
model = xw.demo.model("animals")
class HeadOnly(torch.nn.Module):
    # Two stages under no_grad, as in code that trains the rest alone.
    def __init__(self, inner):
        super().__init__()
        self.stem, self.stage1, self.stage2 = inner.stem, inner.stage1, inner.stage2
        self.stage3, self.head = inner.stage3, inner.head
    def forward(self, x):
        with torch.no_grad():
            x = self.stage1(self.stem(x))
        return self.head(self.stage3(self.stage2(x)).mean((2, 3)))
faulty = HeadOnly(model.source).eval()
"""
LOADED = "faulty = xw.load(faulty, model.labels, model.preprocess)\n"
