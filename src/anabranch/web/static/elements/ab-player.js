// <ab-player>: plays a media row as soon as there is something to play, and goes on while the rest is being made.
//
// Pictures come by hls.js, or by the browser itself where that is Safari; the controls are media-chrome's. The element
// is the only seam: others call `seek` and listen to `ab-time`.

import "../vendor/media-chrome/all.js";
import Hls from "../vendor/hls.js/hls.min.mjs";
import { get, local } from "../lib/api.js";
import { follow } from "../lib/media.js";

// A signed address lives an hour.
const RENEW_MS = 30 * 60 * 1000;
const AGAIN_MS = 2000;
const AHEAD_S = 30;
const TRIES = 5;
const CLOSE_S = 0.05;
const SIGNED = /\/(?:outputs|signed\/[^/]+)\//;

/** A list of things of which one is chosen, as media-chrome's menus want it: levels of quality, or tracks of sound. */
class Choice extends EventTarget {
  #items = [];
  #events;

  constructor(events) {
    super();
    this.#events = events;
  }

  fill(items) {
    const [added, removed] = this.#events;
    this.#items.forEach((_, index) => delete this[index]);
    if (this.#items.length) this.dispatchEvent(new Event(removed));
    this.#items = items;
    items.forEach((item, index) => (this[index] = item));
    if (items.length) this.dispatchEvent(new Event(added));
  }

  get length() {
    return this.#items.length;
  }

  [Symbol.iterator]() {
    return this.#items.values();
  }
}

class Qualities extends Choice {
  #selected = -1;

  constructor(choose) {
    super(["addrendition", "removerendition"]);
    this.choose = choose;
  }

  /** Index of the one that was asked for; -1 leaves it to the player. */
  get selectedIndex() {
    return this.#selected;
  }

  set selectedIndex(index) {
    this.#selected = index;
    this.choose(index);
    this.dispatchEvent(new Event("change"));
  }
}

const BROKEN = "It cannot be played at the moment. Reload the page to try again.";
const CONTROLS = `
  <media-loading-indicator slot="centered-chrome" noautohide><svg slot="icon" viewBox="0 0 100 100" aria-hidden="true"><path d="M50 26a24 24 0 1 1-24 24"></path></svg></media-loading-indicator>
  <media-settings-menu hidden anchor="auto">
    <media-settings-menu-item>
      Quality
      <media-rendition-menu slot="submenu" hidden><div slot="title">Quality</div></media-rendition-menu>
    </media-settings-menu-item>
    <media-settings-menu-item>
      Speed
      <media-playback-rate-menu slot="submenu" rates="0.5 0.75 1 1.25 1.5 2" hidden><div slot="title">Speed</div></media-playback-rate-menu>
    </media-settings-menu-item>
    <media-settings-menu-item>
      Captions
      <media-captions-menu slot="submenu" hidden><div slot="title">Captions</div></media-captions-menu>
    </media-settings-menu-item>
    <media-settings-menu-item>
      Sound
      <media-audio-track-menu slot="submenu" hidden><div slot="title">Sound</div></media-audio-track-menu>
    </media-settings-menu-item>
  </media-settings-menu>
  <media-control-bar class="scrub">
    <media-time-range>
      <media-preview-thumbnail slot="preview"></media-preview-thumbnail>
      <media-preview-time-display slot="preview"></media-preview-time-display>
    </media-time-range>
  </media-control-bar>
  <media-control-bar>
    <media-play-button></media-play-button>
    <media-mute-button></media-mute-button>
    <media-volume-range></media-volume-range>
    <media-time-display showduration notoggle></media-time-display>
    <span class="spacer"></span>
    <media-captions-button></media-captions-button>
    <media-settings-menu-button><svg slot="icon" viewBox="0 0 24 24" aria-hidden="true"><path d="M10.3 3h3.4l.5 2.4 1.6.9 2.3-.8 1.7 3-1.8 1.6v1.8l1.8 1.6-1.7 3-2.3-.8-1.6.9-.5 2.4h-3.4l-.5-2.4-1.6-.9-2.3.8-1.7-3L6 11.9v-1.8L4.2 8.5l1.7-3 2.3.8 1.6-.9zM12 8.2a2.8 2.8 0 1 0 0 5.6 2.8 2.8 0 0 0 0-5.6z" fill-rule="evenodd"></path></svg></media-settings-menu-button>
    <media-pip-button></media-pip-button>
    <media-fullscreen-button></media-fullscreen-button>
  </media-control-bar>`;

/** Whether the browser's own HLS is the better one: Safari's, which also sends to other screens. */
const isSafari = (video) =>
  "webkitSetPresentationMode" in video && video.canPlayType("application/vnd.apple.mpegurl") !== "";

class Player extends HTMLElement {
  /** @type {HTMLVideoElement | null} */
  video = null;
  #hls = null;
  #record = null;
  #wanted = null;
  #whenReady = false;
  #tries = 0;
  #brokeAt = 0;
  #base = "";
  #key = "";
  #stopping = new AbortController();

