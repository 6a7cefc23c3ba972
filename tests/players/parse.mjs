// Reads playlists with parsers that others wrote, and prints what they found and what they had to say about it.
// Usage: node parse.mjs FOLDER PATH…

import { readFileSync } from "node:fs";
import { join } from "node:path";
import hlsParser from "hls-parser";
import { Parser } from "m3u8-parser";
import { parse as parseManifest } from "mpd-parser";

hlsParser.setOptions({ strictMode: true, silent: true });

function byVideoJs(text) {
  const said = [];
  const parser = new Parser();
  for (const event of ["warn", "error"]) parser.on(event, (told) => said.push(told.message));
  parser.push(text);
  parser.end();
  const { segments, playlists, targetDuration, endList, mediaGroups, iFramePlaylists } = parser.manifest;
  return {
    said,
    segments: segments?.length ?? 0,
    duration: segments?.reduce((sum, segment) => sum + segment.duration, 0) ?? 0,
    variants: playlists?.map((playlist) => playlist.attributes) ?? [],
    audio: Object.values(mediaGroups?.AUDIO ?? {}).flatMap((group) => Object.keys(group)),
    subtitles: Object.values(mediaGroups?.SUBTITLES ?? {}).flatMap((group) => Object.keys(group)),
    iFrameVariants: iFramePlaylists?.length ?? 0,
    targetDuration,
    endList: endList ?? false,
  };
}

function byHlsParser(text) {
  const playlist = hlsParser.parse(text);
  return {
    said: [],
    segments: playlist.segments?.length ?? 0,
    duration: playlist.segments?.reduce((sum, segment) => sum + segment.duration, 0) ?? 0,
    variants: playlist.variants?.filter((variant) => !variant.isIFrameOnly).map(({ uri }) => uri) ?? [],
    targetDuration: playlist.targetDuration,
    endList: playlist.endlist ?? false,
  };
}

function byMpdParser(text) {
  const said = [];
  const manifest = parseManifest(text, {
    manifestUri: "http://127.0.0.1/manifest.mpd",
    eventHandler: ({ type, message }) => said.push(`${type}: ${message}`),
  });
  const tracks = Object.values(manifest.mediaGroups.AUDIO).flatMap((group) => Object.values(group));
  return {
    said,
    duration: manifest.duration,
    variants: manifest.playlists.map(({ attributes, segments }) => ({ ...attributes, segments: segments.length })),
    audio: tracks.flatMap((track) => track.playlists.map((playlist) => playlist.segments.length)),
  };
}

// A complaint is an answer like others; only a fault of this script should end it.
function attempt(read, text) {
  try {
    return read(text);
  } catch (error) {
    return { said: [`${error.name}: ${error.message}`] };
  }
}

const [folder, ...paths] = process.argv.slice(2);
const found = {};
for (const path of paths) {
  const text = readFileSync(join(folder, path), "utf8");
  found[path] = path.endsWith(".mpd")
    ? { "mpd-parser": attempt(byMpdParser, text) }
    : { "m3u8-parser": attempt(byVideoJs, text), "hls-parser": attempt(byHlsParser, text) };
}
console.log(JSON.stringify(found, null, 2));
