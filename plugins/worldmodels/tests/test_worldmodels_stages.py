"""Stages on frames: an encoder, a model of its codes, a controller in dreams of that."""

import numpy as np
import torch

import zoo
import zoo_worldmodels.beside
from zoo_rl.episodes import Episodes
from zoo_worldmodels.dream import Dream

QUICK = """
trainer: {max_epochs: 1, accelerator: cpu, logger: false, enable_progress_bar: false}
"""
DATA = """
  name: episodes-folder
  root: LOGS
  actions: discrete
  num_actions: 2
  batch_size: 4
  length: 6
  eval_length: 12
  per_epoch: 4
  val_fraction: 0
  test_fraction: 0.34
"""
VISION = "model: {name: conv-vae, latents: 3, width: 2}\ndata:" + DATA + "  items: steps" + QUICK
MODEL = (
    "model: {name: world-model, vision: VISION, memory: mdn-lstm, hidden: 8, residual: false, "
    "published_ends: true, constant_reward: 1.0}\ndata:" + DATA + "  encoder: VISION" + QUICK
)
CONTROLLER = (
    "model: {name: dream-controller, world_model: MODEL, reads: all, bias: false, population: 4, "
    "dreams: 2, max_steps: 5}\ndata: {name: dreams, generations_per_epoch: 2}" + QUICK
)


def write_logs(folder):
    """A bright column that two actions move to the left and to the right."""
    random = np.random.default_rng(0)
    folder.mkdir()
    for number in range(3):
        actions = random.integers(0, 2, 12)
        places = 32 + 3 * np.concatenate([[0], np.cumsum(2 * actions - 1)])
        frames = np.zeros((13, 1, 64, 64), np.uint8)
        for frame, place in zip(frames, places, strict=True):
            frame[:, :, max(0, place - 2) : place + 2] = 255
        np.savez(
            folder / f"{number}.npz",
            observations=frames,
            actions=actions,
            rewards=np.ones(12),
            terminated=number == 0,
        )


def train(folder, name, text, **places):
    for word, path in {"LOGS": folder / "logs", **places}.items():
        text = text.replace(word, str(path))
    (folder / f"{name}.yaml").write_text(text, encoding="utf-8")
    return zoo.train(folder / f"{name}.yaml", out=folder / name)


def test_frames_become_codes_become_dreams(tmp_path, capsys):
    write_logs(tmp_path / "logs")
    vision = train(tmp_path, "vision", VISION)
    assert vision.metrics["test/loss"] > 0
    model = train(tmp_path, "model", MODEL, VISION=tmp_path / "vision")
    assert np.isfinite(model.metrics["test/nll"])
    controller = train(tmp_path, "controller", CONTROLLER, MODEL=tmp_path / "model")
    assert 1 <= controller.metrics["test/dream_return"] <= 5
    assert "test/return" not in controller.metrics
    assert "measured in dreams alone" in capsys.readouterr().err

    world = zoo.load(tmp_path / "model")
    assert world.memory.extra_size == 8
    assert np.isfinite(Dream(world, 2).reset(seed=0)[0]).all()
    with np.load(tmp_path / "logs/0.npz") as log:
        played = Episodes.of_state(
            {
                "observations": _tensor(log["observations"])[None],
                "actions": _tensor(log["actions"])[None],
                "rewards": _tensor(log["rewards"])[None].float(),
                "lengths": _tensor(np.array([12])),
                "terminated": _tensor(np.array([True])),
            }
        )
    zoo_worldmodels.beside.film(world, played, tmp_path / "beside.gif", 1.0, 0)
    assert (tmp_path / "beside.gif").stat().st_size > 100


def _tensor(values):
    return torch.from_numpy(values)
