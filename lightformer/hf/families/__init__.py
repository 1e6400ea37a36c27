"""The families that can be read and written; a new one is a file here, and a line below."""

from lightformer.hf.families import albert, bert, gpt2, llama, modernbert, roberta
from lightformer.hf.family import Family

FAMILIES: dict[str, Family] = {
    family.model_type: family
    for family in (
        bert.FAMILY,
        roberta.FAMILY,
        roberta.XLM_FAMILY,
        albert.FAMILY,
        gpt2.FAMILY,
        llama.FAMILY,
        modernbert.FAMILY,
    )
}
