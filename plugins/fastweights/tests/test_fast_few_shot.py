"""Few-shot tasks, their data and a user's own drawings."""

from __future__ import annotations

import io
import zipfile
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from zoo.plugin import UsageError
from zoo_fastweights.data.class_folder import ClassFolder
from zoo_fastweights.data.drawings import read_drawing
from zoo_fastweights.data.episodes import draw_episode, turned
from zoo_fastweights.data.omniglot import Omniglot
from zoo_fastweights.few_shot import MIXERS, FewShot, nearest_neighbor


def test_tasks_ask_for_classes_that_were_shown_and_images_that_were_not() -> None:
    classes = [torch.arange(4).add(10 * name).byte().reshape(4, 1, 1) for name in range(7)]
    for seed in range(20):
        support, labels, queries, truth = draw_episode(
            classes, 3, 2, 5, torch.Generator().manual_seed(seed)
        )
        assert labels.bincount().tolist() == [2, 2, 2]
        shown = {int(image) // 10: int(label) for image, label in zip(support, labels, strict=True)}
        assert len(shown) == 3
        for image, label in zip(queries, truth, strict=True):
            assert shown[int(image) // 10] == int(label)
            assert int(image) not in support.flatten().tolist()
    assert [len(group) for group in turned([classes, classes[:3]])] == [7, 3] * 4


def write_omniglot(folder: Path, alphabets: dict[str, int]) -> str:
    with zipfile.ZipFile(folder / "images_tiny.zip", "w") as archive:
        for number, (alphabet, count) in enumerate(alphabets.items()):
            for character in range(count):
                for drawer in range(2):
                    pixels = np.full((105, 105), 255, np.uint8)
                    pixels[10 * character : 10 * character + 10, 10 * number : 10 * number + 20] = 0
                    buffer = io.BytesIO()
                    Image.fromarray(pixels).save(buffer, "png")
                    name = f"images_tiny/{alphabet}/character{character:02}/{drawer}.png"
                    archive.writestr(name, buffer.getvalue())
    return str(folder)


def test_omniglot_is_divided_by_alphabet(tmp_path: Path) -> None:
    root = write_omniglot(tmp_path, {"Balinese": 2, "Greek": 3, "Korean": 2, "Latin": 2})
    data = Omniglot(root, ways=2)
    found = [[len(group) for group in data.groups(part)] for part in ("train", "val", "test")]
    assert found == [[3, 2], [2], [2]]  # Greek and Latin, Balinese, Korean
    assert data.describe_found() == ["5/2/2 classes train/val/test", "2 ways, 1 shots"]
    support, labels, queries, _ = next(iter(data.test_dataloader()))
    assert support.shape == (16, 2, 28, 28)
    assert queries.shape == (16, 5, 28, 28)
    assert support.float().mean() < 50  # strokes are bright, and there are few
    with pytest.raises(UsageError, match="has 2 classes of a kind, and a task needs 5"):
        Omniglot(root).test_dataloader()
    with pytest.raises(UsageError, match=r"give --data\.ways 2, or --data\.mixed true"):
        Omniglot(root, ways=4).train_dataloader()
    with pytest.raises(UsageError, match="no alphabet Futurama"):
        _ = Omniglot(root, test_alphabets=["Futurama"]).facts
    with pytest.raises(UsageError, match="both for validation and for the test"):
        Omniglot(root, test_alphabets=["Balinese"])
    del labels


def test_a_task_is_of_one_alphabet_unless_they_are_mixed(tmp_path: Path) -> None:
    root = write_omniglot(tmp_path, {"Balinese": 2, "Greek": 3, "Korean": 2, "Latin": 3})
    for mixed in (False, True):
        data = Omniglot(root, ways=3, turn=False, mixed=mixed)
        support, *_ = next(iter(data.train_dataloader()))
        # Alphabets are drawn in columns of their own, the second and the fourth.
        columns = support.flatten(0, 1).amax(1)[:, [4, 9]] > 0
        assert columns.any(1).all()
        of_greek = columns[:, 0].reshape(-1, 3)
        assert (of_greek.any(1) != of_greek.all(1)).any() == mixed


def test_damaged_omniglot_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="no images_"):
        _ = Omniglot(str(tmp_path)).facts
    (tmp_path / "images_small.zip").write_bytes(b"PK no zip")
    with pytest.raises(UsageError, match="not a zip"):
        _ = Omniglot(str(tmp_path)).facts


def write_classes(
    folder: Path, count: int, images: int = 2, size: tuple[int, int] = (12, 12)
) -> str:
    random = np.random.default_rng(0)
    for name in range(count):
        (folder / f"class{name}").mkdir(parents=True)
        for number in range(images):
            pixels = random.integers(0, 256, size).astype(np.uint8)
            Image.fromarray(pixels).save(folder / f"class{name}/{number}.png")
    return str(folder)


def test_class_folders_are_divided_by_class(tmp_path: Path) -> None:
    root = write_classes(tmp_path / "ten", 10)
    data = ClassFolder(root, ways=2, size=8)
    parts = [data.groups(part) for part in ("train", "val", "test")]
    assert [[len(group) for group in groups] for groups in parts] == [[6], [2], [2]]
    assert data.facts == {"ways": 2, "shots": 1, "size": 8}
    (tmp_path / "ten/empty").mkdir()
    with pytest.raises(
        UsageError, match=r"each class needs 2 images or more; too few have empty \(0\)"
    ):
        _ = ClassFolder(root).facts
    with pytest.raises(UsageError, match="holds no folders"):
        _ = ClassFolder(str(tmp_path / "ten/empty")).facts


def test_drawings_become_bright_strokes_in_a_square(tmp_path: Path) -> None:
    pixels = np.full((10, 20), 255, np.uint8)
    pixels[4:6, 4:16] = 0
    Image.fromarray(pixels).save(tmp_path / "wide.png")
    found = read_drawing(tmp_path / "wide.png", 20, "dark", "wide.png")
    assert found.shape == (20, 20)
    assert found[9:11, 4:16].min() == 255
    assert int(found.sum()) == 255 * 24
    transparent = Image.new("RGBA", (8, 8), (0, 0, 0, 0))
    transparent.save(tmp_path / "empty.png")
    assert not read_drawing(tmp_path / "empty.png", 8, "dark", "empty.png").any()
    (tmp_path / "text.png").write_text("no image", encoding="utf-8")
    with pytest.raises(UsageError, match="cannot be read as an image"):
        read_drawing(tmp_path / "text.png", 8, "dark", "text.png")


def test_own_drawings_are_told_by_their_support_set(tmp_path: Path) -> None:
    model = FewShot(ways=3, mixer="delta", channels=4, dim=8, heads=1, layers=1).eval()
    write_classes(tmp_path / "support", 3, images=2)
    files = sorted(tmp_path.rglob("*.png"))
    drawing = tmp_path / "mine.png"
    Image.fromarray(np.zeros((9, 9), np.uint8)).save(drawing)
    assert model.group_files([*files, drawing]) == [drawing]
    sample = model.read_file(drawing)
    assert sample["labels"].tolist() == [0, 1, 2, 0, 1, 2]
    with torch.inference_mode():
        row = model.describe_prediction(model.predict_sample(sample))
    assert row["label"] in {"class0", "class1", "class2"}
    assert 1 / 3 <= row["confidence"] <= 1
    (tmp_path / "support/class2/0.png").unlink()
    (tmp_path / "support/class2/1.png").unlink()
    with pytest.raises(UsageError, match=r"too few have class2 \(0\)"):
        model.read_file(drawing)
    (tmp_path / "support/class2").rmdir()
    with pytest.raises(UsageError, match="has 2 classes, and the model tells 3 apart"):
        model.read_file(drawing)
    elsewhere = tmp_path / "support/class0/0.png"
    other = tmp_path.parent / f"{tmp_path.name}-alone.png"
    other.write_bytes(elsewhere.read_bytes())
    with pytest.raises(UsageError, match="has no support set"):
        model.read_file(other)


@pytest.mark.parametrize("mixer", MIXERS)
def test_queries_are_answered_as_at_the_end_of_the_whole_sequence(mixer: str) -> None:
    torch.manual_seed(0)
    net = FewShot(ways=3, mixer=mixer, channels=4, dim=16, heads=2).eval().net  # type: ignore[arg-type]
    images = torch.randint(256, (2, 5, 8, 8), dtype=torch.uint8)
    net.encoder = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(64, 16))
    support, queries, labels = images[:, :3], images[:, 3:], torch.tensor([[2, 0, 1], [1, 2, 0]])
    shown = net.encode(support) + net.label(labels)
    for number in range(2):
        whole = torch.cat([shown, net.encode(queries[:, number : number + 1])], dim=1)
        expected = net.output(net.stack(whole)[0][:, -1])
        found = net(support, labels, queries)[:, number]
        torch.testing.assert_close(found, expected, rtol=1e-5, atol=1e-5)


