"""One update by hindsight policy gradients: all goals at once against one goal after the other,
and the memory it takes.

    python hpg.py --out results/hpg.md [--device cuda]
"""

from __future__ import annotations

import argparse
import resource
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import torch
from machine import describe, today
from torch import Tensor, nn

from zoo_hpg.data.datasets import BitFlippingEpisodes, FourRoomsEpisodes
from zoo_hpg.data.module import GoalEpisodes
from zoo_hpg.episodes import Episodes, rollout
from zoo_hpg.model import HindsightPolicyGradient
from zoo_hpg.policy_gradient import estimators
from zoo_hpg.policy_gradient.hindsight import active_goals, hindsight_rewards
from zoo_rl.seeding import generator

CASES: list[tuple[str, GoalEpisodes, int]] = [
    ("bit flipping, k = 8", BitFlippingEpisodes(bits=8), 2),
    ("bit flipping, k = 16", BitFlippingEpisodes(bits=16), 16),
    ("four rooms", FourRoomsEpisodes(), 2),
    ("four rooms", FourRoomsEpisodes(), 16),
]
SIDE_BY_SIDE = 4096
"""Episodes of the table on a GPU, of which hindsight takes this many goals:"""
FEW_GOALS = 64


def main() -> None:
    """Measure and write the tables."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--memory", type=int, help="measure this many goals, and print the MiB")
    options = parser.parse_args()
    if options.memory is not None:
        print(peak_memory(options.memory))
        return
    device = torch.device(options.device)
    lines = [
        "# Hindsight policy gradients: speed and memory of an update",
        "",
        f"- {today()}, `python {' '.join([Path(sys.argv[0]).name, *sys.argv[1:]])}`",
        f"- {describe()}",
        "- Untrained policies 256-256, weighted-hpg, float32. Seconds of an update, from the"
        " episodes to the gradient, the least of several taken in turns. The loop"
        " calls a plain `nn.Sequential` on all steps for one goal after the other, forward and"
        " backward, as the published code does; both give the same gradient (last column: relative"
        " difference).",
        "",
        "| environment | episodes | goals | loop | at once | times | difference |",
        "|---|---|---|---|---|---|---|",
    ]
    for name, data, count in CASES:
        lines.append(compare(name, data, count, device, options.repeats))
        print(lines[-1], flush=True)
    if device.type == "cuda":
        for name, data, _ in CASES[1:3]:
            lines.append(compare(name, data, SIDE_BY_SIDE, device, options.repeats, FEW_GOALS))
            print(lines[-1], flush=True)
    else:
        lines += ["", f"{SIDE_BY_SIDE} parallel episodes on a GPU: not measured."]
        lines += memory_table()
    text = "\n".join(lines) + "\n"
    if options.out:
        options.out.write_text(text)
    print(text)


def compare(
    name: str, data: GoalEpisodes, count: int, device: torch.device, repeats: int, most: int = 0
) -> str:
    """A row: both ways on the same episodes, in turns."""
    torch.manual_seed(0)
    model = HindsightPolicyGradient(**data.facts).to(device)
    random = generator(1, device=str(device))
    episodes = rollout(data.environment, lambda goals: model.actor(goals, random), count, random)
    goals = active_goals(episodes)
    if most:
        goals = goals[torch.randperm(len(goals), device=device)[:most]]
    plain = as_sequential(model)

    def at_once() -> list[Tensor]:
        model.zero_grad()
        (-model.surrogate_objective(episodes, goals)).backward()
        return [
            p.grad for p in (*model.policy.layers.parameters(), *model.policy.head.parameters())
        ]

    def loop() -> list[Tensor]:
        plain.zero_grad()
        for goal in goals:
            one_goal(plain, episodes, goal, model.horizon, model.tolerance).backward()
        return [parameter.grad for parameter in list(plain.parameters())[2:]]

    batched, single = at_once(), loop()
    gap = torch.cat([(a - b).flatten() for a, b in zip(batched, single, strict=True)]).norm()
    size = torch.cat([each.flatten() for each in single]).norm()
    gap = gap / size
    slow, fast = [], []
    for _ in range(repeats):
        slow.append(seconds(loop, device))
        fast.append(seconds(at_once, device))
    one, other = min(slow), min(fast)  # of the least disturbed repetition
    return (
        f"| {name} | {count} | {len(goals)} | {one:.4f} s | {other:.4f} s | {one / other:.1f} | "
        f"{float(gap):.0e} |"
    )


def seconds(work: Callable[[], object], device: torch.device) -> float:
    """How long it takes."""
    if device.type == "cuda":
        torch.cuda.synchronize()
    started = time.perf_counter()
    work()
    if device.type == "cuda":
        torch.cuda.synchronize()
    return time.perf_counter() - started


def as_sequential(model: HindsightPolicyGradient) -> nn.Sequential:
    """The policy as everybody writes it, on the state followed by the goal."""
    policy = model.policy
    first = nn.Linear(policy.from_state.in_features + policy.from_goal.in_features, 256)
    with torch.no_grad():
        first.weight.copy_(torch.cat([policy.from_state.weight, policy.from_goal.weight], 1))
        first.bias.copy_(policy.from_state.bias)
    second = nn.Linear(256, 256)
    second.load_state_dict(policy.layers[1].state_dict())
    head = nn.Linear(256, policy.head.out_features)
    head.load_state_dict(policy.head.state_dict())
    device = policy.head.weight.device
    return nn.Sequential(first, nn.Tanh(), second, nn.Tanh(), head).to(device)


def one_goal(
    net: nn.Module, episodes: Episodes, goal: Tensor, horizon: int, tolerance: float
) -> Tensor:
    """The loss of one hindsight goal."""
    count, steps = episodes.mask.shape
    inputs = torch.cat([episodes.observations, goal.expand(count, steps, -1)], 2)
    scores = net(inputs).log_softmax(2)
    likely = scores.gather(2, episodes.actions[..., None])
    rewards, _ = hindsight_rewards(episodes, goal[None], horizon, tolerance)
    mask = episodes.mask
    found = estimators.weighted_hpg(likely, episodes.log_probabilities, rewards, mask)
    return -(found * likely).sum()


def memory_table() -> list[str]:
    """Each size in a process of its own, and one that does nothing but import."""
    lines = [
        "",
        "Memory: peak of the process above one that has the episodes and does nothing with them,"
        " 16 episodes of 17 states, k = 16, with the baseline net, so that every triple of episode,"
        " step and goal takes part in forward and backward.",
        "",
        "| goals | triples | peak, MiB | all activations at once would be, MiB |",
        "|---|---|---|---|",
    ]
    for goals in (240, 2400):
        command = [sys.executable, __file__, "--memory", str(goals)]
        found = subprocess.run(command, capture_output=True, text=True, check=True).stdout
        triples = goals * 16 * 16
        at_once = triples * 4 * (3 * 256 + 2 * 16) / 2**20
        lines.append(f"| {goals} | {triples} | {float(found):.0f} | {at_once:.0f} |")
        print(lines[-1], flush=True)
    return lines


def peak_memory(count: int) -> float:
    """MiB that an update with so many goals adds to the process."""
    data = BitFlippingEpisodes(bits=16)
    torch.manual_seed(0)
    model = HindsightPolicyGradient(**data.facts, baseline=True)
    random = generator(1)
    episodes = rollout(data.environment, lambda goals: model.actor(goals, random), 16, random)
    goals = torch.unique(torch.randint(2, (4 * count, 16)).float(), dim=0)
    goals = torch.cat([active_goals(episodes), goals])[:count]
    model.max_pairs, usual = 64, model.max_pairs
    model.surrogate_objective(episodes, goals[:2]).backward()  # what is loaded once
    model.max_pairs = usual
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    model.surrogate_objective(episodes, goals).backward()
    return (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024


if __name__ == "__main__":
    main()
