from spangate.prices.models import Limit, Modalities, Model, models
from spangate.providers import catalog


def test_each_row_of_the_catalogue_names_a_list_that_there_is() -> None:
    named = {provider.names.models for provider in catalog().values()} - {None}
    assert len(named) >= 12
    assert named - models().keys() == set()
    assert [name for name in sorted(named) if len(models()[name]) < 3] == []  # type: ignore[index,type-var]


def test_tells_what_a_model_can_do() -> None:
    (model,) = [model for model in models()["openai"] if model.id == "gpt-4o"]
    assert model == Model(
        id="gpt-4o",
        name="GPT-4o",
        limit=Limit(context=128_000, output=16_384),
        modalities=Modalities(input=("text", "image", "pdf"), output=("text",)),
        tool_call=True,
        reasoning=False,
        structured_output=True,
        release_date="2024-05-13",
    )