def test_a_net_begins_by_reading_what_like_images_wrote() -> None:
    torch.manual_seed(0)
    x, other = torch.nn.functional.layer_norm(torch.randn(2, 50, 1, 32), (32,)).unbind()
    for mixer in ("delta", "sum", "softmax"):
        net = FewShot(ways=3, mixer=mixer, channels=4, dim=32, heads=2, layers=1).net  # type: ignore[arg-type]
        (layer,) = net.stack.mixers()
        queries, keys, _ = layer.slow(x).chunk(3, dim=-1)  # type: ignore[operator]
        assert torch.equal(queries, keys)
    (matrix,) = FewShot(ways=3, channels=4, dim=32, heads=2, layers=1).net.stack.mixers()
    with torch.no_grad():
        _, after = matrix(x)
        changes = [(matrix(each, after)[0] - matrix(each)[0]).norm() for each in (x, other)]
    assert changes[0] > 2 * changes[1]


def test_the_nearest_neighbor_is_by_cosine() -> None:
    support = torch.tensor([[[[9, 0]], [[0, 9]]]]).byte()
    queries = torch.tensor([[[[1, 3]], [[200, 10]]]]).byte()
    assert nearest_neighbor(support, torch.tensor([[4, 7]]), queries).tolist() == [[7, 4]]


def test_forward_is_the_task_in_the_order_of_classes() -> None:
    model = FewShot(
        ways=3, shots=2, mixer="self-referential", channels=4, dim=8, heads=1, layers=1
    ).eval()
    images = model.example_input
    labels = torch.tensor([0, 1, 2, 0, 1, 2]).expand(2, -1)
    expected = model.net(images[:, :6], labels, images[:, 6:])[:, 0]
    torch.testing.assert_close(model(images), expected)
