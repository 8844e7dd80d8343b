"""FLOPs against PyTorch's counter, the peak against what a product takes."""

import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode

from course_lib.model.config import bert_config, gpt2_config, llama_config, t5_config
from course_lib.model.transformer import Transformer
from course_lib.text.batches import RandomBatches
from course_lib.training import Record, matmul_peak, train, training_flops

SIZES = {"vocab_size": 50, "model_dim": 24, "num_layers": 3, "num_heads": 6, "context_length": 16}


@pytest.mark.parametrize(
    "config",
    [
        llama_config(**SIZES, num_kv_heads=2),
        llama_config(**SIZES, head_dim=8, hidden_dim=20, tied_embeddings=False),
        gpt2_config(**SIZES),
        bert_config(**SIZES),
        llama_config(**SIZES, positions="alibi"),
    ],
)
@pytest.mark.parametrize("time", [7, 16])
def test_flops_are_those_of_forward_and_backward(config, time):
    model = Transformer(config)  # plain attention: the counter does not see the fused one on a CPU
    with FlopCounterMode(display=False) as counter:
        model(torch.randint(50, (5, time))).sum().backward()
    assert training_flops(config, context_length=time) * 5 * time == counter.get_total_flops()


def test_the_context_is_the_configurations_unless_given():
    config = llama_config(**SIZES)
    assert training_flops(config) == training_flops(config, context_length=16)


@pytest.mark.parametrize("config", [t5_config(**SIZES), llama_config(**SIZES, positions="deberta")])
def test_what_the_formula_does_not_know_is_refused(config):
    with pytest.raises(ValueError, match=config.positions):
        training_flops(config)


def test_the_peak_is_a_speed_and_measured_once():
    peak = matmul_peak(torch.float64, seconds=0.02)
    assert 1e6 < peak < 1e16
    assert matmul_peak(torch.float64, seconds=0.02) == peak


def test_another_number_of_threads_has_a_peak_of_its_own():
    threads, wanted = torch.get_num_threads(), (3, 1, 3)
    try:
        peaks = []
        for number in wanted:
            torch.set_num_threads(number)
            peaks.append(matmul_peak(torch.float64, seconds=0.02))
    finally:
        torch.set_num_threads(threads)
    assert peaks[0] == peaks[2] != peaks[1]


def test_a_run_of_a_transformer_knows_its_share_of_the_peak(capsys):
    config = llama_config(**SIZES)
    batches = RandomBatches(torch.arange(400) % 50, 4, 16)
    record = train(Transformer(config), batches, num_steps=3, progress=True)
    peak = matmul_peak(torch.float32, torch.device("cpu"))
    expected = record.tokens_per_second * training_flops(config) / peak
    assert record.mfu == pytest.approx(expected)
    assert "of the peak" in capsys.readouterr().err
    assert Record(**record.to_json()).mfu == record.mfu


def test_an_empty_record_and_an_unknown_model_have_no_share():
    assert Record().mfu is None
    assert Record(losses=[1.0], num_tokens=7, seconds=2.0).mfu is None
