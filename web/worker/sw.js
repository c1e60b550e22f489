// The service worker: the application's own files, by their content, for when the server cannot be reached.
// What the server says of anybody (/api, /v1 and all else) passes by untouched. The build fills in the two constants.

const VERSION = "__VERSION__";
const FILES = __FILES__;
const PREFIX = "myna-shell-";
const CACHE = PREFIX + VERSION;
const PAGE = "/";
const FOREIGN = /^\/(?:api|v1|docs|metrics|healthz|readyz|openapi\.json)(?:\/|$)/;

self.addEventListener("install", (event) => {
  event.waitUntil(caches.open(CACHE).then((cache) => cache.addAll(FILES.map((file) => new Request(file, { cache: "no-cache" })))));
});

self.addEventListener("activate", (event) => {
  event.waitUntil(
    (async () => {
      for (const name of await caches.keys()) if (name.startsWith(PREFIX) && name !== CACHE) await caches.delete(name);
      await self.clients.claim();
    })(),
  );
});

// A page that is made of the new files, or whose user agreed to begin anew, says so.
self.addEventListener("message", (event) => {
  if (event.data === "begin") void self.skipWaiting();
});

self.addEventListener("fetch", (event) => {
  const { request } = event;
  const { origin, pathname } = new URL(request.url);
  if (request.method !== "GET" || origin !== self.location.origin || FOREIGN.test(pathname)) return;
  if (request.mode === "navigate") event.respondWith(page(request, pathname));
  else if (pathname.startsWith("/assets/")) event.respondWith(asset(request));
  else if (FILES.includes(pathname)) event.respondWith(fetch(request).catch(() => fromCache(pathname)));
});

/** The server's page, since it may be newer; without the server the one that is kept. */
async function page(request, pathname) {
  try {
    const response = await fetch(request);
    if (response.status !== 502 && response.status !== 504) return response;
  } catch {
    // Below.
  }
  return fromCache(/\.\w+$/.test(pathname) ? pathname : PAGE);
}

/** Named by its content: the kept one is the right one. What was too large to be kept in advance is kept when used. */
async function asset(request) {
  const found = await caches.match(request, { cacheName: CACHE });
  if (found) return found;
  const response = await fetch(request);
  if (response.ok) await (await caches.open(CACHE)).put(request, response.clone());
  return response;
}

async function fromCache(pathname) {
  return (await caches.match(pathname, { cacheName: CACHE })) ?? Response.error();
}
