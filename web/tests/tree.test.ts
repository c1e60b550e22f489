import assert from "node:assert/strict";
import { test } from "node:test";
import { childrenByParent, pathThrough, without, type TreeNode } from "../src/lib/tree";

/** question → two answers; the first answer → follow-up → its answer. */
function sample(): TreeNode[] {
  return [
    { id: "q", parentId: null, createdAt: 1 },
    { id: "a1", parentId: "q", createdAt: 2 },
    { id: "q2", parentId: "a1", createdAt: 3 },
    { id: "b", parentId: "q2", createdAt: 4 },
    { id: "a2", parentId: "q", createdAt: 5 },
  ];
}

function path(nodes: TreeNode[], leaf: string | null): string {
  return pathThrough(nodes, childrenByParent(nodes), leaf)
    .map((node) => node.id)
    .join(" ");
}

test("the path goes through the leaf, and from there along the latest versions", () => {
  assert.equal(path(sample(), "b"), "q a1 q2 b");
  assert.equal(path(sample(), "a1"), "q a1 q2 b");
  assert.equal(path(sample(), "a2"), "q a2");
  assert.equal(path(sample(), null), "q a2");
  assert.equal(path(sample(), "unknown"), "q a2");
  assert.equal(path([], null), "");
});

test("versions are in order of time, then of id", () => {
  const nodes = sample().map((node) => ({ ...node, createdAt: node.id.startsWith("a") ? 2 : node.createdAt }));
  assert.deepEqual(
    childrenByParent(nodes.reverse())
      .get("q")
      ?.map((node) => node.id),
    ["a1", "a2"],
  );
});

test("taking a message out gives its children to its parent", () => {
  const nodes = without(sample(), "a1");
  assert.equal(nodes.find((node) => node.id === "q2")?.parentId, "q");
  assert.equal(path(nodes, "b"), "q q2 b");
  assert.equal(path(without(nodes, "q"), "b"), "q2 b");
});

test("a message whose parent is missing is still shown, and a cycle does not hang", () => {
  assert.equal(path([{ id: "x", parentId: "gone", createdAt: 1 }], null), "x");
  const cycle = [
    { id: "x", parentId: "y", createdAt: 1 },
    { id: "y", parentId: "x", createdAt: 2 },
  ];
  assert.equal(path(cycle, "x"), "y x");
});
