"""What the pictures show: chats, people and figures that were made up for them, and models that say what stands here.

    python -m docs.images.sample serve …

Nothing of this was said by a model or measured on a machine. The conversations that a picture begins itself are with
the same scripted models: `ANSWERS` is what they say.
"""

from __future__ import annotations

import asyncio
import dataclasses
import random
import threading
import uuid
from datetime import UTC, datetime, timedelta
from pathlib import Path

from playwright.sync_api import Page

from myna.chat import Message as Turn
from myna.chat import TextPart
from myna.store import chats, messages, projects, usage
from myna.store.database import opened
from myna.store.records import Chat, Message, Project, now
from myna.store.usage import DayUsage
from tests.browser import places
from tests.scripted import __main__ as scripted
from tests.scripted import engine
from tests.scripted.script import Script, script_for

MODEL = "scripted:chat"
TITLES = {"scripted:chat": "Sample 1B", "scripted:other": "Sample 3B"}

BIRD = "What makes a bird a bird? Show me how I would model one in Python."
WAVES = "Explain Fourier series with a picture of the idea."
SONGS = "Do birds learn their songs?"
MYNA = "Why is a myna called a talking bird?"
ANSWERS = {
    BIRD: (
        "A bird is a *warm-blooded* animal with feathers, a beak and hard-shelled eggs. Three things set it apart:\n\n"
        "1. **Feathers**: no other living animal has them.\n2. **A beak** without teeth.\n"
        "3. **Hollow bones**, which keep it light.\n\n"
        "```python\nfrom dataclasses import dataclass\n\n\n"
        "@dataclass\nclass Bird:\n    name: str\n    can_fly: bool = True\n\n"
        '    def sing(self) -> str:\n        return f"{self.name} sings."\n\n\nprint(Bird("A myna").sing())\n```'
    ),
    WAVES: (
        "<think>\nStart with the formula, then a small drawing and a table of the first terms.\n</think>\n\n"
        "A periodic function is a sum of waves:\n\n$$\nf(x) = \\frac{a_0}{2} + \\sum_{n=1}^{\\infty} "
        "\\left(a_n \\cos nx + b_n \\sin nx\\right)\n$$\n\nEach step adds a finer wave[^1], for instance "
        "$b_1 = \\frac{4}{\\pi}$ for a square wave.\n\n"
        "```mermaid\nflowchart LR\n  A[Signal] --> B[Split into waves]\n  B --> C[Keep the large ones]\n"
        "  C --> D[Add them up]\n```\n\n"
        "| n | Amplitude | Share |\n|---|---|---|\n| 1 | 1.27 | 81 % |\n| 3 | 0.42 | 9 % |\n| 5 | 0.25 | 3 % |\n\n"
        "- [x] the formula\n- [ ] the proof\n\n[^1]: Where the function jumps, the sum overshoots a little."
    ),
    SONGS: (
        "Songbirds do. A young one listens to its father for weeks, then babbles much as a child does, and only months "
        "later sings as its neighbours"
    ),
    MYNA: (
        "Some mynas, above all the **common hill myna**, repeat human speech with a striking likeness of pitch and "
        "rhythm. In the wild they do not imitate other species: each learns the calls of its neighbours, and one that "
        "grows up with people takes *them* for its neighbours."
    ),
}

CHATS = (
    ("Why mynas talk", MYNA, 0, None),
    ("Planting tomatoes on a balcony", "When may tomatoes go out onto the balcony?", 0, "Garden"),
    ("Sorting a list in place", "How do I sort a list in place by two keys?", 1, None),
    ("A letter to the landlord", "Help me to write to my landlord about the heating.", 1, None),
    ("Bread with rye sourdough", "How long does a rye sourdough need at 24 degrees?", 3, None),
    ("Names for a boat", "Ten names for a small wooden boat, please.", 5, None),
    ("Which hedge for hedgehogs", "Which hedge do hedgehogs like best?", 6, "Garden"),
    ("Trains from Lyon to Turin", "What is the way from Lyon to Turin by train?", 12, None),
    ("Verbs of motion in Russian", "Explain идти and ходить with examples.", 20, None),
    ("鸟的名字", "八哥和鹩哥有什么区别", 26, None),
)
SAID = (
    MYNA,
    "When the nights stay **warm**, above ten degrees: in most places after the middle of May. Set them outside by day "
    "alone for a week first.",
    "`people.sort(key=lambda each: (each.family, each.given))` sorts by the family name, then by the given one.",
    "*Since Monday the radiators in my flat do not get warm.* Begin with that, and ask by when they will be repaired.",
    "Four to six hours where it stands warm. It is ready when it has doubled and smells a little of apples.",
    "*Wren*, *Swallow*, *Little Tern*, *Dipper*, *Sandpiper*, *Avocet*, *Linnet*, *Wagtail*, *Siskin*, *Dunlin*.",
    "A dense one of hawthorn and hazel, open at the ground. Leaves that lie below it keep the nest warm in winter.",
    "By Chambéry and Modane, through the tunnel below Mont Cenis: about four hours.",
    "*Я иду в школу*: I am on my way there now. *Я хожу в школу*: I go there again and again.",
    "鹩哥的头后有黄色肉垂。八哥没有。",
)
PROJECTS = ("Garden", "Thesis")
DAY_MS = 24 * 60 * 60 * 1000


