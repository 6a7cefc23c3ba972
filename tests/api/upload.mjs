// Uploads a file with tus-js-client in small parts, and goes on when the server was away.
import { createReadStream, statSync } from "node:fs";
import { createRequire } from "node:module";

// Resolved from the working folder, where the packages are.
const require = createRequire(process.cwd() + "/");
const tus = require("tus-js-client");
const [endpoint, key, path] = process.argv.slice(2);

const upload = new tus.Upload(createReadStream(path), {
  endpoint,
  chunkSize: 64 * 1024,
  uploadSize: statSync(path).size,
  retryDelays: Array(60).fill(250),
  metadata: { filename: "large.mp4", filetype: "video/mp4" },
  onBeforeRequest(request) {
    if (request.getMethod() === "POST") request.setHeader("Authorization", `Bearer ${key}`);
  },
  onAfterResponse(request, response) {
    if (request.getMethod() === "HEAD") console.log(`resumed from ${response.getHeader("upload-offset")}`);
    const media = response.getHeader("x-media-id");
    if (media) console.log(`media ${media}`);
  },
  onShouldRetry() {
    console.log("retrying");
    return true;
  },
  onProgress: (sent) => console.log(`progress ${sent}`),
  onSuccess: () => console.log("done"),
  onError(error) {
    console.log(`failed ${error}`);
    process.exit(1);
  },
});
upload.start();
