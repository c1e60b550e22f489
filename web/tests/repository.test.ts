import assert from "node:assert/strict";
import { test } from "node:test";
import { repositoryName } from "../src/lib/repository";

test("a repository is known however it is written", () => {
  for (const written of [
    "owner/bird-1B",
    " hf:owner/bird-1B ",
    "https://huggingface.co/owner/bird-1B",
    "huggingface.co/owner/bird-1B/",
    "https://hf.co/owner/bird-1B/tree/main",
    "https://huggingface.co/owner/bird-1B?library=gguf#files",
  ]) {
    assert.equal(repositoryName(written), "hf:owner/bird-1B", written);
  }
});

test("and so is a file in one", () => {
  assert.equal(repositoryName("owner/bird:bird.Q4_0.gguf"), "hf:owner/bird:bird.Q4_0.gguf");
  assert.equal(repositoryName("https://huggingface.co/owner/bird/blob/main/q/bird.gguf"), "hf:owner/bird:q/bird.gguf");
});

test("what is none is not taken for one", () => {
  for (const written of ["", "bird", "owner/", "/home/me/bird.gguf", "https://example.com/owner/bird", "owner/bird/x", "a b/c"]) {
    assert.equal(repositoryName(written), null, written);
  }
});
