"""The lecture's claims, C1 to C69: which chapter measures each, and what it says, in a line."""

from typing import NamedTuple


class Statement(NamedTuple):
    """What the lecture, or a paper that it names, says; `chapter` is the one that measures it."""

    chapter: str
    words: str


_WORDS = {
    "01": {
        "C1": "Word vocabularies are huge and still miss words, characters make sequences long, "
        "subwords sit between",
        "C2": "Byte fallback never meets an unknown symbol",
        "C3": "A book of 269,000 characters is tokenized in 200 ms",
    },
    "02": {
        "C4": "The two statements of the task are equivalent",
        "C5": "Fill-in-the-middle training gives infilling and does not hurt left-to-right loss",
    },
    "03": {
        "C6": "The prompt's wording strongly moves quality",
        "C7": "Chain of thought helps only a model that saw such reasoning in training",
        "C8": "A tuned soft prompt beats hand-written ones and approaches fine-tuning",
    },
    "04": {
        "C9": "A seq2seq RNN forgets the beginning of long sequences",
        "C10": "Attention repairs it, and its weights show the alignment",
    },
    "05": {
        "C11": "Encoder vectors are contextual, serve tasks directly or with a small tuned head",
        "C12": "Pre-norm trains where post-norm needs warm-up; RMSNorm is cheaper at equal "
        "quality; SwiGLU is better at equal parameters",
    },
    "06": {
        "C13": "Without positions an encoder does badly",
        "C14": "Sinusoidal positions do not extrapolate; ALiBi, xPos do, PI, YaRN after tuning",
        "C15": "No positions at all work in a decoder, but not that well",
    },
    "07": {"C16": "Teacher forcing leaves a gap to free running, and mixing narrows it"},
    "08": {
        "C17": "Not all data are equally useful, some harm",
        "C18": "DoReMi's weights reach the baseline's accuracy in fewer steps",
        "C19": "Data of textbook quality let a small model match a several times larger one",
    },
    "09": {
        "C20": "Knowledge comes from pre-training: instruction tuning does not add facts",
        "C21": "Few excellent examples beat many mediocre ones",
        "C22": "Imitating answers copies style, learning from explanations copies reasoning",
        "C66": "A model well tuned on instructions needs no alignment",
    },
    "10": {
        "C23": "Reward rises while KL stays bounded; without KL the model games the reward",
        "C24": "DPO gets there with no reward model and no generation in the loop",
        "C25": "DPO takes only binary preferences",
    },
    "11": {
        "C26": "Bigger is better only with enough data and time",
        "C27": "At a fixed budget there is an optimum, and many known models are under-trained",
    },
    "12": {
        "C28": "AdamW's state is twice the model",
        "C29": "Accumulated gradients equal the large batch's",
        "C30": "Micro-batches shrink the pipeline's bubble",
        "C31": "Tensor parallelism talks more than data or pipeline parallelism",
        "C32": "Sequence parallelism can talk less",
    },
    "13": {
        "C33": "Each ZeRO stage lowers memory, and only stage 3 raises communication, by 1.5×",
        "C34": "Hybrid sharding keeps the heavy traffic inside the group",
    },
    "14": {
        "C35": "fp16 needs loss scaling and bf16 does not",
        "C36": "Checkpointing cuts activation memory for about 20% more time",
        "C37": "The savings combine",
        "C67": "The second copy of the weights is paid back by a larger batch",
    },
    "15": {
        "C38": "Flash attention's memory grows linearly, and its result is exact",
        "C39": "Fewer bytes moved is the speed-up",
        "C40": "Recomputing in the backward pass beats storing",
        "C41": "Fusing operators alone speeds up",
        "C42": "FlashAttention-2's loop order and work split gain more",
        "C43": "Ring Attention is exact, and its length grows with the number of devices",
    },
    "16": {
        "C44": "Decoupled weight decay beats L2 in Adam",
        "C45": "AdamW is hard to beat",
        "C46": "Adafactor and 8-bit AdamW save memory at little cost",
    },
    "17": {
        "C47": "Well under 5% of the parameters come close to full fine-tuning",
        "C48": "LoRA on queries and values is a good recipe, and merged costs nothing at inference",
    },
    "18": {
        "C49": "Averaging checkpoints helps",
        "C50": "The decoding method matters for quality and diversity",
        "C51": "The prompt's last token can spoil the continuation; token healing repairs it",
    },
    "19": {
        "C52": "More parameters at the same active compute give better loss",
        "C53": "Without the balance loss the load collapses",
        "C54": "Experts specialise in kinds of token rather than in domains",
        "C55": "DeepSeekMoE is better at equal compute, and removing a few experts hurts it more",
        "C68": "More weights slow inference, active ones decide",
        "C69": "A mixture of experts tunes worse, less so with a LLaMA-like block",
    },
    "20": {
        "C56": "Cost grows linearly, and each method loses some quality",
        "C57": "Recurrence carries facts far beyond the window",
        "C58": "A nearest-neighbour index recalls what the window has dropped",
    },
    "21": {
        "C59": "The parallel and the recurrent form give the same output",
        "C60": "The state's size does not grow with the length; recall is the weak spot",
    },
    "22": {
        "C61": "Modalities never paired with each other align through the image",
        "C62": "Sums of vectors retrieve the combined concept",
        "C63": "An audio vector swapped in for a text vector works unchanged",
        "C64": "Training only projections and adapters is enough",
    },
    "23": {
        "C65": "Short answers can be checked by machine; for long ones text metrics correlate "
        "weakly with quality, a strong judge better",
    },
}

STATEMENTS = {
    claim: Statement(chapter, words)
    for chapter, claims in _WORDS.items()
    for claim, words in claims.items()
}
