"""The idea of each model as boxes and arrows, drawn as SVG in the colors of the page."""

from __future__ import annotations

import itertools
from html import escape

Column = list[str]
DIAGRAMS: dict[str, list[Column]] = {
    "mpcnn": [
        ["image|29 x 29"],
        ["convolution|20 maps"],
        ["max-pooling|2 x 2"],
        ["convolution|40 maps"],
        ["max-pooling|3 x 3"],
        ["full|150 units"],
        ["softmax|classes"],
    ],
    "mcdnn": [
        ["image"],
        ["width 10", "width 14", "as it is"],
        ["column 1|max-pooling CNN", "column 2|max-pooling CNN", "column 3|max-pooling CNN"],
        ["mean|of probabilities"],
        ["class"],
    ],
    "mlp": [
        ["image|deformed anew"],
        ["full|2500"],
        ["full|2000"],
        ["full|1500"],
        ["full|1000"],
        ["full|500"],
        ["softmax|classes"],
    ],
    "timm-any": [
        ["images|of your own"],
        ["augmentation|on the batch"],
        ["network of timm|pretrained"],
        ["new head|your classes"],
        ["class"],
    ],
    "pyramid-lstm": [
        ["volume"],
        ["LSTM down", "LSTM up", "LSTM back", "LSTM forth", "LSTM right", "LSTM left"],
        ["sum"],
        ["full|each voxel alone"],
        ["again|or softmax"],
    ],
    "pyramid-lstm-small": [
        ["volume"],
        ["blocks|2 x 2 x 2"],
        ["LSTM down", "LSTM up", "LSTM back", "LSTM forth", "LSTM right", "LSTM left"],
        ["sum"],
        ["full|each position"],
        ["blocks undone"],
        ["softmax|each voxel"],
    ],
    "md-lstm": [
        ["slice"],
        ["from top left", "from top right", "from bottom left", "from bottom right"],
        ["side by side"],
        ["full|each pixel alone"],
        ["again|or softmax"],
    ],
    "monai-any": [
        ["volume"],
        ["patches|and windows"],
        ["net of MONAI|UNet, SegResNet, ..."],
        ["windows blended"],
        ["label map|in its own space"],
    ],
    "lipreader": [
        ["clip|of a mouth"],
        ["full|each frame"],
        ["LSTM|over frames"],
        ["word", "gradient reversed|then: which speaker?"],
    ],
    "lipreader-ctc": [
        ["clip|of a mouth"],
        ["full|each frame"],
        ["LSTM|both ways"],
        ["symbol or blank|each frame"],
        ["CTC|all placements"],
        ["sentence"],
    ],
    "av-fusion": [
        ["images|of a mouth", "sound|MFCCs, in noise"],
        ["full|each frame", "full|each frame"],
        ["joined|early, late or gated"],
        ["LSTM|over frames"],
        ["word"],
    ],
    "udrl": [
        ["observation", "desired return", "horizon"],
        ["behavior function"],
        ["action"],
        ["environment"],
        ["episodes|kept, relabelled"],
    ],
    "hpg": [
        ["state", "goal"],
        ["policy"],
        ["action"],
        ["episode"],
        ["every state reached|counts as a goal"],
        ["gradient|importance-weighted"],
    ],
    "lstm97": [
        ["step of|a sequence"],
        ["input gate", "cell input", "output gate"],
        ["cell|adds, forgets nothing"],
        ["outputs"],
        ["cells and gates|of the step before"],
    ],
    "lstm": [
        ["step of|a sequence"],
        ["forget gate|opened for the lag", "input gate", "output gate"],
        ["cell"],
        ["outputs"],
    ],
    "clockwork-rnn": [
        ["step"],
        ["every step", "every 2nd", "every 4th", "..."],
        ["slow groups|speak to fast ones"],
        ["wave"],
    ],
    "history-compressor": [
        ["symbols"],
        ["automatizer|tells the next"],
        ["what it did|not expect"],
        ["chunker|tells the next of these"],
        ["taught back|to the automatizer"],
    ],
    "meta-lstm": [
        ["point", "value of the|point before"],
        ["LSTM|weights fixed"],
        ["its state|has learnt"],
        ["value"],
    ],
    "ctc-recognizer": [
        ["sound"],
        ["cepstra|20 ms each"],
        ["LSTM|both ways"],
        ["symbol or blank|each frame"],
        ["CTC|all placements"],
        ["string|with times"],
    ],
    "echo-state": [
        ["series"],
        ["reservoir|random, fixed", "reservoir", "..."],
        ["states"],
        ["readout|solved for"],
        ["class|or next step"],
    ],
    "evolino": [
        ["populations|one a cell"],
        ["LSTM|a cell of each"],
        ["states|on what is known"],
        ["outputs|pseudo-inverse"],
        ["goes on|alone"],
        ["fitness|the error there"],
    ],
    "next-frame": [
        ["notes|of all steps so far"],
        ["LSTM"],
        ["each note's|probability"],
        ["next step"],
        ["drawn,|and fed back"],
    ],
    "retrieval-net": [
        ["keys", "values", "question"],
        ["features|of keys", "features|of the question"],
        ["memory|sum or delta rule"],
        ["answer"],
    ],
    "text-lm": [
        ["characters"],
        ["short convolutions"],
        ["keys, values,|queries, rates"],
        ["fast matrix|delta rule"],
        ["next character"],
    ],
    "mqar-net": [
        ["pairs, then keys"],
        ["short convolutions"],
        ["fast matrix|two layers"],
        ["value of each key"],
    ],
    "flip-flop-1992": [
        ["event"],
        ["slow net|writes", "fast net|reads"],
        ["fast weights|within 0 and 1"],
        ["answer"],
    ],
    "few-shot": [
        ["images|with labels", "image|to be told"],
        ["convolutions"],
        ["fast matrix|changes itself"],
        ["label"],
    ],
    "evolved-controller": [
        ["optimizer|asks and is told"],
        ["genomes|a population"],
        ["encoding|direct or DCT"],
        ["controllers"],
        ["environment|all at once"],
        ["fitness|by rank"],
    ],
    "black-box": [
        ["optimizer|asks and is told"],
        ["points|a population"],
        ["box|bounds, whole numbers"],
        ["your function"],
        ["values|by rank"],
    ],
    "cm": [
        ["observation"],
        ["C|recurrent controller"],
        ["action"],
        ["M|recurrent model"],
        ["predicted pain"],
        ["gradient|through M into C"],
    ],
    "world-model": [
        ["features", "action"],
        ["memory|MDN-LSTM, GRU or RSSM"],
        ["next features|a mixture", "reward, end"],
        ["dream"],
    ],
    "conv-vae": [
        ["frame|64 x 64"],
        ["four convolutions"],
        ["code|mean and scale"],
        ["four transposed|convolutions"],
        ["frame"],
    ],
    "dream-controller": [
        ["dreams|of a world model"],
        ["linear controllers|a generation"],
        ["returns"],
        ["SNES or xNES"],
    ],
    "planner": [
        ["state"],
        ["plans"],
        ["world model|steps ahead"],
        ["returns"],
        ["gradient, CEM, MPPI|make better plans"],
        ["first action"],
    ],
    "fovea": [
        ["what is seen|fine and coarse"],
        ["C|recurrent controller"],
        ["move"],
        ["M|units that multiply"],
        ["what is seen next"],
        ["gradient|through M into C"],
    ],
    "one": [
        ["traces of|the new task", "replay of|old skills"],
        ["one recurrent net"],
        ["action", "next observation"],
        ["kept|for the next task"],
    ],
    "behavior-clone": [
        ["observation"],
        ["two hidden layers"],
        ["action|as in the log"],
    ],
    "curious": [
        ["place, action"],
        ["model"],
        ["what is shown"],
        ["intrinsic reward|error or progress"],
        ["values"],
    ],
}
_WIDTH, _HEIGHT, _GAP, _ROW = 138, 48, 26, 12


