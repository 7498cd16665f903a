"""A library declares on its own inert router; the application owns the store and includes it."""

from __future__ import annotations

from typing import Final

import graysplit

STORE: Final = "memory://include"

# In the library: no address, no thread, no environment. Alone it always answers with its baseline.
pdf = graysplit.Router()


@pdf.route("pdf.render", unit="tenant")
def render(tenant: str) -> str:
    """Render as ever."""
    return f"for {tenant} by the old engine"


@render.version("new")
def render_new(tenant: str) -> str:
    """Render with the rewrite."""
    return f"for {tenant} by the new engine"


# In the application:
gray = graysplit.Router(STORE)


def main() -> None:
    """Include the library and turn its split."""
    gray.include(pdf)
    with graysplit.Control(STORE) as control:
        control.create("pdf.render")
        gray.wait_ready()
        print(f"included, at zero: {render('acme')}")
        control.wait_confirmed(control.set("pdf.render", 100, confirm="pdf.render"))
        print(f"at 100 %: {render('acme')}")
        declared = control.fleet().live[0].declared
        print(f"the application's process declares: {', '.join(declared)}")
    print(f"both routers give one answer: {gray.choose('pdf.render', 'acme')}, {pdf.choose('pdf.render', 'acme')}")


if __name__ == "__main__":
    main()
