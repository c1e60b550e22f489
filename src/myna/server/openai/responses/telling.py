"""How items are told of in events: what comes before their text, and what after it.

The events of a text are, in OpenAI's order: the item is added, its part is added, deltas, the text is done, the part is
done, the item is done. Calls have no parts.
"""

from __future__ import annotations

from typing import Any

from myna.server.openai.responses.frames import Event, FrameWriter, Piece, piece_head
from myna.server.openai.responses.items import Item, public

KINDS = {
    "message": "response.output_text",
    "reasoning": "response.reasoning_text",
    "function_call": "response.function_call_arguments",
}
"""How the events of an item's text are called."""


def text_part(kind: str, text: str, logprobs: list[dict[str, Any]] | None = None) -> dict[str, Any]:
    """The one part of a message or a thought."""
    if kind == "message":
        return {"type": "output_text", "text": text, "annotations": [], "logprobs": logprobs or []}
    return {"type": "reasoning_text", "text": text}


def opening(item: Item, index: int) -> list[Event]:
    """An item without its text begins, as number ``index`` of the output."""
    events: list[Event] = [{"type": "response.output_item.added", "output_index": index, "item": item}]
    if item["type"] != "function_call":
        part = text_part(item["type"], "")
        events.append({"type": "response.content_part.added", **_place(item, index), "part": part})
    return events


def head(item: Item, index: int) -> bytes:
    """What the pieces of an item's text begin with."""
    return piece_head(f"{KINDS[item['type']]}.delta", **_place(item, index))


def closing(item: Item, index: int) -> list[Event]:
    """A whole item is done."""
    kind, place = item["type"], _place(item, index)
    done: Event = {"type": f"{KINDS[kind]}.done", **place}
    item_done: Event = {"type": "response.output_item.done", "output_index": index, "item": public(item)}
    if kind == "function_call":
        return [done | {"name": item["name"], "arguments": item["arguments"]}, item_done]
    (part,) = item["content"]
    done["text"] = part["text"]
    if kind == "message":
        done["logprobs"] = part["logprobs"]
    return [done, {"type": "response.content_part.done", **place, "part": part}, item_done]


def whole(kind: str, response: dict[str, Any]) -> Event:
    """An event of the response itself."""
    return {"type": f"response.{kind}", "response": response}


def end_kind(status: str) -> str:
    """The last event's name: OpenAI has none for what was cancelled, which is incomplete too."""
    return "incomplete" if status == "cancelled" else status


def retold(response: dict[str, Any], last_event: int) -> list[tuple[int, bytes]]:
    """The shortest stream that tells of a response that is over, with the events' numbers.

    The last event has the number that it had, so that whoever had some of the events gets it.
    """
    writer = FrameWriter()
    blank = response | {"status": "in_progress", "output": [], "usage": None, "completed_at": None, "error": None}
    blank["incomplete_details"] = None
    events: list[Event | Piece] = [whole("created", blank), whole("in_progress", blank)]
    for index, item in enumerate(response["output"]):
        is_call = item["type"] == "function_call"
        empty: Item = {**item, "status": "in_progress", "arguments" if is_call else "content": "" if is_call else []}
        text = item["arguments"] if is_call else item["content"][0]["text"] if item["content"] else ""
        events += opening(empty, index)
        if text:
            logprobs = item["content"][0]["logprobs"] if item["type"] == "message" else None
            events.append(Piece(head(item, index), text, logprobs))
        if is_call or item["content"]:
            events += closing(item, index)
    numbered = [(writer.next, writer.frame(event)) for event in events]
    writer.next = max(writer.next, last_event)
    return [*numbered, (writer.next, writer.frame(whole(end_kind(response["status"]), response)))]


def _place(item: Item, index: int) -> dict[str, Any]:
    place = {"item_id": item["id"], "output_index": index}
    return place if item["type"] == "function_call" else place | {"content_index": 0}
