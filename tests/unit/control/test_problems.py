import httpx


def test_a_refusal_does_not_repeat_all_that_was_said(http: httpx.Client) -> None:
    reply = http.post("/api/v1/prices/quote", json={"endpoint": "x" * 200_000, "usage": {"input": 1}})
    assert (reply.status_code, "xxx" in reply.json()["message"]) == (404, True)
    assert len(reply.content) < 10_000
