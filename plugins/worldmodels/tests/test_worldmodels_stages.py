"""Stages on frames: an encoder, a model of its codes, a controller in dreams of that."""

import gymnasium as gym
import numpy as np
import torch

import zoo
import zoo_worldmodels.beside
from zoo_rl.episodes import Episodes
from zoo_worldmodels.acting import real_returns
from zoo_worldmodels.collected import CollectedFrames
from zoo_worldmodels.dream import Dream
from zoo_worldmodels.vision import Vision

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


class _Corridor(gym.Env):
    """A bright row that goes down by a step; frames of 48 x 80 in colors."""

    observation_space = gym.spaces.Box(0, 255, (48, 80, 3), np.uint8)
    action_space = gym.spaces.Discrete(2)

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        self._row = 0
        return self._seen(), {}

    def step(self, action):
        self._row += 1
        return self._seen(), 1.0, self._row == 5, False, {}

    def _seen(self):
        frame = np.zeros((48, 80, 3), np.uint8)
        frame[self._row * 8] = 255
        return frame


def test_pictures_of_an_environment_are_what_encoder_and_controller_take(tmp_path):
    """Collected, encoded and acted on: one axis of channels everywhere."""
    gym.register("Corridor-v0", _Corridor, max_episode_steps=9)
    try:
        data = CollectedFrames(
            str(tmp_path / "frames"), "Corridor-v0", episodes=3, items="steps", batch_size=4
        )
        data.prepare_data()
        data.setup("fit")
        assert [each.observations.shape for each in data.episodes] == [(6, 1, 64, 64)] * 3
        vision = Vision(data.facts["observation_shape"], latents=3, width=2)
        assert vision(next(iter(data.train_dataloader()))[0]).shape == (4, 3)
        seen = []

        def act(observations, numbers, rewards):
            seen.append(vision(torch.from_numpy(observations)))
            return np.zeros(len(numbers), np.int64)

        assert real_returns(data.facts, act, 2, "test").tolist() == [5.0, 5.0]
        assert seen[0].shape == (2, 3)
    finally:
        del gym.registry["Corridor-v0"]
