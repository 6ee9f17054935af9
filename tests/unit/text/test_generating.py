"""A real model of transformers generates: the right tokens, by every back end, from prompts of every kind."""

from __future__ import annotations

import json
from contextlib import contextmanager

import pytest
import torch

from pytest_gpuperf.errors import MissingError, UsageError
from pytest_gpuperf.measure.find_tensors import find_tensors
from pytest_gpuperf.text import model as text_model
from pytest_gpuperf.text.generating import batches_of, drawn, opened_text
from pytest_gpuperf.text.model import load_text, narrow

LLAMA = {
    "model_type": "llama",
    "hidden_size": 256,
    "intermediate_size": 512,
    "num_hidden_layers": 4,
    "num_attention_heads": 8,
    "num_key_value_heads": 2,
    "vocab_size": 3000,
    "max_position_embeddings": 64,
    "eos_token_id": 2999,
}


@pytest.fixture(autouse=True)
def offline(monkeypatch):
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)


def opened(name="text:phi-2", prompts=2, **how):
    usual = {
        "prompt_tokens": 6,
        "max_new_tokens": 5,
        "batch": 1,
        "backend": "eager",
        "precision": "fp32",
        "pretrained": False,
        "scale": "smoke",
        "device": "cpu",
        "synchronize": lambda: None,
    }
    return opened_text(name, prompts, **(usual | how))


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "config.json").write_text(json.dumps(LLAMA))
    return tmp_path


def by_hand(module, prompt, count):
    """Greedily, all of it computed anew for each token: no cache."""
    ids = list(prompt)
    with torch.no_grad():
        for _ in range(count):
            ids.append(int(module(torch.tensor([ids])).logits[0, -1].argmax()))
    return ids


@pytest.mark.parametrize("backend", ["eager", "static"])
def test_it_generates_what_a_loop_without_a_cache_generates(backend):
    with opened(backend=backend, max_new_tokens=8) as generate:
        answers = [generate()[0].tolist() for _ in range(2)]
        assert answers == [by_hand(generate.model.module, prompt, 8) for prompt in generate.prompts]
        assert answers[0] != answers[1]


def test_a_compiled_model_generates_the_same():
    prompts = [[9, 8, 7, 6], [5, 4, 3]]
    with opened(prompts=prompts, backend="static") as generate:
        want = [generate().tolist() for _ in prompts]
    with opened(prompts=prompts, backend="compile") as generate:
        assert [generate().tolist() for _ in prompts] == want


def test_shorter_prompts_of_a_batch_are_padded_and_answered_alike():
    with opened(prompts=[[9, 8, 7, 6], [5, 4]], batch=2) as generate:
        both = generate()
        assert both[0].tolist() == by_hand(generate.model.module, [9, 8, 7, 6], 5)
        assert both[1, 2:].tolist() == by_hand(generate.model.module, [5, 4], 5)
        assert generate.last.prompts == (0, 1)
        assert generate.items == 10


def test_times_of_tokens_follow_each_other():
    with opened() as generate:
        generate()
        one = generate.last
        assert one.start < one.prefilled < one.tokens[0]
        assert list(one.tokens) == sorted(one.tokens)
        assert len(one.tokens) == 5


def test_for_the_first_token_no_more_is_generated():
    with opened() as generate:
        first = generate.of("ttft")
        assert first() is None
        assert len(first.last.tokens) == 1
        assert (first.items, generate.of("decode").items) == (1, 4)


def test_all_prompts_take_their_turn():
    with opened(prompts=3) as generate:
        seen = []
        for _ in range(5):
            generate()
            seen += generate.last.prompts
    assert seen == [0, 1, 2, 0, 1]


def test_a_token_that_ends_texts_does_not_end_an_answer(folder):
    with opened(f"text:{folder}", max_new_tokens=12) as generate:
        generate.model.module.lm_head.weight.data.zero_()  # every token is as likely
        generate.model.module.lm_head.weight.data[generate.model.module.config.eos_token_id] = 1
        generate()
        assert len(generate.last.tokens) == 12


