"""Stands in for PyAV: enough to import the lipreading plugin, whose models then train on generated
mouths and on AVLetters. It decodes nothing."""


class FFmpegError(Exception):
    """Never raised."""


def __getattr__(name: str) -> type:
    if name[:1].isupper():  # a class that an annotation names
        return type(name, (), {})
    raise AttributeError(f"av.{name} is not available: this is a stub; pack with --video")
