"""Standard MIDI files of piano rolls: enough to hear what a model composes and to give it a
beginning.

Source: The Standard MIDI Files 1.0 specification, MIDI Manufacturers Association, 1996.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

import numpy as np

from zoo.plugin import UsageError

LOWEST = 21
"""MIDI's number of the first of 88 notes, A0."""
TICKS = 480
"""Of a step of a roll that is written, a quarter note."""


def roll_to_midi(roll: np.ndarray, tempo: int = 90) -> bytes:
    """A file of one track with a step as a quarter note; notes that go on are held.

    Args:
        roll: (T, 88) of zeros and ones.
        tempo: Quarter notes a minute.
    """
    padded = np.pad(roll.astype(bool), ((1, 1), (0, 0)))
    events = bytearray(b"\x00\xff\x51\x03" + struct.pack(">I", 60_000_000 // tempo)[1:])
    waited = 0
    for before, now in pairwise(padded):
        for status, notes in ((0x80, before & ~now), (0x90, now & ~before)):
            for note in np.flatnonzero(notes):
                events += _variable(waited) + bytes([status, LOWEST + int(note), 80])
                waited = 0
        waited += TICKS
    events += b"\x00\xff\x2f\x00"
    header = b"MThd" + struct.pack(">IHHH", 6, 0, 1, TICKS)
    return header + b"MTrk" + struct.pack(">I", len(events)) + bytes(events)


def read_midi(path: Path) -> np.ndarray:
    """The notes of a file at each quarter note, uint8 (T, 88).

    Raises:
        UsageError: it is not a MIDI file that counts in quarter notes, or has no note.
    """
    content = path.read_bytes()
    if content[:4] != b"MThd" or len(content) < 14:
        raise UsageError(f"{path} is not a MIDI file")
    length, _, _, division = struct.unpack(">IHHH", content[4:14])
    if division & 0x8000 or not division:
        raise UsageError(f"{path} counts time in frames of film; one in quarter notes is needed")
    try:
        spans = [span for track in _tracks(content, 8 + length) for span in _sounding(track)]
    except (IndexError, struct.error) as error:
        raise UsageError(f"{path} is damaged: a track ends in the middle of an event") from error
    spans = [(a, b, note - LOWEST) for a, b, note in spans if 0 <= note - LOWEST < 88]
    if not spans:
        raise UsageError(f"{path} has no note from A0 to C8")
    roll = np.zeros((-(-max(end for _, end, _ in spans) // division), 88), dtype=np.uint8)
    for start, end, note in spans:
        roll[
            round(start / division) : max(round(end / division), round(start / division) + 1), note
        ] = 1
    return roll


def _tracks(content: bytes, place: int) -> Iterator[bytes]:
    while place + 8 <= len(content):
        (length,) = struct.unpack(">I", content[place + 4 : place + 8])
        if content[place : place + 4] == b"MTrk":
            yield content[place + 8 : place + 8 + length]
        place += 8 + length


def _sounding(track: bytes) -> Iterator[tuple[int, int, int]]:
    """Start and end in ticks and the note, of every note of a track."""
    place, now, status = 0, 0, 0
    held: dict[tuple[int, int], int] = {}
    while place < len(track):
        delta, place = _read_variable(track, place)
        now += delta
        if track[place] & 0x80:
            status, place = track[place], place + 1
        if status == 0xFF or status in (0xF0, 0xF7):
            place += status == 0xFF
            length, place = _read_variable(track, place)
            place += length
            continue
        first, kind = track[place], status & 0xF0
        second = 0 if kind in (0xC0, 0xD0) else track[place + 1]
        place += 1 if kind in (0xC0, 0xD0) else 2
        key = (status & 0x0F, first)
        if kind == 0x90 and second:
            held.setdefault(key, now)
        elif kind in (0x80, 0x90) and key in held:
            yield held.pop(key), now, first
    for (_, note), start in held.items():
        yield start, now, note


def _variable(number: int) -> bytes:
    found = [number & 0x7F]
    while number := number >> 7:
        found.append(number & 0x7F | 0x80)
    return bytes(reversed(found))


def _read_variable(content: bytes, place: int) -> tuple[int, int]:
    value = 0
    while True:
        byte = content[place]
        value, place = value << 7 | byte & 0x7F, place + 1
        if not byte & 0x80:
            return value, place
