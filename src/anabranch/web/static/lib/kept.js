// What outlives a reload: uploads under way, in the browser's database. Small files are kept with them, so that they go
// on by themselves; larger ones have to be chosen again, for the browser would copy them.

const NAME = "anabranch";
// Files apart from what is known of them: that changes often, and a file would be copied each time.
const [ROWS, FILES] = ["uploads", "files"];

let opened;

function open() {
  opened ??= new Promise((resolve, reject) => {
    const asked = indexedDB.open(NAME, 1);
    asked.onupgradeneeded = () => {
      asked.result.createObjectStore(ROWS, { keyPath: "id" });
      asked.result.createObjectStore(FILES);
    };
    asked.onsuccess = () => resolve(asked.result);
    asked.onerror = () => reject(asked.error);
  });
  return opened;
}

async function ask(name, mode, question) {
  const store = (await open()).transaction(name, mode).objectStore(name);
  const asked = question(store);
  return new Promise((resolve, reject) => {
    asked.onsuccess = () => resolve(asked.result);
    asked.onerror = () => reject(asked.error);
  });
}

export const every = () => ask(ROWS, "readonly", (store) => store.getAll());
export const one = (id) => ask(ROWS, "readonly", (store) => store.get(id));
export const put = (row) => ask(ROWS, "readwrite", (store) => store.put(row));
export const file = (id) => ask(FILES, "readonly", (store) => store.get(id));
export const putFile = (id, given) => ask(FILES, "readwrite", (store) => store.put(given, id));

export async function forget(id) {
  await ask(ROWS, "readwrite", (store) => store.delete(id));
  await ask(FILES, "readwrite", (store) => store.delete(id));
}
