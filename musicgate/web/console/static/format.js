// Money, times and names as people read them.

const dayAndTime = new Intl.DateTimeFormat(undefined, { dateStyle: "medium", timeStyle: "short" });
const shortDay = new Intl.DateTimeFormat(undefined, { day: "numeric", month: "short", hour: "numeric", minute: "2-digit" });
const timeOnly = new Intl.DateTimeFormat(undefined, { timeStyle: "medium" });
const METERS = { requests: "request", output_audio_count: "track", output_audio_seconds: "s" };

// An exact amount, with cents at least.
export function dollars(text) {
  if (text === undefined || text === null) return null;
  const [whole, rest = ""] = String(text).split(".");
  return `$${whole}.${rest.padEnd(2, "0")}`;
}

export function costOf(job) {
  return dollars(job.usage?.pricing_breakdown?.total_usd_str);
}

// A rate card in words: "$0.06 per request", "$0.15 per 60 s".
export function rates(pricing) {
  if (!pricing?.length) return null;
  return pricing
    .map((rule) => {
      const unit = METERS[rule.meter] ?? rule.meter;
      return `${dollars(rule.price_per_unit)} per ${rule.unit_size === 1 ? unit : `${rule.unit_size} ${unit}`}`;
    })
    .join(" + ");
}

// Seconds as on a player: 1:05.
export function clock(seconds) {
  if (!Number.isFinite(seconds)) return "–:––";
  const whole = Math.max(0, Math.floor(seconds));
  return `${Math.floor(whole / 60)}:${String(whole % 60).padStart(2, "0")}`;
}

// A span of time: 0.4 s, 12 s, 3 min 20 s.
export function span(seconds) {
  if (!Number.isFinite(seconds)) return "–";
  if (seconds < 10) return `${seconds.toFixed(1)} s`;
  if (seconds < 60) return `${Math.round(seconds)} s`;
  if (seconds < 3600) return pair(Math.round(seconds), 60, "min", "s");
  return pair(Math.round(seconds / 60), 60, "h", "min");
}

function pair(total, size, large, small) {
  const rest = total % size;
  return `${Math.floor(total / size)} ${large}${rest ? ` ${rest} ${small}` : ""}`;
}

export function secondsBetween(from, to) {
  return (new Date(to) - new Date(from)) / 1000;
}

export function when(text) {
  return text ? dayAndTime.format(new Date(text)) : "–";
}

// Without the year, for lists.
export function shortly(text) {
  return text ? shortDay.format(new Date(text)) : "–";
}

export function time(text) {
  return text ? timeOnly.format(new Date(text)) : "–";
}

// A name of the API as a label: negative_style -> Negative style.
export function label(name) {
  const words = name.replaceAll("_", " ").replace(/([a-z])([A-Z])/g, (_, a, b) => `${a} ${b.toLowerCase()}`);
  return words.charAt(0).toUpperCase() + words.slice(1);
}

export const STATUS = {
  queued: "Queued",
  in_progress: "In progress",
  completed: "Completed",
  failed: "Failed",
};

export function isOpen(job) {
  return job.status === "queued" || job.status === "in_progress";
}

// What a job is called: the title of its song, else what it was asked for.
export function titleOf(job) {
  return job.output?.find((track) => track.title)?.title || job.metadata?.prompt || "Untitled";
}

export function statusOf(job) {
  if (job.status === "failed" && job.error?.reason === "cancelled") return "Cancelled";
  return STATUS[job.status] ?? job.status;
}
