"""Advantages and losses against their definitions."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from torch.distributions import Categorical, kl_divergence

from mstpn.bridge.training.options import Options
from mstpn.bridge.training.positions import PositionHead
from mstpn.bridge.training.ppo import Rollout, advantages, losses, total_loss
from mstpn.network.twin.agent import MSTPN
from mstpn.network.twin.layer import TwinConfig

T, B = 7, 3
DISCOUNT, GAE_LAMBDA = 0.9, 0.8


def rollout(net: MSTPN) -> Rollout:
    g = torch.Generator().manual_seed(0)
    frames = torch.randint(0, 256, (T, B, 84, 84), generator=g, dtype=torch.uint8)
    done = torch.zeros(T, B)
    done[2, 0] = done[6, 1] = 1
    keep = torch.ones(T, B)
    keep[1:] = 1 - done[:-1]
    state = net.layer.initial_state(B)
    with torch.no_grad():
        x = net.front_end(frames.flatten(0, 1)).unflatten(0, (T, B))
        h, _ = net.layer(x, state, keep)
        logits, values = net.heads(h)
    actions = torch.randint(0, 6, (T, B), generator=g)
    log_probs = logits.log_softmax(2).gather(2, actions[..., None])[..., 0]
    rewards = torch.randn(T, B, generator=g)
    last = torch.randn(B, generator=g)
    return Rollout(state, frames, keep, actions, log_probs, values, rewards, done, last)


@pytest.fixture(scope="module")
def net() -> MSTPN:
    torch.manual_seed(4)
    made = MSTPN(TwinConfig(5, 6, "none", 0.08, 0.92))
    torch.nn.init.normal_(made.action_head.weight)
    return made


def test_advantages_are_discounted_sums_of_temporal_differences(net: MSTPN) -> None:
    r = rollout(net)
    got = advantages(r, DISCOUNT, GAE_LAMBDA)
    value = torch.cat([r.values, r.next_value[None]]).double().numpy()
    reward, done = r.rewards.double().numpy(), r.final.numpy()
    for b in range(B):
        for t in range(T):
            expected, weight = 0.0, 1.0
            for k in range(t, T):
                following = 0.0 if done[k, b] else value[k + 1, b]
                expected += weight * (reward[k, b] + DISCOUNT * following - value[k, b])
                if done[k, b]:
                    break
                weight *= DISCOUNT * GAE_LAMBDA
            # T float32 additions of numbers of order 1
            assert float(got[t, b]) == pytest.approx(expected, abs=1e-5)


def test_ppo_starts_as_a2c_on_normalised_advantages(net: MSTPN) -> None:
    r = rollout(net)
    raw = advantages(r, DISCOUNT, GAE_LAMBDA)
    normal = (raw - raw.mean()) / raw.std(correction=0)
    which = torch.arange(B)
    gradients = []
    for algorithm, advantage in (("ppo", raw), ("a2c", normal)):
        terms = losses(net, r, advantage, which, Options(algorithm=algorithm))
        grads = torch.autograd.grad(terms["policy"], list(net.parameters()), allow_unused=True)
        gradients.append([g for g in grads if g is not None])
    assert len(gradients[0]) >= 9
    for ppo, a2c in zip(*gradients, strict=True):
        torch.testing.assert_close(ppo, a2c, rtol=1e-3, atol=1e-6)


def test_ppo_stops_where_the_ratio_has_left_the_clip_range(net: MSTPN) -> None:
    r = rollout(net)
    advantage = torch.zeros(T, B)
    advantage[0, 0] = 1.0
    which = torch.tensor([0])
    # all but step 0 are below the mean; its probability has doubled since the rollout
    far = replace(r, log_probs=r.log_probs - np.log(2) * (advantage > 0))
    terms = losses(net, far, advantage, which, Options(clip=0.1))
    normal = (advantage[:, 0] - advantage[:, 0].mean()) / advantage[:, 0].std(correction=0)
    expected = -(1.1 * normal[0] + normal[1:].sum()) / T
    assert float(terms["policy"].detach()) == pytest.approx(float(expected), rel=1e-5)


def test_entropy_and_total(net: MSTPN) -> None:
    r = rollout(net)
    options = Options(
        entropy_coefficient=0.3, value_coefficient=0.7, activity_penalty=0.2, algorithm="a2c",
        position_coefficient=0.6, teacher_coefficient=0.8,
    )  # fmt: skip
    head = PositionHead(5)
    r.positions = torch.ones(T, B, 9)
    r.taught = torch.randn(T, B, 6, generator=torch.Generator().manual_seed(2)).log_softmax(2)
    terms = losses(net, r, torch.zeros(T, B), torch.arange(B), options, head)
    # with advantage 0 the targets are the values themselves
    assert float(terms["value"].detach()) == pytest.approx(0, abs=1e-12)
    assert 0 < float(terms["entropy"].detach()) <= np.log(6)
    total = total_loss(terms, options, progress=0.5)
    parts = {name: float(value.detach()) for name, value in terms.items()}
    assert float(total.detach()) == pytest.approx(
        parts["policy"] + 0.7 * parts["value"] - 0.3 * parts["entropy"]
        + 0.2 * 0.5 * parts["mean_feature"] + 0.6 * parts["position"]
        + 0.8 * 0.5 * parts["teacher"],
        rel=1e-5,
    )  # fmt: skip
    gradients = torch.autograd.grad(total, [net.front_end.conv1.weight, head.weight])
    assert all(g.abs().sum() > 0 for g in gradients)


def test_divergence_from_the_teacher_is_that_of_its_policy(net: MSTPN) -> None:
    r = rollout(net)
    teacher = torch.randn(T, B, 6, generator=torch.Generator().manual_seed(2))
    r.taught = teacher.log_softmax(2)
    which = torch.tensor([2, 0])
    terms = losses(net, r, torch.zeros(T, B), which, Options(algorithm="a2c"))
    x = net.front_end(r.frames.flatten(0, 1)).unflatten(0, (T, B))
    logits, _ = net.heads(net.layer(x, net.layer.initial_state(B), r.keep)[0])
    wanted = kl_divergence(Categorical(logits=teacher), Categorical(logits=logits))[:, which]
    # sums of 6 float32 numbers of order 1
    torch.testing.assert_close(terms["teacher"], wanted.mean(), rtol=1e-5, atol=0)
