"""What a router counts, shown through the OpenTelemetry SDK: no unit is among it.

Run it: python -m examples.metrics
"""

from __future__ import annotations

from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader

import graysplit
from graysplit.telemetry import observe


def main() -> None:
    """Decide for a thousand users, then collect."""
    store = "memory://metrics"
    with graysplit.Control(store) as control:
        control.create("checkout")
        control.set("checkout", 20)
    gray = graysplit.Router(store)
    gray.wait_ready(2)
    reader = InMemoryMetricReader()
    observe(gray, MeterProvider([reader]))

    for number in range(1_000):
        gray.choose("checkout", unit=f"user-{number}")

    data = reader.get_metrics_data()
    for metric in data.resource_metrics[0].scope_metrics[0].metrics if data else ():
        for point in metric.data.data_points:
            named = " ".join(f"{name}={value}" for name, value in (point.attributes or {}).items())
            print(f"{metric.name:<26} {getattr(point, 'value', ''):>8}  {named}")
    gray.close()


if __name__ == "__main__":
    main()
