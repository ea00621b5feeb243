// One track: while it is made, its live stream; then a waveform with a player. One plays at a time.
import { ApiError, isOurs, playable } from "./api.js";
import { html, useEffect, useRef, useState } from "./html.js";
import { clock } from "./format.js";
import WaveSurfer from "./vendor/wavesurfer.js";

const POINTS = 600;
const SAMPLE_MAX = 32768;
const nonce = document.querySelector("meta[name=style-nonce]")?.content;
const themes = matchMedia("(prefers-color-scheme: dark)");
// Stops the track that plays.
let stopPlaying = null;

export function Player({ job, track }) {
  const isDone = job.status === "completed" || (job.status === "failed" && Boolean(track.audio?.sha256));
  const final = isDone ? playable(track.audio_url) : null;
  const source = final ?? playable(track.stream_audio_url) ?? playable(track.audio_url);
  const audio = useRef(null);
  const loaded = useRef(null);
  // True from the press on play until the one on pause, or the end.
  const isWanted = useRef(false);
  const retry = useRef(null);
  const [isPlaying, setPlaying] = useState(false);
  const [atS, setAt] = useState(0);
  const [error, setError] = useState(null);
  const [lengthS, setLength] = useState(null);
  const shownS = lengthS ?? track.duration ?? NaN;

  const stop = useRef(() => {
    clearTimeout(retry.current);
    retry.current = null;
    isWanted.current = false;
    audio.current?.pause();
  });

  // A listener goes on where it was when the finished audio takes the place of the stream.
  useEffect(() => {
    const element = audio.current;
    if (!source || loaded.current === source) return;
    const place = element.currentTime;
    loaded.current = source;
    clearTimeout(retry.current);
    setError(null);
    setLength(null);
    element.src = source;
    if (place > 0) element.currentTime = place;
    if (isWanted.current) element.play().catch(() => {});
  }, [source]);

  useEffect(() => {
    const element = audio.current;
    return () => {
      clearTimeout(retry.current);
      if (stopPlaying === stop.current) stopPlaying = null;
      element.pause();
      element.removeAttribute("src");
      element.load(); // ends its download
    };
  }, []);

  const play = () => {
    const element = audio.current;
    isWanted.current = true;
    if (element.error) element.load();
    element.play().catch((reason) => {
      if (reason.name !== "NotAllowedError") return; // the event `error` says the rest
      isWanted.current = false;
      setError(new Error("The browser does not allow it to play by itself."));
    });
  };
  const toggle = () => {
    setError(null);
    if (isWanted.current) stop.current();
    else play();
  };
  // Also by the keys of a keyboard or headphones, and at the end.
  const onPause = () => {
    isWanted.current = false;
    setPlaying(false);
  };
  const onPlay = () => {
    setError(null);
    if (stopPlaying !== stop.current) stopPlaying?.();
    stopPlaying = stop.current;
    setPlaying(true);
  };
  const onError = async () => {
    setPlaying(false);
    if (!audio.current.getAttribute("src")) return;
    const reason = await reasonOf(source);
    if (!audio.current || loaded.current !== source) return;
    setError(reason);
    // A stream that has nothing yet says when it is worth asking again.
    if (reason.retryAfterS && isWanted.current) retry.current = setTimeout(play, reason.retryAfterS * 1000);
    else isWanted.current = false;
  };
  const seek = (event) => {
    audio.current.currentTime = Number(event.currentTarget.value);
  };
  const onLength = ({ currentTarget: { duration } }) => Number.isFinite(duration) && setLength(duration);
  const name = track.title || `Track ${track.index + 1}`;
  const spoken = track.title ? `${name}, track ${track.index + 1}` : name;

  return html`
    <div class="track" role="group" aria-label=${spoken}>
      <audio
        ref=${audio}
        preload=${isDone ? "metadata" : "none"}
        onPlay=${onPlay}
        onPause=${onPause}
        onEnded=${onPause}
        onTimeUpdate=${(event) => setAt(event.currentTarget.currentTime)}
        onLoadedMetadata=${onLength}
        onDurationChange=${onLength}
        onError=${onError}
      ></audio>
      <div class="deck">
        <button class="play" onClick=${toggle} disabled=${!source} aria-label=${`${isPlaying ? "Pause" : "Play"} ${spoken}`}>
          <svg viewBox="0 0 24 24" aria-hidden="true"><path d=${isPlaying ? "M7 5h4v14H7zM13 5h4v14h-4z" : "M8 5v14l11-7z"} /></svg>
        </button>
        <div class="track-text">
          <strong>${name}</strong>
          <span class="fine">${track.tags}</span>
        </div>
        ${!isDone && source && html`<span class="live">Live</span>`}
        <span class="fine times">${clock(atS)} / ${isDone ? clock(shownS) : "…"}</span>
      </div>
      ${isDone &&
      html`
        <div class="wave">
          ${track.peaks_url && html`<${Waveform} track=${track} audio=${audio} lengthS=${shownS} />`}
          <input
            class="seek" type="range" min="0" max=${Math.max(1, Math.floor(shownS || 1))} step="1" value=${Math.floor(atS)}
            onInput=${seek} aria-label=${`Position in ${spoken}`} aria-valuetext=${`${clock(atS)} of ${clock(shownS)}`}
          />
        </div>
      `}
      ${error && html`<p class=${isWanted.current ? "fine" : "error"} role="alert">${error.message}${isWanted.current && "; trying again"}</p>`}
      ${isDone && final && html`<${Downloads} track=${track} link=${final} name=${spoken} />`}
    </div>
  `;
}

