// A product with video uploads: an Express app whose Inngest function has four tasks done side by side, each
// created by fetch and asked for until it is done, and puts them together in one record. Nothing here knows
// Anabranch: the addresses and keys come from the environment.
//
//   ITTYBIT_API_URL      where the Task API is, such as http://127.0.0.1:8000
//   ITTYBIT_API_KEY      a key of it
//   INNGEST_BASE_URL     where the engine is, such as http://127.0.0.1:8000
//   INNGEST_EVENT_KEY    a key that may send it events
//   INNGEST_SIGNING_KEY  what both sign with: `anabranch keys signing`
import express from "express";
import { Inngest, NonRetriableError } from "inngest";
import { serve } from "inngest/express";

const api = process.env.ITTYBIT_API_URL;
const headers = { Authorization: `Bearer ${process.env.ITTYBIT_API_KEY}`, "Content-Type": "application/json" };
const port = Number(process.env.PORT ?? 3000);

const inngest = new Inngest({ id: "video-app" });

// The product's own table of videos.
const videos = new Map<string, Record<string, unknown>>();

type Task = { id: string; status: string; output: { url: string | null }; error: string | null };

async function createTask(body: object, key: string): Promise<Task> {
  // The key makes one task of a step that is tried again.
  const answer = await fetch(`${api}/tasks`, {
    method: "POST",
    headers: { ...headers, "Idempotency-Key": key },
    body: JSON.stringify(body),
  });
  const task = await answer.json();
  if (answer.status === 422) throw new NonRetriableError(task.message);
  if (!answer.ok) throw new Error(task.message);
  return task;
}

async function pollTask(id: string): Promise<Task> {
  while (true) {
    const answer = await fetch(`${api}/tasks/${id}`, { headers });
    const task: Task = await answer.json();
    if (task.status === "completed") return task;
    if (task.status === "failed") throw new NonRetriableError(task.error ?? "the task failed");
    await new Promise((wake) => setTimeout(wake, 250));
  }
}

const branches = {
  "hls-package": { kind: "adaptive_video", options: { format: "hls" } },
  "poster-image": { kind: "image", options: { start: 2, width: 1280, format: "webp" } },
  "gif-preview": { kind: "video", options: { start: 1, end: 4, width: 480, format: "gif" } },
  "audio-transcription": { kind: "audio", options: { format: "json", language: "en" } },
};

const fanOut = inngest.createFunction(
  { id: "fanout-adaptive-streaming", retries: 3, triggers: [{ event: "app/video.uploaded" }] },
  async ({ event, step, runId }) => {
    const { mediaId, sourceUrl } = event.data;
    const [hlsUrl, posterUrl, gifUrl, transcriptionUrl] = await Promise.all(
      Object.entries(branches).map(([name, branch]) =>
        step.run(name, async () => {
          const task = await createTask({ input: sourceUrl, ...branch, metadata: { mediaId } }, `${runId}:${name}`);
          return (await pollTask(task.id)).output.url;
        }),
      ),
    );
    return step.run("assemble", async () => {
      const record = { id: mediaId, status: "ready", hlsUrl, posterUrl, gifUrl, transcriptionUrl };
      videos.set(mediaId, record);
      return record;
    });
  },
);

const app = express();
app.use(express.json({ limit: "50mb" }));
app.use("/api/inngest", serve({ client: inngest, functions: [fanOut] }));

app.post("/videos", async (request, response) => {
  const { mediaId, sourceUrl } = request.body;
  videos.set(mediaId, { id: mediaId, status: "processing" });
  const { ids } = await inngest.send({
    id: `upload-${mediaId}`,
    name: "app/video.uploaded",
    data: { mediaId, sourceUrl },
  });
  response.status(202).json({ eventId: ids[0] });
});

app.get("/videos/:id", (request, response) => {
  response.json(videos.get(request.params.id) ?? { status: "unknown" });
});

app.listen(port, "127.0.0.1", () => console.log(`listening on ${port}`));
