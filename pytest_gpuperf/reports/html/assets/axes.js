// Scales and ticks.

function linear(low, high, from, to) {
  const at = (value) => from + ((value - low) / (high - low || 1)) * (to - from);
  return { at, ticks: steps(low, high, 5), log: false };
}

function logarithmic(low, high, from, to) {
  const [a, b] = [Math.log(low), Math.log(high)];
  return { at: (value) => from + ((Math.log(value) - a) / (b - a || 1)) * (to - from), ticks: decades(low, high), log: true };
}

// Round numbers, about as many as asked for.
function steps(low, high, count) {
  const rough = (high - low) / count;
  const power = 10 ** Math.floor(Math.log10(rough));
  const step = [1, 2, 2.5, 5, 10].map((n) => n * power).find((n) => n >= rough * 0.999);
  const found = [];
  for (let i = Math.ceil(low / step - 1e-9); i * step <= high * (1 + 1e-9); i += 1) found.push(i * step);
  return found;
}

function decades(low, high) {
  const span = Math.log10(high / low);
  const kept = span > 3 ? [1] : span > 1.2 ? [1, 2, 5] : [1, 1.5, 2, 3, 4, 5, 7];
  const found = [];
  for (let power = 10 ** Math.floor(Math.log10(low)); power <= high; power *= 10) {
    for (const n of kept) if (n * power >= low * 0.999 && n * power <= high * 1.001) found.push(n * power);
  }
  return found;
}

// From zero where the figures are of one size: a bar from zero cannot exaggerate. Else logarithmic, and the axis says so.
function valueScale(values, from, to) {
  const [low, high] = [Math.min(...values), Math.max(...values)];
  if (low > 0 && high / low > 8) return logarithmic(low / 1.25, high * 1.25, from, to);
  return linear(0, high * 1.08, from, to);
}

// Where the levels of a parameter stand: numbers that double at equal distances, anything else in order.
function levelScale(levels, from, to) {
  const numbers = levels.map(Number);
  const logs = numbers.every((n) => n > 0) ? numbers.map(Math.log2) : levels.map((_, i) => i);
  const [low, high] = [Math.min(...logs), Math.max(...logs)];
  const pad = 0.06 * (to - from);
  const at = (level) => {
    const i = levels.indexOf(level);
    return high === low ? (from + to) / 2 : from + pad + ((logs[i] - low) / (high - low)) * (to - from - 2 * pad);
  };
  return { at };
}

const ruler = document.createElement('canvas').getContext('2d');

// How wide a text of a chart is.
function textWidth(text) {
  ruler.font = `12px ${getComputedStyle(document.body).fontFamily}`;
  return ruler.measureText(text).width;
}

// The beginning and the end of a long name: what tells two apart stands there.
function fitted(text, room) {
  const letters = [...text];
  let shown = text;
  for (let kept = letters.length; kept > 2 && textWidth(shown) > room;) {
    kept = Math.max(2, Math.min(kept - 1, Math.floor((kept * room) / textWidth(shown))));
    shown = `${letters.slice(0, kept >> 1).join('')}…${letters.slice(-(kept >> 1)).join('')}`;
  }
  return shown;
}

// Where labels of levels would lie over each other, the larger level keeps its own.
function labelled(levels, at, room) {
  const kept = [];
  let left = Infinity;
  for (const level of [...levels].sort((a, b) => at(b) - at(a))) {
    const text = fitted(level, room);
    if (at(level) + textWidth(text) / 2 + 6 > left) continue;
    left = at(level) - textWidth(text) / 2;
    kept.push([level, text]);
  }
  return kept;
}

// 20.0 ms -> 20 ms: a tick is a round number.
const plain = (text) => text.replace(/\.0+(?=\D|$)/, '').replace(/(\.\d*[1-9])0+(?=\D|$)/, '$1');

const signed = (fraction, digits = 1) => `${fraction > 0 ? '+' : fraction < 0 ? '−' : ''}${Math.abs(fraction * 100).toFixed(digits)}%`;

// As few digits as tell the ticks apart.
function percentTicks(ticks) {
  const step = ticks.length > 1 ? Math.abs(ticks[1] - ticks[0]) : 1;
  const digits = step >= 0.00999 ? 0 : step >= 0.000999 ? 1 : 2;
  return ticks.map((tick) => signed(Math.abs(tick) < step / 1e6 ? 0 : tick, digits));
}
