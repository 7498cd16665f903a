"""A notebook's cells, one after the other: run again and again, each may be repeated without a restart."""

from __future__ import annotations

# %% what there is
import graysplit

gray = graysplit.Router("memory://notebook")
control = graysplit.Control("memory://notebook", confirm=True)  # a notebook has no prompt


# %% two models; running this cell again replaces them
def declare() -> graysplit.Split[str]:
    """Declare the split, as a cell does that is run twice."""
    return gray.split("model", "linear", "forest")


model = declare()
model = declare()

# %% half of the rows to the new one
control.create("model", ["linear", "forest"])
gray.wait_ready()
control.wait_confirmed(control.set("model", 50))
rows = [f"row-{number}" for number in range(1_000)]
share = sum(model.choose(row) == "forest" for row in rows) / len(rows)
print(f"{share:.0%} of the rows go to the forest")

# %% why this row
print(gray.explain("model", "row-1"))

# %% the end
control.rollback("model", why="the end of the notebook")
control.close()
gray.close()
