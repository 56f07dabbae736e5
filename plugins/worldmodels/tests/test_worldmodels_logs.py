"""Own logs: what is read, and what is refused, with the file and the remedy."""

import numpy as np
import pytest
import torch

from zoo.plugin import UsageError
from zoo_worldmodels.collected import CollectedEpisodes
from zoo_worldmodels.episodes_folder import EpisodesFolder

SPACE = {"actions": "discrete", "num_actions": 3}


def write(path, steps=5, **changes):
    arrays = {
        "observations": np.arange((steps + 1) * 2, dtype=np.float32).reshape(-1, 2),
        "actions": np.arange(steps) % 3,
        "rewards": np.ones(steps),
        "terminated": True,
    }
    np.savez(path, **(arrays | changes))


CSV = """episode,step,observation_0,observation_1,action,reward,terminated
0,0,1,2,0,0.5,0
0,1,3,4,1,1.5,1
0,2,5,6,,,
1,0,7,8,2,2.5,0
1,1,9,10,,,
"""


def test_npz_and_tables_are_read(tmp_path):
    write(tmp_path / "a.npz")
    (tmp_path / "b.csv").write_text(CSV, encoding="utf-8")
    data = EpisodesFolder(str(tmp_path), **SPACE, length=4, val_fraction=0, test_fraction=0)
    first, second, third = data.episodes
    assert (len(first), len(second), len(third)) == (5, 2, 1)
    assert (first.terminated, second.terminated, third.terminated) == (True, True, False)
    assert second.observations.tolist() == [[1, 2], [3, 4], [5, 6]]
    assert (second.actions.tolist(), second.rewards.tolist()) == ([0, 1], [0.5, 1.5])
    assert data.facts["observation_shape"] == [2]
    assert data.facts["num_actions"] == 3
    features, rewards = data.ranges()
    assert features.tolist() == [[0, 1], [10, 11]]
    assert rewards.tolist() == [0.5, 2.5]
    segment = data.samples("train")._described.segment(1, 0, 4)
    assert segment["mask"].tolist() == [1, 1, 0, 0]
    assert segment["ends"].tolist() == [0, 1, 0, 0]
    assert segment["features"][:3].tolist() == [[1, 2], [3, 4], [5, 6]]


def test_parquet_is_read(tmp_path):
    pyarrow = pytest.importorskip("pyarrow")
    parquet = pytest.importorskip("pyarrow.parquet")
    columns = {
        "observation_0": [1.0, 2.0],
        "action": [1.0, None],
        "reward": [1.0, None],
        "terminated": [0.0, None],
    }
    parquet.write_table(pyarrow.table(columns), tmp_path / "a.parquet")
    (episode,) = EpisodesFolder(str(tmp_path), **SPACE).episodes
    assert (episode.actions.tolist(), episode.terminated) == ([1], False)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"rewards": np.ones(4)}, "do not fit"),
        ({"observations": np.zeros((5, 2))}, "do not fit"),
        (
            {"actions": np.array([0, 1, 2, 3, 0])},
            "the action 3 of step 3 is outside the space, 0 to 2",
        ),
        ({"actions": np.array([0, 1, 0.5, 1, 0])}, "whole number"),
        ({"rewards": np.array([1, 1, np.nan, 1, 1])}, "the reward of step 2 is not a number"),
        ({"observations": np.full((6, 2), np.inf)}, "the observation of step 0 is not a number"),
        ({"observations": np.zeros(6)}, r"observations have the shape \[6\]"),
        ({"rewards": np.ones((5, 1))}, r"rewards \[5, 1\] do not fit"),
        ({"terminated": np.arange(5) == 2}, "step 2 ended the episode, and steps follow"),
        ({"terminated": np.zeros(3, bool)}, "one truth value, or one for each step"),
    ],
)
def test_a_bad_episode_is_named(tmp_path, changes, said):
    write(tmp_path / "bad.npz", **changes)
    with pytest.raises(UsageError, match=said) as refused:
        _ = EpisodesFolder(str(tmp_path), **SPACE).facts
    assert "bad.npz" in str(refused.value)


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("0,1,3,4,1", "0,2,3,4,1", "episode 0: step 1 is missing, 2 stands in its place"),
        ("0,2,5,6,,,", "0,2,5,6,1,1,0", "its last row has an action"),
        ("1,0,7,8,2", "1,0,,8,2", "episode 1: the observation of step 0 is not a number"),
        ("reward", "pay", "no column reward"),
        ("0,0,1,2,0,0.5,0", "0,0,1,2,0,0.5,1", "step 0 ended the episode, and steps follow"),
    ],
)
def test_a_bad_table_is_named(tmp_path, old, new, said):
    (tmp_path / "bad.csv").write_text(CSV.replace(old, new, 1), encoding="utf-8")
    with pytest.raises(UsageError, match=said):
        _ = EpisodesFolder(str(tmp_path), **SPACE).facts


