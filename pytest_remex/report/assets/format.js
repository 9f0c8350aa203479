// Numbers and durations as a person reads them.

const DIGITS = 6;

function shown(value) {
  if (value === null || value === undefined) return "";
  if (typeof value === "boolean") return value ? "True" : "False";
  if (typeof value !== "number" || Number.isInteger(value)) return String(value);
  return String(Number(value.toPrecision(DIGITS)));
}

function duration(seconds) {
  if (seconds === null) return "";
  const whole = Math.round(seconds);
  const two = (number) => String(number).padStart(2, "0");
  if (whole < 60) return `${Number(seconds.toPrecision(3))} s`;
  if (whole < 3600) return `${Math.floor(whole / 60)} min ${two(whole % 60)} s`;
  if (whole < 86400) return `${Math.floor(whole / 3600)} h ${two(Math.floor((whole % 3600) / 60))} min`;
  return `${Math.floor(whole / 86400)} d ${two(Math.floor((whole % 86400) / 3600))} h`;
}

// What to sort and compare by: numbers as such, also those that came as text; nothing comes first.
function rank(value) {
  const words = { inf: Infinity, "-inf": -Infinity, nan: -Infinity, "": -Infinity };
  if (value === null) return -Infinity;
  return typeof value === "string" ? (words[value] ?? Number(value)) : Number(value);
}

function isNumeric(values) {
  const present = values.filter((value) => value !== null);
  return present.length > 0 && present.every((value) => typeof value === "number" || /^(-?inf|nan|-?\d+)$/.test(value));
}