  connectedCallback() {
    const { signal } = this.#stopping;
    const asked = Number(new URLSearchParams(location.search).get("t"));
    if (asked > 0) this.#wanted = asked;
    this.addEventListener("click", (event) => {
      if (!event.target.closest("[data-play-when-ready]")) return;
      this.#whenReady = !this.#whenReady;
      this.#sayWhenReady();
    }, { signal });
    // The button is the server's, and may have been put there anew.
    this.addEventListener("ab-put", () => this.#sayWhenReady(), { signal });
    follow(this.dataset.media).listen((record) => this.#see(record), signal);
    // What the page was made with, so that playing does not wait for the stream.
    if (this.dataset.record) this.#see(JSON.parse(this.dataset.record));
    const renewing = setInterval(() => this.#record?.private && this.#renew(), RENEW_MS);
    signal.addEventListener("abort", () => clearInterval(renewing));
  }

  disconnectedCallback() {
    this.#stopping.abort();
    this.#hls?.destroy();
  }

  /** Seconds at which it is, or will begin. */
  get currentTime() {
    return this.video?.readyState ? this.video.currentTime : (this.#wanted ?? 0);
  }

  get paused() {
    return this.video?.paused ?? true;
  }

  /** Go to a moment; when there is nothing to play yet, begin there. */
  seek(seconds) {
    this.#wanted = seconds;
    if (this.video?.readyState) this.#arrive();
    this.#tell();
  }

  #sayWhenReady() {
    this.querySelector("[data-play-when-ready]")?.setAttribute("aria-pressed", String(this.#whenReady));
  }

  #see(record) {
    const before = this.#record;
    this.#record = record;
    this.#base = prefix(record.hlsUrl) || this.#base;
    if (!record.playable) {
      // A package that is made anew: what was is gone.
      if (this.video && this.#tries) this.#close();
      return;
    }
    const key = keyOf(record.hlsUrl);
    if (this.video && key !== this.#key) {
      // It was made again, elsewhere: go on there.
      this.#whenReady = !this.video.paused;
      this.#close();
    }
    this.#key = key;
    if (!this.video) this.#open(record);
    // Open addresses are refused from then on.
    else if (before && before.private !== record.private) this.#readdress();
    this.#offerStoryboard(record);
    this.#offerCaptions(record);
  }

  #open(record) {
    const controller = document.createElement("media-controller");
    controller.setAttribute("keyboardforwardseekoffset", "5");
    controller.setAttribute("keyboardbackwardseekoffset", "5");
    controller.innerHTML = CONTROLS;
    const video = document.createElement("video");
    video.slot = "media";
    video.playsInline = true;
    // Tracks of another server are read only so.
    if (!local(record.hlsUrl).startsWith("/")) video.crossOrigin = "anonymous";
    video.title = record.title ?? "";
    if (record.posterUrl) video.poster = local(record.posterUrl);
    this.video = video;
    // Of sound there is nothing to see but the controls.
    if (!record.width) controller.setAttribute("noautohide", "");
    const native = isSafari(video);
    if (!native) this.#attach(video, local(record.hlsUrl));
    controller.prepend(video);
    let hadFocus = false;
    for (const waiting of this.querySelectorAll("[data-waiting]")) {
      hadFocus ||= waiting.contains(document.activeElement);
      waiting.remove();
    }
    this.append(controller);
    if (hadFocus) controller.querySelector("media-play-button").focus({ preventScroll: true });
    // It says whether it is checked, which a button cannot be.
    controller.querySelector("media-captions-button").setAttribute("role", "switch");
    if (native) {
      video.addEventListener("error", () => this.#mendNative(video));
      video.addEventListener("timeupdate", () => {
        if (Math.abs(video.currentTime - this.#brokeAt) > 1) this.#tries = 0;
      });
      video.src = local(record.hlsUrl);
    }
    for (const name of ["loadedmetadata", "durationchange"]) video.addEventListener(name, () => this.#arrive());
    // Who has begun to watch stays where he is.
    video.addEventListener("playing", () => (this.#wanted = null));
    for (const name of ["timeupdate", "seeking", "seeked", "play", "pause"]) {
      video.addEventListener(name, () => this.#tell());
    }
    if (this.#whenReady) video.play().catch(() => {});
  }

  #attach(video, address) {
    const hls = new Hls({
      // Segments are fragmented MP4 as they come: there is nothing for a worker to do.
      enableWorker: false,
      startPosition: this.#wanted ?? 0,
      capLevelToPlayerSize: true,
      // So far it reads ahead, and not to the end of what perhaps nobody watches.
      maxMaxBufferLength: AHEAD_S,
      xhrSetup: (xhr, url) => xhr.open("GET", this.#fresh(url), true),
    });
    this.#hls = hls;
    // Of sound alone there is no quality to choose.
    const levels = () =>
      hls.levels.map((level, index) => ({ ...sizes(level), id: String(index), index })).filter((one) => one.height);
    const qualities = new Qualities((index) => (hls.currentLevel = index < 0 ? -1 : qualities[index].index));
    const sounds = new Choice(["addtrack", "removetrack"]);
    Object.defineProperty(video, "videoRenditions", { value: qualities });
    Object.defineProperty(video, "audioTracks", { value: sounds });
    hls.on(Hls.Events.MANIFEST_PARSED, () => qualities.fill(levels()));
    hls.on(Hls.Events.AUDIO_TRACKS_UPDATED, () => {
      const track = (one, index) => ({
        id: String(index),
        label: one.name,
        language: one.lang ?? "",
        kind: "main",
        get enabled() {
          return hls.audioTrack === index;
        },
        set enabled(on) {
          if (!on || hls.audioTrack === index) return;
          hls.audioTrack = index;
          sounds.dispatchEvent(new Event("change"));
        },
      });
      sounds.fill(hls.audioTracks.map(track));
    });
    hls.on(Hls.Events.FRAG_BUFFERED, () => (this.#tries = 0));
    hls.on(Hls.Events.ERROR, (_, data) => this.#mend(hls, data));
    hls.loadSource(address);
    hls.attachMedia(video);
  }

  async #mend(hls, data) {
    if (data.response?.code === 403) await this.#renew();
    if (!data.fatal || hls !== this.#hls) return;
    this.#tries += 1;
    if (this.#tries > TRIES) return this.#close(BROKEN);
    if (data.type === Hls.ErrorTypes.MEDIA_ERROR) return hls.recoverMediaError();
    await new Promise((done) => setTimeout(done, AGAIN_MS * this.#tries));
    if (hls !== this.#hls) return;
    if (hls.levels.length) hls.startLoad();
    else hls.loadSource(local(this.#record.hlsUrl));
  }

  /** Safari says no more than that it failed; mostly since the addresses have ended. Go on by new ones, where it was. */
  async #mendNative(video) {
    if (video !== this.video) return;
    this.#tries += 1;
    if (this.#tries > TRIES) return this.#close(BROKEN);
    const wasPlaying = !video.paused;
    this.#wanted ??= video.currentTime;
    this.#brokeAt = this.#wanted;
    await new Promise((done) => setTimeout(done, AGAIN_MS * (this.#tries - 1)));
    await this.#renew();
    if (video !== this.video) return;
    video.src = local(this.#record.hlsUrl);
    if (wasPlaying) video.play().catch(() => {});
  }

  /** The row as it is now, with addresses that are signed anew. */
  async #renew() {
    const record = await get(`/media/${this.dataset.media}`).catch(() => null);
    if (record?.hlsUrl) {
      this.#record = record;
      this.#base = prefix(record.hlsUrl);
      this.#readdress();
    }
  }

  /** Have the tracks beside the film, and the pictures that they name, asked for by addresses that are valid now. */
  #readdress() {
    for (const track of this.video?.querySelectorAll("track") ?? []) {
      const address = track.kind === "metadata" ? this.#record.storyboardUrl : this.#record.captionsUrl;
      if (address) track.src = local(address);
    }
  }

  /** An address of the package, under what opens it now: the proof in it may have ended since it was read. */
  #fresh(url) {
    const parts = SIGNED.exec(url);
    return parts && this.#base ? this.#base + url.slice(parts.index + parts[0].length) : url;
  }

  #close(why = "") {
    this.#hls?.destroy();
    this.#hls = null;
    this.#tries = 0;
    this.#wanted = this.video.currentTime;
    this.video = null;
    delete this.dataset.captions;
    this.querySelector("media-controller")?.remove();
    const words = document.createElement("p");
    words.className = "player-waiting";
    words.dataset.waiting = "";
    words.textContent = why || "It is being made again. It plays here as soon as it can.";
    this.append(words);
  }

  /** Go to the moment that was asked for, once the film is that long. */
  #arrive() {
    if (this.#wanted === null || !(this.video?.duration >= this.#wanted)) return;
    if (Math.abs(this.video.currentTime - this.#wanted) > CLOSE_S) this.video.currentTime = this.#wanted;
    this.#wanted = null;
  }

  #offerStoryboard(record) {
    if (!record.storyboardUrl || this.video.querySelector("[label=thumbnails]")) return;
    this.#addTrack({ kind: "metadata", label: "thumbnails", src: local(record.storyboardUrl), default: true });
  }

  /** Captions of the package, or, when it was opened before there were any, those beside it. */
  #offerCaptions(record) {
    if (!this.video || !record.captionsUrl || this.dataset.captions !== undefined) return;
    if (!this.#hls && !this.video.readyState) {
      // The same where the browser reads it.
      return this.video.addEventListener("loadedmetadata", () => this.#offerCaptions(this.#record), { once: true });
    }
    const known = [...this.video.textTracks].some((track) => track.kind !== "metadata");
    if (known || (this.#hls && !this.#hls.levels.length)) {
      // What the package offers is known once it has been read.
      if (!known) this.#hls.once(Hls.Events.LEVEL_LOADED, () => this.#offerCaptions(this.#record));
      return;
    }
    if (this.#hls?.subtitleTracks.length) return;
    this.dataset.captions = "";
    const { language, name } = spoken(record);
    this.#addTrack({ kind: "captions", label: name, srclang: language, src: local(record.captionsUrl) });
  }

  #addTrack(values) {
    const track = Object.assign(document.createElement("track"), values);
    this.video.append(track);
  }

  #tell() {
    this.dispatchEvent(new CustomEvent("ab-time", { detail: this.currentTime }));
  }
}

/** What stands before the key in an address of something stored. */
function prefix(address) {
  if (!address) return "";
  // It may be another server's, which the task was given to.
  const whole = new URL(local(address), location.origin).href;
  const parts = SIGNED.exec(whole);
  return parts ? whole.slice(0, parts.index + parts[0].length) : "";
}

/** What an address is of, however it is opened. */
const keyOf = (address) => local(address).split(SIGNED).at(-1);

function sizes(level) {
  return { width: level.width, height: level.height, bitrate: level.bitrate, frameRate: level.frameRate };
}

function spoken(record) {
  const file = record.files.find((one) => one.ref === "audio-transcription");
  const language = file?.language || "en";
  return { language, name: new Intl.DisplayNames(["en"], { type: "language" }).of(language) };
}

customElements.define("ab-player", Player);
