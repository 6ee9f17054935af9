// Figures in words, as the terminal says them (results/units.py; a test holds the two together).

const NONE = '–';

function significant(value, digits = 3) {
  if (value === 0 || !Number.isFinite(value)) return String(value);
  const shown = Number(value.toPrecision(digits));
  const decimals = digits - 1 - Math.floor(Math.log10(Math.abs(shown)));
  if (decimals > 9) return String(shown);
  return decimals >= 0 ? shown.toFixed(decimals) : value.toFixed(0);
}

function scaled(value, scales, digits, rounding = 1 - 0.5 * 10 ** -digits) {
  const [scale, unit] = scales.find(([, , least]) => value >= least * rounding) || scales[scales.length - 1];
  return significant(value / scale, digits) + unit;
}

const SECONDS = [[1, ' s', 1], [1e-3, ' ms', 1e-3], [1e-6, ' us', 1e-6], [1e-9, ' ns', 0]];
const RATES = [[1e9, ' G/s', 1e9], [1e6, ' M/s', 1e6], [1e3, ' k/s', 1e4], [1, ' /s', 0]];
const BYTES = [[2 ** 30, ' GiB', 2 ** 30], [2 ** 20, ' MiB', 2 ** 20], [2 ** 10, ' KiB', 2 ** 10]];
const JUDGED_DIGITS = 4; // of the figures before and now, which must give the change beside them

const seconds = (value, digits = 3) => scaled(value, SECONDS, digits);
const rate = (value, digits = 3) => scaled(value, RATES, digits);
const bytes = (value, digits = 3) => (value >= 1024 ? scaled(value, BYTES, digits, 1) : `${value.toFixed(0)} B`);
const joules = (value, digits = 3) => `${significant(value, digits)} J/item`;

// A ratio as a signed percentage; from twice on as a factor.
function change(ratio) {
  if (ratio >= 2) return `x${significant(ratio)}`;
  const percent = (ratio - 1) * 100;
  return `${percent < 0 || Object.is(percent, -0) ? '' : '+'}${percent.toFixed(1)}%`;
}

const PARTS = {
  time: ['slower', 'faster', 'times as slow'],
  peak_memory: ['more memory', 'less memory', 'times as much memory'],
  energy: ['more energy', 'less energy', 'times as much energy'],
};

// The same in words, with its interval: 5.1% [4.2%, 6.0%] slower.
function inWords(ratio, evidence = 'time', ends = null) {
  const [more, less, times] = PARTS[evidence];
  const [what, say] = ratio >= 2 ? [times, significant]
    : ratio <= 0.5 && evidence === 'time' ? ['times as fast', (r) => significant(1 / r)]
      : ratio >= 1 ? [more, (r) => `${((r - 1) * 100).toFixed(1)}%`] : [less, (r) => `${((1 - r) * 100).toFixed(1)}%`];
  const between = ends ? ` [${(ratio >= 1 ? ends : [...ends].reverse()).map((r) => say(r)).join(', ')}]` : '';
  return `${say(ratio)}${between} ${what}`;
}

const percent = (fraction) => `${(fraction * 100).toFixed(1).replace(/\.0$/, '')}%`;

const moved = (j) => inWords(j.ratio, METRICS[j.metric].evidence, j.low === undefined ? null : [j.low, j.high]);
const interval = (j) => change(j.ratio) + (j.low === undefined ? '' : ` [${change(j.low)}, ${change(j.high)}]`);
const many = (count, one, several = `${one}s`) => `${count.toLocaleString('en')} ${count === 1 ? one : several}`;

const METRICS = {
  throughput: { name: 'throughput', evidence: 'time', cost: 'time per call', say: rate },
  device_time: { name: 'device time', evidence: 'time', cost: 'time per call', say: seconds },
  latency: { name: 'latency', evidence: 'time', cost: 'time per call', say: seconds },
  peak_memory: { name: 'peak memory', evidence: 'peak_memory', cost: 'peak memory', say: bytes },
  energy: { name: 'energy', evidence: 'energy', cost: 'energy per item', say: joules },
};
