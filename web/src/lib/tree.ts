/** A conversation is a tree of messages; what is shown is one path through it. Pure functions over any such tree. */

export interface TreeNode {
  id: string;
  parentId: string | null;
  createdAt: number;
}

/** Children by parent, oldest first: siblings are the versions of one turn. Key null: the roots. */
export function childrenByParent<N extends TreeNode>(nodes: readonly N[]): Map<string | null, N[]> {
  const known = new Set(nodes.map((node) => node.id));
  const children = new Map<string | null, N[]>();
  for (const node of nodes) {
    // A parent that is not there (deleted a moment ago) must not hide what hangs below it.
    const parent = node.parentId !== null && known.has(node.parentId) ? node.parentId : null;
    const siblings = children.get(parent);
    if (siblings) siblings.push(node);
    else children.set(parent, [node]);
  }
  for (const siblings of children.values()) siblings.sort(byAge);
  return children;
}

/** The path from a root through `leafId` and on along the latest versions; without a leaf, the latest path. */
export function pathThrough<N extends TreeNode>(
  nodes: readonly N[],
  children: Map<string | null, N[]>,
  leafId: string | null,
): N[] {
  const byId = new Map(nodes.map((node) => [node.id, node]));
  const path: N[] = [];
  const seen = new Set<N>();
  const take = (node: N | undefined): node is N => {
    // A cycle cannot come from our server, but would hang the page.
    if (node === undefined || seen.has(node)) return false;
    seen.add(node);
    path.push(node);
    return true;
  };
  let node = leafId === null ? undefined : byId.get(leafId);
  while (take(node)) node = node.parentId === null ? undefined : byId.get(node.parentId);
  path.reverse();
  node = children.get(path.at(-1)?.id ?? null)?.at(-1);
  while (take(node)) node = children.get(node.id)?.at(-1);
  return path;
}

/** Takes a message out; its children move to its parent, as the server does it. */
export function without<N extends TreeNode>(nodes: readonly N[], id: string): N[] {
  const gone = nodes.find((node) => node.id === id);
  if (!gone) return [...nodes];
  for (const node of nodes) if (node.parentId === id) node.parentId = gone.parentId;
  return nodes.filter((node) => node.id !== id);
}

function byAge(a: TreeNode, b: TreeNode): number {
  return a.createdAt - b.createdAt || (a.id < b.id ? -1 : a.id > b.id ? 1 : 0);
}