function Waveform({ track, audio, lengthS }) {
  const place = useRef(null);
  const link = playable(track.peaks_url);
  const isKnown = Number.isFinite(lengthS);
  useEffect(() => {
    if (!link || !isKnown) return undefined;
    let surfer = null;
    const ended = new AbortController();
    const recolour = () => surfer?.setOptions(colours(place.current));
    fetch(`${link}&points=${POINTS}`, { signal: ended.signal })
      .then((answer) => (answer.ok ? answer.json() : null))
      .then((found) => {
        if (!found || ended.signal.aborted) return;
        const [top, bottom] = [[], []];
        for (let at = 0; at < found.data.length; at += 2) {
          bottom.push(-found.data[at] / SAMPLE_MAX);
          top.push(found.data[at + 1] / SAMPLE_MAX);
        }
        surfer = WaveSurfer.create({
          container: place.current,
          media: audio.current,
          peaks: [top, bottom],
          duration: lengthS,
          height: 64,
          normalize: true,
          barWidth: 2,
          barGap: 1,
          barRadius: 2,
          cursorWidth: 1,
          dragToSeek: true,
          cspNonce: nonce,
          ...colours(place.current),
        });
        themes.addEventListener("change", recolour);
      })
      .catch(() => {}); // without its picture, the track can still be heard
    return () => {
      ended.abort();
      themes.removeEventListener("change", recolour);
      surfer?.destroy();
    };
  }, [link, isKnown]);
  return html`<div class="waveform" ref=${place} aria-hidden="true"></div>`;
}

function colours(element) {
  const { color, caretColor } = getComputedStyle(element);
  return { waveColor: color, progressColor: caretColor, cursorColor: caretColor };
}

function Downloads({ track, link, name }) {
  const own = track.audio?.format;
  // Only what is kept here can be converted.
  const formats = isOurs(link) ? ["mp3", "wav", "flac", "ogg", "aac"].filter((format) => format !== own) : [];
  const href = (format) => {
    const url = new URL(link);
    url.searchParams.set("download", "1");
    if (format) url.searchParams.set("format", format);
    return url.href;
  };
  if (!isOurs(link)) {
    return html`<p class="downloads"><a href=${link} target="_blank" rel="noreferrer">Open at the vendor</a></p>`;
  }
  return html`
    <p class="downloads">
      <a href=${href()} download>Download ${own ?? "audio"}<span class="unseen"> of ${name}</span></a>
      <span class="fine"> or as </span>
      ${formats.map((format) => html`<a key=${format} href=${href(format)} download aria-label=${`Download ${name} as ${format}`}>${format}</a> `)}
    </p>
  `;
}

// An audio element says only that it failed; the answer says why.
async function reasonOf(source) {
  if (!isOurs(source)) return new Error("The vendor's link cannot be played any more.");
  const ended = new AbortController();
  try {
    const answer = await fetch(source, { signal: ended.signal });
    if (answer.ok) return new Error("The audio broke off. Play it again to continue.");
    const retryAfterS = Number(answer.headers.get("Retry-After")) || null;
    return new ApiError(answer.status, await answer.json().catch(() => null), retryAfterS);
  } catch {
    return new Error("The audio cannot be reached: the connection is lost.");
  } finally {
    ended.abort();
  }
}