def test_the_device_is_waited_for_once_when_the_prompt_is_computed():
    waits = []
    with opened(synchronize=lambda: waits.append(1)) as generate:
        generate()
    assert len(waits) == 1


@pytest.mark.parametrize(("precision", "kind"), [("bf16", torch.bfloat16), ("autocast_bf16", torch.float32)])
def test_precisions(precision, kind):
    with opened(precision=precision) as generate:
        assert generate().shape == (1, 11)
        assert next(generate.model.module.parameters()).dtype == kind


def test_a_small_model_has_one_thread_of_a_processor():
    threads = torch.get_num_threads()
    torch.set_num_threads(2)
    try:
        with opened():
            assert torch.get_num_threads() == 1
        assert torch.get_num_threads() == 2
    finally:
        torch.set_num_threads(threads)


def test_its_parameters_are_found_as_evidence():
    assert find_tensors(load_text("text:phi-2", "smoke")).parameters["cpu"] >= 4 * 527_872  # and a buffer of angles


def test_weights_are_those_of_a_seed():
    one, other = (load_text("text:phi-2", "smoke") for _ in range(2))
    assert all(torch.equal(a, b) for a, b in zip(one.module.parameters(), other.module.parameters(), strict=True))
    assert one.context == 2048


def test_phi_2_is_as_large_as_it_is_published():
    from transformers import AutoConfig, AutoModelForCausalLM

    config = AutoConfig.for_model(**text_model._KNOWN["phi-2"][1])
    with torch.device("meta"):
        assert sum(p.numel() for p in AutoModelForCausalLM.from_config(config).parameters()) == 2_779_683_840


def test_a_narrow_twin_keeps_how_many_queries_share_a_key(folder):
    made = load_text(f"text:{folder}", "smoke", device="cpu")
    config = made.module.config
    assert (config.num_attention_heads, config.num_key_value_heads, config.hidden_size) == (4, 2, 128)
    assert config.eos_token_id == 511
    assert made.vocabulary == 512


@pytest.mark.parametrize(("groups", "kept"), [(8, 4), (1, 1)])
def test_a_narrow_twin_of_one_head_each_or_of_one_for_all(groups, kept):
    from transformers import AutoConfig

    assert narrow(AutoConfig.for_model(**(LLAMA | {"num_key_value_heads": groups}))).num_key_value_heads == kept


def test_a_narrow_twin_has_as_many_kinds_of_layers_as_layers():
    from transformers import AutoConfig

    config = narrow(AutoConfig.for_model("gemma2"))
    assert len(config.layer_types) == config.num_hidden_layers == 2


def test_texts_are_cut_by_the_models_own_tokeniser(folder):
    from tokenizers import Tokenizer, models, pre_tokenizers
    from transformers import PreTrainedTokenizerFast

    words = Tokenizer(models.WordLevel({"[UNK]": 0, "the": 7, "card": 1900}, unk_token="[UNK]"))
    words.pre_tokenizer = pre_tokenizers.Whitespace()
    PreTrainedTokenizerFast(tokenizer_object=words, unk_token="[UNK]").save_pretrained(folder)
    with opened(f"text:{folder}", ["the card the", "card"]) as generate:
        assert generate.prompts == [[7, 1900 % 512, 7], [1900 % 512]]


def test_drawn_prompts_differ_and_are_the_same_every_day():
    prompts = drawn(5, 40, 51200)
    assert len({tuple(p[:4]) for p in prompts}) == 5
    assert prompts == drawn(5, 40, 51200)
    assert all(1000 <= t < 51200 for p in prompts for t in p)
    assert all(2 <= t < 5 for t in drawn(1, 40, 5)[0])


def test_batches_are_padded_on_the_left():
    (batch,) = batches_of([[1, 2], [3]], 2, torch.device("cpu"))
    assert (batch.ids.tolist(), batch.mask.tolist()) == ([[1, 2], [0, 3]], [[1, 1], [0, 1]])


