import pytest
from brian2.units import mjoule

from mstpn.analysis.gpu import paper_baseline


def test_papers_gpu_energy_at_its_own_game_is_what_it_reports() -> None:
    baseline = paper_baseline()
    for rate in baseline.step_rates:
        steps = baseline.game_steps(rate)
        whole_game = round(169_984 * steps)
        assert float(baseline.energy(whole_game, rate) / mjoule) == pytest.approx(3463.9, rel=1e-8)


def test_papers_ratio_is_its_own_division() -> None:
    # 36.0 mJ has three digits: 3463.9 / 36.0 = 96.2, good to 0.15 %
    assert float(paper_baseline().game_energy / (36.0 * mjoule)) == pytest.approx(96, abs=0.5)


def test_paper_game_had_2922_steps_at_60_per_second() -> None:
    baseline = paper_baseline()
    assert [round(baseline.game_steps(r)) for r in baseline.step_rates] == [2922, 730]