def diagram(name: str, title: str) -> str:
    """The SVG of a model; empty where none is drawn.

    Args:
        name: The model's, as in the names of files.
        title: What it shows, for those who do not see it.
    """
    columns = DIAGRAMS.get(name)
    if not columns:
        return ""
    tall = max(map(len, columns)) * (_HEIGHT + _ROW) + _ROW
    wide = len(columns) * (_WIDTH + _GAP) - _GAP + 4
    places = [_places(number, len(column), tall) for number, column in enumerate(columns)]
    parts = [
        _arrow(left, right, len(before) == len(after) and row != other)
        for before, after in itertools.pairwise(places)
        for row, left in enumerate(before)
        for other, right in enumerate(after)
    ]
    for column, spots in zip(columns, places, strict=True):
        parts += [_box(text, *spot) for text, spot in zip(column, spots, strict=True)]
    return (
        f'<div class="diagram" data-search-exclude><svg viewBox="0 0 {wide} {tall}" '
        f'width="{wide}" height="{tall}" '
        f'role="img" aria-label="{escape(title)}">{"".join(parts)}</svg></div>'
    )


def _places(column: int, count: int, tall: int) -> list[tuple[int, int]]:
    """The top left corners of a column's boxes, centered."""
    top = (tall - count * (_HEIGHT + _ROW) + _ROW) // 2
    return [(2 + column * (_WIDTH + _GAP), top + row * (_HEIGHT + _ROW)) for row in range(count)]


def _arrow(left: tuple[int, int], right: tuple[int, int], skipped: bool) -> str:
    """A line from box to box; between columns of one height only neighbors are joined."""
    if skipped:
        return ""
    x1, y1, x2, y2 = left[0] + _WIDTH, left[1] + _HEIGHT // 2, right[0], right[1] + _HEIGHT // 2
    head = f"M{x2 - 6} {y2 - 4}L{x2} {y2}L{x2 - 6} {y2 + 4}"
    return f'<path class="arrow" d="M{x1} {y1}L{x2} {y2}{head}"/>'


def _box(text: str, x: int, y: int) -> str:
    first, _, second = text.partition("|")
    middle = x + _WIDTH // 2
    lines = [f'<text x="{middle}" y="{y + (20 if second else 29)}">{escape(first)}</text>']
    if second:
        lines.append(f'<text class="small" x="{middle}" y="{y + 37}">{escape(second)}</text>')
    box = f'<rect x="{x}" y="{y}" width="{_WIDTH}" height="{_HEIGHT}" rx="7"/>'
    return box + "".join(lines)
