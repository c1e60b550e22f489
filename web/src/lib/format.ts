/** Numbers and times as people read them. */

import { locale } from "./language";

const number = new Intl.NumberFormat(locale, { maximumFractionDigits: 1 });
const clock = new Intl.DateTimeFormat(locale, { dateStyle: "medium", timeStyle: "short" });

export function formatNumber(value: number): string {
  return number.format(value);
}

const UNITS = ["byte", "kilobyte", "megabyte", "gigabyte", "terabyte"] as const;

/** Decimal units, as disks and downloads are sold. */
export function formatBytes(bytes: number): string {
  let value = bytes;
  let unit = 0;
  while (value >= 999.5 && unit < UNITS.length - 1) {
    value /= 1000;
    unit += 1;
  }
  const digits = unit < 3 || value >= 100 ? 0 : 1;
  const size = new Intl.NumberFormat(locale, {
    style: "unit",
    unit: UNITS[unit]!,
    unitDisplay: unit === 0 ? "long" : "short",
    minimumFractionDigits: digits,
    maximumFractionDigits: digits,
  });
  return size.format(value);
}

/** 134515008 → "135 M", 7241732096 → "7.2 B". */
export function formatParameters(count: number): string {
  return count >= 999.5e6 ? `${number.format(count / 1e9)} B` : `${Math.round(count / 1e6)} M`;
}

/** A context length in tokens: 8192 → "8K". */
export function formatContext(tokens: number): string {
  return tokens < 1024 ? String(tokens) : `${Math.round(tokens / 1024)}K`;
}

const LICENCES: Record<string, string> = { "apache-2.0": "Apache 2.0", mit: "MIT", gemma: "Gemma", "cc-by-nc-4.0": "CC BY-NC 4.0" };

/** A licence's identifier as people write its name. */
export function formatLicence(id: string): string {
  return LICENCES[id.toLowerCase()] ?? id;
}

export function formatTime(milliseconds: number): string {
  return clock.format(milliseconds);
}

/** Seconds with two decimals, as the language writes them. */
export function formatSeconds(value: number): string {
  return new Intl.NumberFormat(locale, { minimumFractionDigits: 2, maximumFractionDigits: 2 }).format(value);
}

const STEPS: [Intl.RelativeTimeFormatUnit, number][] = [
  ["year", 31_557_600_000],
  ["month", 2_629_800_000],
  ["day", 86_400_000],
  ["hour", 3_600_000],
  ["minute", 60_000],
];

/** How long ago (or until when) a moment is: "5 minutes ago", "yesterday", "now". */
export function formatAgo(moment: number, now: number = Date.now()): string {
  const relative = new Intl.RelativeTimeFormat(locale, { numeric: "auto" });
  const [unit, length] = STEPS.find(([, step]) => Math.abs(now - moment) >= step) ?? ["second", Infinity];
  return relative.format(Math.trunc((moment - now) / length) || 0, unit);
}

const BROWSERS: [RegExp, string][] = [
  [/\bEdg(?:e|A|iOS)?\//, "Edge"],
  [/\bOPR\//, "Opera"],
  [/\b(?:Firefox|FxiOS)\//, "Firefox"],
  [/\b(?:HeadlessChrome|Chrome|CriOS|Chromium)\//, "Chrome"],
  [/\bSafari\//, "Safari"],
];
const SYSTEMS: [RegExp, string][] = [
  [/\bWindows\b/, "Windows"],
  [/\b(?:iPhone|iPad)\b/, "iOS"],
  [/\bMac OS X\b|\bMacintosh\b/, "macOS"],
  [/\bAndroid\b/, "Android"],
  [/\bCrOS\b/, "ChromeOS"],
  [/\bLinux\b/, "Linux"],
];

/** A browser and its system out of what it says of itself; what is not recognised is null. */
export function browserOf(agent: string): { browser: string | null; system: string | null } {
  const first = (known: [RegExp, string][]) => known.find(([pattern]) => pattern.test(agent))?.[1] ?? null;
  return { browser: first(BROWSERS), system: first(SYSTEMS) };
}

export type Period = "today" | "yesterday" | "week" | "month" | { month: string };

/** The group of the chat list that a moment belongs to, by calendar days before `now`. */
export function periodOf(moment: number, now: number): Period {
  const days = Math.round((startOfDay(now) - startOfDay(moment)) / 86_400_000);
  if (days <= 0) return "today";
  if (days === 1) return "yesterday";
  if (days <= 7) return "week";
  if (days <= 30) return "month";
  const sameYear = new Date(moment).getFullYear() === new Date(now).getFullYear();
  const month = new Intl.DateTimeFormat(locale, sameYear ? { month: "long" } : { month: "long", year: "numeric" });
  return { month: month.format(moment) };
}

function startOfDay(moment: number): number {
  return new Date(moment).setHours(0, 0, 0, 0);
}

/** A name as part of a sentence: written in the other direction it does not carry the marks around it away. */
export function isolated(name: string): string {
  return `\u2068${name}\u2069`;
}