def fill(data_dir: Path, owner: str = "local") -> None:
    """Store the chats, projects and a month of usage for a user of a server that does not run."""

    async def work() -> None:
        async with opened(data_dir) as database, database.write(owner) as scope:
            at = now() - 30 * DAY_MS
            known = {name: str(uuid.uuid5(uuid.NAMESPACE_DNS, owner + name)) for name in PROJECTS}
            for name, made in known.items():
                await projects.create(scope, Project(made, name, "Answer briefly.", at, at, 0))
            for (title, question, days, project), said in zip(CHATS, SAID, strict=True):
                at = now() - days * DAY_MS - 600_000
                chat, asked, answered = (str(uuid.uuid4()) for _ in range(3))
                row = Chat(chat, title, MODEL, None, at, at, 0, "user")
                place = known[project] if project else None
                await chats.create(scope, dataclasses.replace(row, project_id=place))
                answer = ANSWERS.get(question, said)
                for made in (
                    Message(asked, chat, None, "user", (TextPart(question),), "complete", None, at),
                    Message(answered, chat, asked, "assistant", (TextPart(answer),), "complete", MODEL, at + 1),
                ):
                    await messages.add(scope, made)
                await chats.update(scope, chat, leaf_id=answered, updated_at=at)
            await usage.add(scope.transaction, [(owner, each) for each in _month()])

    thread = threading.Thread(target=lambda: asyncio.run(work()))
    thread.start()
    thread.join()


def _month() -> list[DayUsage]:
    """Requests of each day, fewer at the end of a week."""
    chance = random.Random(7)  # noqa: S311
    today = datetime.now(UTC).date()
    used = []
    for ago in range(30):
        day = today - timedelta(days=ago)
        for name, most in ((MODEL, 60), ("scripted:other", 25)):
            count = chance.randrange(most // 3, most) // (1 if day.weekday() < 5 else 3)
            said = count * chance.randrange(120, 260)
            speed = 40 if name == MODEL else 18
            used.append(DayUsage(day, name, "", count, said * 2, said, said, said * 1000 // speed))
    return used


def answer(turns: tuple[Turn, ...], begun: str = "") -> Script:
    """What a model says: the answer that stands here, or what a test would be told."""
    asked = next((turn.text for turn in reversed(turns) if turn.role == "user"), "")
    if asked not in ANSWERS or begun:
        return script_for(turns, begun)
    return Script(ANSWERS[asked], thinks=asked == WAVES, hang=asked == SONGS)


def _find(page: Page) -> None:
    places.press(page, "sidebar.find")
    page.get_by_role("dialog").get_by_role("textbox").fill("warm")
    page.get_by_role("dialog").locator("mark").nth(2).wait_for()


REACH = {"usage": lambda page: page.get_by_role("slider").first.wait_for(), "what was found": _find}
"""Instead of what the tests do there: here are figures to show, and chats to find."""


def ask_in_places() -> None:
    """The places ask what people would."""
    places.ASKED, places.DRAWINGS, places.ENDLESS = BIRD, WAVES, SONGS


if __name__ == "__main__":
    engine.script_for = answer
    scripted.ON_DISK = tuple(
        dataclasses.replace(each, title=TITLES.get(each.name, each.title)) for each in scripted.ON_DISK
    )
    scripted.CATALOG = (*scripted.ON_DISK, *scripted.CATALOG[len(scripted.ON_DISK) :])
    scripted.main()
