import assert from "node:assert/strict";
import { test } from "node:test";
import { copyOf, type Copied } from "../src/lib/state/copy";
import type { Chat } from "../src/lib/types";

const CHAT: Chat = {
  id: "chat",
  title: "Birds",
  model: "tiny",
  leaf_id: "a1",
  created_at: 1,
  updated_at: 9,
  version: 3,
  titled_by: "text",
  pinned_at: null,
  archived_at: null,
  project_id: null,
  system_prompt: null,
  parameters: null,
};

function message(id: string, parentId: string | null, text: string, more: Partial<Copied> = {}): Copied {
  return {
    id,
    role: id.startsWith("a") ? "assistant" : "user",
    parentId,
    createdAt: 1,
    text,
    reasoning: "",
    status: "complete",
    model: null,
    runId: null,
    usage: null,
    error: null,
    parameters: null,
    editedAt: null,
    pending: false,
    loaded: true,
    size: 0,
    ...more,
  };
}

/** What the copy has texts of, the end of the branch first. */
function texts(messages: readonly Copied[], path: readonly Copied[]): string[] | undefined {
  return copyOf(CHAT, messages, path)?.messages.map(({ id }) => id);
}

test("a copy says what the server would", () => {
  const usage = {
    prompt_tokens: 4,
    completion_tokens: 2,
    cached_tokens: 0,
    finish_reason: "stop",
    seed: 7,
    first_token_seconds: 0.1,
    decode_seconds: 0.2,
  };
  const asked = message("q", null, "Which bird?");
  const said = message("a1", "q", "A magpie.", {
    createdAt: 2,
    reasoning: "Black and white",
    model: "tiny",
    runId: "run",
    usage,
    parameters: { seed: 7 },
    editedAt: 5,
  });
  assert.deepEqual(copyOf(CHAT, [asked, said], [asked, said]), {
    chat: CHAT,
    tree: [
      { id: "q", parent_id: null, role: "user", status: "complete", model: null, created_at: 1, edited_at: null, size: 11 },
      { id: "a1", parent_id: "q", role: "assistant", status: "complete", model: "tiny", created_at: 2, edited_at: 5, size: 24 },
    ],
    messages: [
      {
        id: "a1",
        chat_id: "chat",
        parent_id: "q",
        role: "assistant",
        parts: [
          { type: "reasoning", text: "Black and white" },
          { type: "text", text: "A magpie." },
        ],
        status: "complete",
        model: "tiny",
        created_at: 2,
        run_id: "run",
        usage,
        error: null,
        parameters: { seed: 7 },
        edited_at: 5,
      },
      {
        id: "q",
        chat_id: "chat",
        parent_id: null,
        role: "user",
        parts: [{ type: "text", text: "Which bird?" }],
        status: "complete",
        model: null,
        created_at: 1,
        run_id: null,
        usage: null,
        error: null,
        parameters: null,
        edited_at: null,
      },
    ],
    runs: [],
  });
});

test("what was not confirmed stays the outbox's, and what is not here keeps its place alone", () => {
  const far = message("q", null, "", { loaded: false, size: 500 });
  const near = message("a1", "q", "Here");
  const unsent = message("q2", "a1", "Not sent yet", { pending: true });
  const messages = [far, near, unsent];
  assert.deepEqual(texts(messages, messages), ["a1"]);
  assert.deepEqual(
    copyOf(CHAT, messages, messages)?.tree.map(({ id, size }) => [id, size]),
    [
      ["q", 500],
      ["a1", 4],
    ],
  );
});

test("without the end of the branch the copy before it stays", () => {
  const asked = message("q", null, "Here");
  const far = message("a1", "q", "", { loaded: false, size: 500 });
  assert.equal(copyOf(CHAT, [asked, far], [asked, far]), null);
});

test("a long chat has the end of the shown branch, a short one the other branches too", () => {
  const asked = message("q", null, "x".repeat(300_000));
  const other = message("a1", "q", "x");
  const said = message("a2", "q", "x".repeat(200_000));
  assert.deepEqual(texts([asked, other, said], [asked, said]), ["a2"]);
  asked.text = "x";
  assert.deepEqual(texts([asked, other, said], [asked, said]), ["a2", "q", "a1"]);
  said.text = "x".repeat(900_000);
  assert.deepEqual(texts([asked, other, said], [asked, said]), ["a2"]);
});
