"""What `moretta size` prints is of use: the chart takes it as values, and gives pods what was printed."""

import pytest
import yaml
from chart import template

from operate.sizing.needs import Installation, need
from operate.sizing.values import values


@pytest.mark.parametrize(
    "wanted",
    [
        Installation(1),
        Installation(50, sites=2),
        Installation(300, "720p25", fps=10, sites=9),
        Installation(500, zones=400),
    ],
)
def test_sizes_are_values_of_the_chart(wanted):
    """Nothing of it is refused, NATS's memory and disk included, and each service asks for what was printed."""
    done = template(yaml.safe_load(values(need(wanted))))
    assert done.stderr == ""
    asked = {}
    for one in yaml.safe_load_all(done.stdout):
        if one and one["kind"] in {"Deployment", "StatefulSet"}:
            container = one["spec"]["template"]["spec"]["containers"][0]
            asked[one["metadata"]["name"].removeprefix("moretta-")] = (
                one["spec"]["replicas"],
                container["resources"]["requests"],
            )
    for part in need(wanted).parts:
        replicas, requests = asked[part.name]
        assert replicas == part.replicas
        assert requests == {"cpu": f"{part.cpu_m}m", "memory": f"{part.memory_mib}Mi"}
