import pytest

from zoo.plugin import UsageError
from zoo_vision.notation import Maps, parse


def sizes(net: str, classes: int, **options: bool) -> list[str]:
    return [str(layer.after) for layer in parse(net, classes, **options).layers]


def test_the_papers_mnist_net_layer_by_layer():
    net = parse("1x29x29-20C4-MP2-40C5-MP3-150N-10N", 10)
    assert net.input == Maps(1, 29, 29)
    assert [str(layer.after) for layer in net.layers] == [
        "20x26x26",
        "20x13x13",
        "40x9x9",
        "40x3x3",
        "150",
        "10",
    ]
    # per layer: maps or units, times their inputs and a bias
    assert net.parameters == 20 * 17 + 40 * 501 + 150 * 361 + 10 * 151 == 76_040


def test_the_papers_traffic_sign_net_writes_maps_before_its_pooling():
    net = "3x48x48-100C7-MP2-150C4-150MP2-250C4-250MP2-300N-43N"
    assert sizes(net, 43) == [
        "100x42x42",
        "100x21x21",
        "150x18x18",
        "150x9x9",
        "250x6x6",
        "250x3x3",
        "300",
        "43",
    ]


@pytest.mark.parametrize(
    ("net", "classes"),
    [
        ("1x48x48-100C3-MP2-200C2-MP2-300C2-MP2-400C2-MP2-500N-3755N", 3755),
        ("2x48x48-100C5-MP2-100C5-MP2-100C4-MP2-300N-100N-6N", 6),
        ("1x95x95-48C4-MP2-48C5-MP2-48C4-MP2-48C4-MP2-200N-2N", 2),
        ("3x101x101-16C2-MP2-16C3-MP2-16C3-MP2-16C2-MP2-16C2-MP2-100N-2N", 2),
    ],
)
def test_the_papers_other_nets_add_up(net, classes):
    assert parse(net, classes).layers[-1].after == classes


def test_the_papers_cifar_net_needs_a_smaller_last_region():
    net = "3x32x32-300C3-MP2-300C2-MP2-300C3-MP2-300C2-MP2-300N-100N-10N"
    with pytest.raises(UsageError, match="MP2 does not divide maps of 5x5; 4x4 or 6x6 would fit"):
        parse(net, 10)
    assert sizes(net, 10, partial_pooling=True)[4:9] == [
        "300x5x5",
        "300x3x3",
        "300x2x2",
        "300x1x1",
        "300",
    ]


def test_a_last_n_follows_the_data():
    assert sizes("1x29x29-20C4-MP2-150N-N", 7)[-2:] == ["150", "7"]


def test_height_and_width_may_differ():
    assert sizes("1x8x12-5C3-MP2-N", 2)[:2] == ["5x6x10", "5x3x5"]


@pytest.mark.parametrize(
    ("net", "words"),
    [
        ("20C4-10N", ["'20C4'", "not an input size", "1x29x29"]),
        ("1x29-10N", ["'1x29'", "not an input size"]),
        ("1x29x29-20X4-10N", ["part 2", "'20X4'", "is not a layer"]),
        ("1x29x29-20c4-10N", ["part 2", "'20c4'"]),
        ("1x29x29--10N", ["part 2", "''"]),
        ("1x29x29-20C0-10N", ["'20C0'"]),
        ("1x29x29-20C30-10N", ["20C30 needs maps of at least 30x30 but gets 29x29"]),
        (
            "1x29x29-20C4-MP2-40C5-MP3-40C5-10N",
            ["40C5 needs maps of at least 5x5 but gets 3x3", "40C5 40x9x9, MP3 40x3x3"],
        ),
        ("1x4x9-MP5-10N", ["MP5 needs maps of at least 5x5 but gets 4x9"]),
        ("1x28x28-20C4-MP2-10N", ["25x25", "24x24 or 26x26 would fit", "partial_pooling"]),
        ("1x24x25-MP2-10N", ["24x25", "24x24 or 24x26 would fit"]),
        ("1x29x29-20C4-30MP2-10N", ["30MP2 pools 30 maps but gets 20"]),
        ("1x29x29-150N-20C4-10N", ["20C4 comes after a fully connected layer"]),
        ("1x29x29-150N-MP2-10N", ["MP2 comes after a fully connected layer"]),
        ("1x29x29-N-10N", ["part 2", "comes last"]),
        ("1x29x29", ["no output layer", "'-10N'", "'-N'"]),
        ("1x29x29-20C4-MP2", ["no output layer"]),
        ("1x29x29-150N", ["ends with 150 units", "10 classes", "'-10N'", "'-N'"]),
    ],
)
def test_what_does_not_add_up_is_refused(net, words):
    with pytest.raises(UsageError) as caught:
        parse(net, 10)
    message = str(caught.value)
    assert repr(net) in message
    for word in words:
        assert word in message