def test_continuous_actions_have_bounds(tmp_path):
    write(tmp_path / "a.npz", actions=np.array([0.0, 0.5, 2.0, 0, 0]))
    bounds = {"actions": "continuous", "action_low": [-1.0], "action_high": [1.0]}
    with pytest.raises(UsageError, match=r"\[2.0\] of step 2 is outside"):
        _ = EpisodesFolder(str(tmp_path), **bounds).facts
    with pytest.raises(UsageError, match=r"give --data\.environment"):
        EpisodesFolder(str(tmp_path))
    with pytest.raises(UsageError, match="action_low"):
        EpisodesFolder(str(tmp_path), actions="continuous")


def test_a_log_of_one_action_is_told(tmp_path, capsys):
    write(tmp_path / "a.npz", actions=np.ones(5, np.int64))
    facts = EpisodesFolder(str(tmp_path), **SPACE).facts
    assert not facts["actions_vary"]
    assert "every action is 1" in capsys.readouterr().err


def test_no_folder_and_no_files_are_said(tmp_path):
    with pytest.raises(UsageError, match="there is no folder"):
        _ = EpisodesFolder(str(tmp_path / "gone"), **SPACE).facts
    with pytest.raises(UsageError, match="has no file"):
        _ = EpisodesFolder(str(tmp_path), **SPACE).facts


def test_a_collection_is_kept_and_completed(tmp_path):
    folder = str(tmp_path / "kept")
    short = CollectedEpisodes("CartPole-v1", episodes=9, folder=folder)
    files = sorted((tmp_path / "kept").glob("*.npz")) if short.episodes else []
    assert len(files) == 9
    stamp = files[0].stat().st_mtime_ns
    more = CollectedEpisodes("CartPole-v1", episodes=16, folder=folder).episodes
    assert len(more) == 16
    assert files[0].stat().st_mtime_ns == stamp
    again = CollectedEpisodes("CartPole-v1", episodes=16).episodes
    assert all(
        np.array_equal(a.observations, b.observations) for a, b in zip(more, again, strict=True)
    )
    with pytest.raises(UsageError, match="policy differs"):
        _ = CollectedEpisodes("CartPole-v1", policy="held", folder=folder).episodes
    with pytest.raises(UsageError, match="plays LunarLander"):
        CollectedEpisodes("CartPole-v1", policy="lander")


def test_parts_share_no_episode_and_segments_come_again():
    data = CollectedEpisodes("CartPole-v1", episodes=20, length=5, per_epoch=8, batch_size=4)
    parts = [{each.name for each in data._of_part(part)} for part in ("train", "val", "test")]
    assert [len(part) for part in parts] == [16, 2, 2]
    assert not parts[0] & parts[1] | parts[0] & parts[2] | parts[1] & parts[2]
    samples = data.samples("train")
    assert torch.equal(samples[3]["features"], samples[3]["features"])
    assert not torch.equal(samples[3]["features"], samples[11]["features"])


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("a.npz", b"PK\x03\x04 and no more", "cannot be read as npz"),
        ("a.csv", b"", "no row below a line of names"),
        ("a.csv", CSV.partition("\n")[0].encode(), "no row below a line of names"),
        ("a.csv", CSV.replace(",", ";").encode(), "with commas between"),
        ("a.parquet", b"PAR1 and no more", "not a table of numbers as parquet"),
    ],
)
def test_a_file_that_holds_no_log_is_named(tmp_path, name, content, said):
    if name.endswith("parquet"):
        pytest.importorskip("pyarrow.parquet")
    (tmp_path / name).write_bytes(content)
    with pytest.raises(UsageError, match=said) as refused:
        _ = EpisodesFolder(str(tmp_path), **SPACE).facts
    assert name in str(refused.value)


def test_a_table_of_a_spreadsheet_is_read(tmp_path):
    """With the mark of its encoding in front."""
    (tmp_path / "a.csv").write_text(CSV, encoding="utf-8-sig")
    assert len(EpisodesFolder(str(tmp_path), **SPACE).episodes) == 2
