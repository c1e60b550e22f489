/** As much of IndexedDB as the kept answers use: one store by path. */

interface Row {
  path: string;
  at: number;
}

function asked<T>(result: T): { result: T } {
  return { result };
}

/** `rows` is what a browser would have on disk. `full`: it takes nothing more. */
export function storeInMemory(rows: Map<string, Row>, full: () => boolean): unknown {
  const transaction = () => {
    const made = {
      error: new Error("QuotaExceededError"),
      oncomplete: () => {},
      onabort: () => {},
      objectStore: () => ({
        put: (row: Row) => {
          if (full()) queueMicrotask(() => queueMicrotask(() => made.onabort()));
          else rows.set(row.path, row);
          return asked(row.path);
        },
        get: (path: string) => asked(rows.get(path)),
        delete: (path: string) => asked(rows.delete(path)),
        clear: () => asked(rows.clear()),
        index: () => ({
          getAllKeys: () => asked([...rows.values()].sort((a, b) => a.at - b.at).map(({ path }) => path)),
        }),
      }),
    };
    setImmediate(() => made.oncomplete());
    return made;
  };
  return {
    open: () => {
      const opening = { result: { transaction }, onsuccess: () => {} };
      queueMicrotask(() => opening.onsuccess());
      return opening;
    },
  };
}
