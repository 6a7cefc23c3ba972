// Plays an address to its end in this page, and tells what was seen on the way.

const pause = (ms) => new Promise((done) => setTimeout(done, ms));

// Each player as four functions: begin, what it offers, show one of these, and its own words on what went wrong.
const players = {
  "hls.js": async (video, url, errors, seen) => {
    const hls = new Hls({ enableWorker: false });
    hls.on(Hls.Events.ERROR, (_, data) => {
      // To run dry is an error to hls.js; a playlist that grows, or a busy machine, makes it so.
      if (data.details === Hls.ErrorDetails.BUFFER_STALLED_ERROR) seen.stalls += 1;
      // And so is to fetch the only segment that there is so far once more, from another level.
      else if (data.details === "bufferAppendNoProgress" && !data.fatal) seen.repeats += 1;
      else errors.push(`${data.type}/${data.details}: ${data.error?.message ?? ""}`);
    });
    const read = new Promise((done) => hls.once(Hls.Events.MANIFEST_PARSED, done));
    hls.loadSource(url);
    hls.attachMedia(video);
    return {
      read,
      version: Hls.version,
      levels: () =>
        hls.levels.map((level) => ({
          width: level.width,
          height: level.height,
          bandwidth: level.bitrate,
          codecs: [level.videoCodec, level.audioCodec].filter(Boolean).join(","),
          frameRate: level.frameRate,
        })),
      show: (index) => (hls.currentLevel = index),
      audio: () => hls.audioTracks.map((track) => ({ name: track.name, language: track.lang ?? "" })),
      text: () => hls.subtitleTracks.map((track) => ({ name: track.name, language: track.lang ?? "" })),
      stop: () => hls.destroy(),
    };
  },
  shaka: async (video, url, errors) => {
    shaka.polyfill.installAll();
    const player = new shaka.Player();
    await player.attach(video);
    const tell = (error) => errors.push(`${error.category}/${error.code}: ${JSON.stringify(error.data)}`);
    player.addEventListener("error", (event) => tell(event.detail));
    // Which rung is shown is the test's to say.
    player.configure({ abr: { enabled: false } });
    const tracks = () =>
      player
        .getVariantTracks()
        .filter((track) => !track.language || track.language === player.getVariantTracks()[0].language)
        .sort((one, other) => other.bandwidth - one.bandwidth);
    return {
      read: player.load(url).catch(tell),
      version: shaka.Player.version,
      levels: () =>
        tracks().map((track) => ({
          width: track.width ?? 0,
          height: track.height ?? 0,
          bandwidth: track.bandwidth,
          codecs: track.codecs.replaceAll(" ", ""),
          frameRate: track.frameRate,
        })),
      show: (index) => player.selectVariantTrack(tracks()[index], true),
      audio: () => player.getAudioTracks().map((track) => ({ name: track.label ?? "", language: track.language })),
      text: () => player.getTextTracks().map((track) => ({ name: track.label ?? "", language: track.language })),
      stop: () => player.destroy(),
    };
  },
};

const ranges = (times) => Array.from({ length: times.length }, (_, at) => [times.start(at), times.end(at)]);

function watch(video) {
  const seen = { stalls: 0, repeats: 0, backwards: 0, sizes: [], mostRanges: 0 };
  let last = 0;
  video.addEventListener("resize", () => seen.sizes.push([video.videoWidth, video.videoHeight]));
  video.addEventListener("timeupdate", () => {
    // By some hundredths of a second a clock that has waited for a busy machine may be put right.
    if (video.currentTime < last - 0.1) seen.backwards += 1;
    last = video.currentTime;
    seen.mostRanges = Math.max(seen.mostRanges, video.buffered.length);
  });
  return seen;
}

// True once `met` holds; false when it does not within the time.
async function until(met, withinS) {
  for (const end = performance.now() + withinS * 1000; performance.now() < end; await pause(20)) {
    if (met()) return true;
  }
  return met();
}

// Shows each level in turn and keeps the indices of those whose pictures came up, of their size, and moved on.
async function showEach(player, video, withinS) {
  const shown = [];
  for (const [index, level] of player.levels().entries()) {
    player.show(index);
    const isUp = () => video.videoWidth === level.width && video.videoHeight === level.height && !video.seeking;
    const cameUp = await until(isUp, withinS);
    const from = video.currentTime;
    if (cameUp && (await until(() => video.currentTime > from + 0.2, withinS))) shown.push(index);
  }
  return shown;
}

async function play({ url, player: name, rate, switching, withinS }) {
  const video = document.querySelector("video");
  const errors = [];
  const seen = watch(video);
  video.addEventListener("error", () => errors.push(`video: ${video.error.message}`));
  const player = await players[name](video, url, errors, seen);
  const isRead = await Promise.race([player.read.then(() => true), pause(withinS * 1000).then(() => false)]);
  if (isRead) video.play().catch((error) => errors.push(`play: ${error.message}`));
  const shown = isRead && switching ? await showEach(player, video, 10) : [];
  video.playbackRate = rate;
  const ended = await until(() => video.ended || errors.length > 0, withinS);
  const quality = video.getVideoPlaybackQuality();
  const facts = {
    ...seen,
    player: `${name} ${player.version}`,
    ended: ended && video.ended,
    errors,
    shown,
    levels: player.levels(),
    audio: player.audio(),
    text: player.text(),
    time: video.currentTime,
    duration: video.duration,
    played: ranges(video.played),
    frames: quality.totalVideoFrames,
    broken: quality.corruptedVideoFrames ?? 0,
  };
  await player.stop();
  return facts;
}
