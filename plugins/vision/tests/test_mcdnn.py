import lightning as L
import pytest
import torch
from torch.utils.data import DataLoader, TensorDataset

from zoo.plugin import UsageError
from zoo_vision.mcdnn import EXECUTIONS, LOOP, MCDNN, STACKED
from zoo_vision.mpcnn import MPCNN

ARGUMENTS = {"net": "1x13x13-4C4-MP2-6C2-MP2-8N-N", "image_size": [12, 12], "num_classes": 3}


def committee(**arguments) -> MCDNN:
    given = {"preprocessings": ["none", "width6"], "columns_per_preprocessing": 2, **ARGUMENTS}
    return MCDNN(**{**given, **arguments})


def digits(count=40) -> TensorDataset:
    generator = torch.Generator().manual_seed(0)
    images = torch.randint(0, 255, (count, 1, 12, 12), generator=generator)
    return TensorDataset(images.to(torch.uint8), torch.arange(count) % 3)


def trainer(**arguments) -> L.Trainer:
    return L.Trainer(
        accelerator="cpu",
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        **arguments,
    )


@pytest.mark.parametrize(
    "net",
    [
        ARGUMENTS["net"],
        "1x13x13-5C2-3C2-MP11-N",
        "1x13x13-7N-9N-N",
        "1x13x13-N",
        "1x13x13-4C3-5N-N",
    ],
)
def test_both_executions_give_the_same_numbers_and_gradients(net):
    torch.manual_seed(0)
    model = committee(net=net, activation="scaled_tanh")
    inputs, labels = torch.randn(4, 5, 1, 13, 13), torch.arange(5) % 3
    results = []
    for execution in (LOOP, STACKED):
        model.zero_grad()
        logits = model.network(inputs, execution)
        model.column_losses(logits, labels).sum().backward()
        results.append([logits, *(weights.grad.clone() for weights in model.parameters())])
    assert results[0][0].shape == (4, 5, 3)
    for one, other in zip(*results, strict=True):
        assert torch.allclose(one, other, atol=1e-5)


def test_a_column_computes_what_a_net_of_its_own_does():
    torch.manual_seed(0)
    model, inputs = committee(), torch.randn(4, 5, 1, 13, 13)
    alone = MPCNN(**ARGUMENTS)
    for index in range(4):
        alone.network.load_state_dict(model.network.column(index))
        with torch.no_grad():
            for execution in (LOOP, STACKED):
                expected = model.network(inputs, execution)[index]
                assert torch.allclose(alone.network(inputs[index]), expected, atol=1e-5)


@pytest.mark.parametrize("execution", [LOOP, STACKED])
@pytest.mark.parametrize("optimizer", ["adamw", "sgd"])
def test_a_column_trains_as_if_alone(execution, optimizer):
    torch.manual_seed(0)
    training = {"optimizer": optimizer, "lr": 0.02, "weight_decay": 0.1, "label_smoothing": 0.1}
    model = committee(
        preprocessings=["none"], columns_per_preprocessing=3, execution=execution, **training
    )
    alone = MPCNN(**ARGUMENTS, **training)
    alone.network.load_state_dict(model.network.column(1))
    start = {name: weights.clone() for name, weights in alone.network.state_dict().items()}
    for net in (model, alone):
        trainer(max_epochs=3).fit(net, DataLoader(digits(), 10))
    column = model.network.column(1)
    for name, weights in alone.network.state_dict().items():
        assert not torch.allclose(weights, start[name], atol=1e-3)
        assert torch.allclose(column[name], weights, atol=1e-4), name


def test_columns_start_apart_and_deform_apart():
    torch.manual_seed(0)
    model = committee(rotation=30.0)
    first, second = model.network.column(0), model.network.column(1)
    assert not torch.equal(first["head.weight"], second["head.weight"])
    seen = []
    model.network.forward = lambda inputs, execution: seen.append(inputs) or torch.zeros(4, 6, 3)
    with torch.no_grad():
        model.training_step(digits(6)[:], 0)
    assert seen[0].shape == (4, 6, 1, 13, 13)
    assert not torch.allclose(seen[0][0], seen[0][1])


def test_groups_of_columns_see_their_preprocessing():
    model = committee(fit="pad")
    images = torch.zeros(1, 1, 12, 12, dtype=torch.uint8)
    images[..., 2:10, 5:7] = 255
    inputs = model.column_inputs(images)
    assert inputs.shape == (4, 1, 1, 13, 13)
    assert torch.equal(inputs[0], inputs[1])
    assert torch.equal(inputs[2], inputs[3])
    widths = [(column[0, 0] > 0.6).any(dim=0).sum().item() for column in inputs]
    assert widths[0] == 2
    assert widths[2] >= 5


def test_the_committee_is_the_mean_of_the_columns_probabilities():
    torch.manual_seed(0)
    model = committee().eval()
    images = digits(6)[:][0]
    with torch.no_grad():
        expected = model.column_logits(images).softmax(dim=2).mean(dim=0)
        assert torch.allclose(model(images).softmax(dim=1), expected, atol=1e-6)
        assert torch.allclose(model(images).exp(), expected, atol=1e-6)


def test_every_columns_error_is_reported():
    torch.manual_seed(0)
    model, data = committee(), digits()
    run = trainer()
    run.test(model, DataLoader(data, 16), verbose=False)
    images, labels = data[:]
    with torch.no_grad():
        wrong = (model.eval().column_logits(images).argmax(dim=2) != labels).float().mean(dim=1)
        whole = (model(images).argmax(dim=1) != labels).float().mean()
    for index in range(4):
        logged = float(run.callback_metrics[f"test/error/column-{index + 1}"])
        assert logged == pytest.approx(wrong[index].item())
    assert float(run.callback_metrics["test/error"]) == pytest.approx(whole.item())


def test_auto_is_one_after_the_other_on_a_cpu_and_stacked_on_any_other_device():
    model = committee()
    assert model.execution_on(torch.device("cpu")) == LOOP
    assert model.execution_on(torch.device("cuda")) == STACKED
    assert model.execution_on(torch.device("meta")) == STACKED
    assert committee(execution=STACKED).execution_on(torch.device("cpu")) == STACKED
    assert committee(execution=LOOP).execution_on(torch.device("cuda")) == LOOP


def test_auto_trains_on_a_cpu_as_one_after_the_other_to_the_last_digit():
    weights = {}
    for execution in EXECUTIONS:
        torch.manual_seed(0)
        model = committee(execution=execution, rotation=10.0, dropout=0.0, optimizer="sgd", lr=0.1)
        trainer(max_epochs=2).fit(model, DataLoader(digits(), 10))
        weights[execution] = model.network.column(0)["head.weight"]
    assert torch.equal(weights["auto"], weights[LOOP])
    assert torch.allclose(weights["auto"], weights[STACKED], atol=1e-4)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"preprocessings": []}, "needs columns"),
        ({"columns_per_preprocessing": 0}, "needs columns"),
        ({"preprocessings": ["none", "blur"]}, "'blur'"),
        ({"execution": "parallel"}, "'parallel'"),
        ({"num_classes": 1}, "num_classes"),
    ],
)
def test_wrong_arguments_are_refused(arguments, words):
    with pytest.raises(UsageError, match=words):
        committee(**arguments)
