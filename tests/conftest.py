from collections.abc import Iterator

import oracles
import pytest
from brian2.units import joule, second, siemens, volt

from mstpn.synapses.memristor import Memristor
from mstpn.synapses.support.brian_target import use_target


@pytest.fixture(scope="session", autouse=True)
def target() -> str:
    """NumPy unless a test says Cython: small networks are not worth a compiler's time."""
    return use_target("numpy")


@pytest.fixture(autouse=True)
def target_again() -> Iterator[None]:
    """What a test or an example chooses holds for that test only."""
    yield
    use_target("numpy")


@pytest.fixture(scope="session")
def device() -> Memristor:
    return Memristor.from_file()


@pytest.fixture(scope="session")
def numbers(device: Memristor) -> oracles.Device:
    """The device's constants as bare numbers in SI units."""
    return oracles.Device(
        g_offset=float(device.bias_power / device.bias_voltage_max**2 / siemens),
        kappa=float(device.weight_conductance / siemens),
        v_read=float(device.read_voltage / volt),
        t_read=float(device.read_duration / second),
        e_pulse=float(device.pulse_energy / joule),
        df_max=float(device.pulse_conductance / device.weight_conductance),
        energy_exponent=device.pulse_energy_exponent / device.pulse_conductance_exponent,
    )
