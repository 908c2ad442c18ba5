from typing import Any

import httpx

from spangate.exchange import Target
from spangate.relay.cooling import Cooling
from spangate.relay.health import FAILURES

GATEWAY = "/api/3.0/mlflow/gateway"


def test_tells_which_models_rest_and_whose_they_are(gateway: Any, http: httpx.Client) -> None:
    keyless = {"name": "demo", "provider": "simulated", "model_name": "demo-1"}
    model = http.post(f"{GATEWAY}/model-definitions/create", json=keyless).json()["model_definition"]["model_definition_id"]
    configs = [{"model_definition_id": model, "linkage_type": "PRIMARY"}]
    for name in ("chat", "talk"):
        http.post(f"{GATEWAY}/endpoints/create", json={"name": name, "model_configs": configs})
    assert http.get("/api/v1/status").json()["resting"] == []

    worker = Cooling(gateway.settings.health_file)
    for _ in range(FAILURES):
        worker.failed(Target(model_definition_id=model, provider="simulated", model="demo-1", formats={}, headers={}), 60)
    told = http.get("/api/v1/status").json()
    assert told["ok"]
    (resting,) = told["resting"]
    assert 0 < resting.pop("seconds") <= 60
    assert resting == {
        "endpoints": ["chat", "talk"],
        "provider": "simulated",
        "model": "demo-1",
        "model_definition_id": model,
        "cooled": 1,
    }
