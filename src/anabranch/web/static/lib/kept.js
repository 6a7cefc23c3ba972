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
  const transaction = (await open()).transaction(name, mode);
  const asked = question(transaction.objectStore(name));
  return new Promise((resolve, reject) => {
    // Only then it is kept: a disk that is full is told at the end.
    transaction.oncomplete = () => resolve(asked.result);
    transaction.onabort = () => reject(transaction.error);
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