@contextmanager
def refused(kind, *words):
    with pytest.raises(kind) as raised:
        yield
    assert all(word in str(raised.value) for word in words), raised.value


@pytest.mark.parametrize(
    ("how", "words"),
    [
        ({"prompts": 5, "batch": 2}, ("5 prompts cannot fill batches of 2. Give 4 or 6",)),
        ({"prompts": 1, "batch": 2}, ("1 prompt cannot fill batches of 2. Give 2 of them",)),
        ({"prompts": 0}, ("prompts=0",)),
        ({"prompts": []}, ("prompts=0",)),
        ({"prompts": "why?"}, ("one text", "prompts=['why?']")),
        ({"prompts": [[1], []]}, ("A prompt is empty",)),
        ({"prompts": ["a", [1]]}, ("these are mixed",)),
        ({"prompts": [[1, 512]]}, ("no token 512", "has 512, from 0")),
        ({"max_new_tokens": 0}, ("max_new_tokens=0",)),
        ({"prompt_tokens": -1}, ("prompt_tokens=-1",)),
        ({"batch": 0}, ("batch=0",)),
        ({"backend": "vllm"}, ("no back end 'vllm'", "static: a key-value cache of a fixed size")),
        ({"precision": "int8"}, ("not generated in int8",)),
        ({"prompt_tokens": 2044}, ("2044 tokens and 5 new ones are 2049", "room for 2048")),
        ({"name": "phi-2"}, ("'phi-2' is no language model", "text:phi-2")),
        ({"name": "text:"}, ("is no language model",)),
        ({"pretrained": True}, ("Ask for scale='full'",)),
    ],
)
def test_what_cannot_be_is_refused(how, words):
    with refused(UsageError, *words), opened(**how):
        pass


@pytest.mark.parametrize(
    ("how", "words"),
    [
        (
            {"name": "text:no/such"},
            ("no configuration was found in a folder of that name, or on the hub", "text:FOLDER"),
        ),
        ({"name": "text:/"}, ("no configuration was found in that folder",)),
        ({"prompts": ["why?"]}, ("need the tokeniser of microsoft/phi-2", "prompts=8")),
        ({"pretrained": True, "scale": "full"}, ("trained weights could not be had", "leave pretrained=True out")),
    ],
)
def test_what_is_not_here_is_said(how, words):
    with refused(MissingError, *words), opened(**how):
        pass


def test_without_transformers_it_says_how_to_get_it(monkeypatch):
    monkeypatch.setattr("pytest_gpuperf.text.util.find_spec", lambda _: None)
    with refused(MissingError, "needs torch and transformers", "pytest-gpuperf[text]"), opened():
        pass


def test_a_model_without_a_published_place_has_no_tokeniser():
    nowhere = text_model.TextModel("mine", "smoke", None, None)
    with refused(MissingError, "mine has no tokeniser"):
        nowhere.token_ids(["x"])


def own(**changes):
    module = load_text("text:phi-2", "smoke").module
    return module.to(changes.pop("dtype", torch.float32)).train(changes.pop("training", False))


@pytest.mark.parametrize("backend", ["eager", "static"])
def test_a_model_of_ones_own_is_taken_as_it_is(backend):
    module = own()
    with opened(module, backend=backend) as generate:
        assert generate.model.module is module
        assert generate.model.name == "PhiForCausalLM"
        generate()
        assert len(generate.last.tokens) == 5
    assert "forward" not in vars(module)


@pytest.mark.parametrize(
    ("made", "message"),
    [
        (lambda: torch.nn.Linear(2, 2), r"Linear is no causal language model of transformers: it has no generate\(\)"),
        (lambda: own(dtype=torch.float16), r"are float16, and those of the precision that was asked for are float32"),
        (lambda: own(training=True), r"is in training mode.*model\.eval\(\)"),
        (lambda: own().to("meta"), r"is on meta, and this session measures cpu: call model\.to\('cpu'\)"),
    ],
)
def test_a_model_of_ones_own_that_cannot_be_measured_is_one_message(made, message):
    with pytest.raises(UsageError, match=message), opened(made()):
        pass
