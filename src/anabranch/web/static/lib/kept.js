// What outlives a reload: uploads under way, in the browser's database. Small files are kept with them, so that they go
// on by themselves; larger ones have to be chosen again, for the browser would copy them.

const NAME = "anabranch";
const STORE = "uploads";

let opened;

function open() {
  opened ??= new Promise((resolve, reject) => {
    const asked = indexedDB.open(NAME, 1);
    asked.onupgradeneeded = () => asked.result.createObjectStore(STORE, { keyPath: "id" });
    asked.onsuccess = () => resolve(asked.result);
    asked.onerror = () => reject(asked.error);
  });
  return opened;
}

async function ask(mode, question) {
  const store = (await open()).transaction(STORE, mode).objectStore(STORE);
  const asked = question(store);
  return new Promise((resolve, reject) => {
    asked.onsuccess = () => resolve(asked.result);
    asked.onerror = () => reject(asked.error);
  });
}

export const every = () => ask("readonly", (store) => store.getAll());
export const one = (id) => ask("readonly", (store) => store.get(id));
export const put = (row) => ask("readwrite", (store) => store.put(row));
export const forget = (id) => ask("readwrite", (store) => store.delete(id));
