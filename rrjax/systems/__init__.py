"""Dynamical systems whose Lyapunov exponents are known, in one table.

`SYSTEMS` maps names to entries; `SYSTEMS["henon"].dynamics("float64")` is ready for a spectrum.
"""

from rrjax.systems.flows import FLOWS
from rrjax.systems.maps import MAPS
from rrjax.systems.networks import NETWORKS
from rrjax.systems.system import System
from rrjax.systems.toy import TOYS

__all__ = ["SYSTEMS", "System"]

SYSTEMS: dict[str, System] = {system.name: system for system in (*MAPS, *FLOWS, *NETWORKS, *TOYS)}
"""The systems by name, such as `SYSTEMS["henon"]`; `sorted(SYSTEMS)` lists the names."""
