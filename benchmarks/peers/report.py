"""What the rows say: benchmarks/results/peers.md.

python benchmarks/peers/report.py
"""

from __future__ import annotations

import statistics
import sys

from table import BENCHMARKS, rows

sys.path.append(str(BENCHMARKS))

from machine import describe, today

PROBLEMS = {
    "cartpole": ("CartPole-v1, until a mean return of 495 over 100 episodes", "udrl"),
    "bitflip8": ("8 bits, until a mean return of 4.6 over 256 episodes", "hpg"),
}
MAIN, OTHERS = ("1", "2", "3"), ("11", "12")
"""Seeds of the comparison, and of what was tried."""
NAMES = {
    "udrl": "`udrl/cartpole`",
    "udrl-more-updates": "`udrl/cartpole`, 200 updates an iteration instead of 50",
    "udrl-fewer-episodes": "`udrl/cartpole`, 5 episodes an iteration instead of 15",
    "hpg": "`hpg/bitflip8`",
    "hpg-higher-rate": "`hpg/bitflip8`, learning rate 0.003 instead of 0.001",
    "ppo": "PPO (stable-baselines3, rl-zoo3's settings)",
    "dqn": "DQN (stable-baselines3, rl-zoo3's settings)",
    "dqn-her": "DQN with hindsight replay (stable-baselines3)",
}


def main() -> None:
    """Write the page, and print it."""
    lines = [
        "# Peers: environment steps until an agent is as good",
        "",
        f"- {today()}; {describe()}; rows: peers-steps.csv",
        "- Rule and commands: benchmarks/peers/README.md. Steps of evaluations are not counted.",
    ]
    for problem, (title, ours) in PROBLEMS.items():
        lines += ["", f"## {title}", "", *_table(problem, ours, MAIN)]
        if tried := _table(problem, ours, OTHERS)[2:]:
            lines += ["", "What would change it, on other seeds:", "", *_HEAD, *tried]
    lines += _speeds()
    text = "\n".join([*lines, ""])
    (BENCHMARKS / "results" / "peers.md").write_text(text, encoding="utf-8")
    print(text)


def _speeds() -> list[str]:
    """Steps of LunarLander in a second of a core, where both were measured."""
    found = {row["agent"]: row for row in rows() if row["problem"] == "lander-speed"}
    if not {"ppo", "udrl"} <= found.keys():
        return []
    rate = {
        name: int(row["steps"]) / float(row["processor_seconds"]) for name, row in found.items()
    }
    return [
        "",
        "## LunarLander-v3: environment steps of a training in a second of one core",
        "",
        f"`udrl/lunarlander` {rate['udrl']:,.0f}, PPO with rl-zoo3's settings {rate['ppo']:,.0f}: "
        f"{rate['udrl'] / rate['ppo']:.1f} times as many; from the first step on, without "
        "evaluations.",
    ]


_HEAD = ["| agent | steps, mean of seeds | seed by seed | ours takes |", "|---|---|---|---|"]


def _table(problem: str, ours: str, seeds: tuple[str, ...]) -> list[str]:
    found: dict[str, list[dict[str, str]]] = {}
    for row in rows():
        if row["problem"] == problem and row["seed"] in seeds:
            found.setdefault(row["agent"], []).append(row)
    own = _mean(found.get(ours, []))
    lines = [*_HEAD]
    for agent, mine in sorted(found.items(), key=lambda pair: _mean(pair[1]) or 0):
        mean = _mean(mine)
        steps = ", ".join(f"{int(row['steps']):,}" if row["steps"] else "never" for row in mine)
        times = f"{own / mean:.1f} times" if own and mean and agent != ours else ""
        shown = f"{mean:,.0f}" if mean else "not all learnt it"
        lines.append(f"| {NAMES[agent]} | {shown} | {steps} | {times} |")
    return lines


def _mean(mine: list[dict[str, str]]) -> float | None:
    """Of all seeds; None where one never got there, or there are none."""
    if not mine or not all(row["steps"] for row in mine):
        return None
    return statistics.mean(int(row["steps"]) for row in mine)


if __name__ == "__main__":
    main()
