// Figures in words, as the terminal says them (records/units.py; a test holds the two together).

const NONE = '–';

function significant(value, digits = 3) {
  if (value === 0 || !Number.isFinite(value)) return String(value);
  const shown = Number(value.toPrecision(digits));
  const decimals = digits - 1 - Math.floor(Math.log10(Math.abs(shown)));
  if (decimals > 9) return String(shown);
  return decimals >= 0 ? shown.toFixed(decimals) : value.toFixed(0);
}

function scaled(value, scales, digits) {
  const [scale, unit] = scales.find(([, , least]) => value >= least) || scales[scales.length - 1];
  return significant(value / scale, digits) + unit;
}

const SECONDS = [[1, ' s', 0.9995], [1e-3, ' ms', 1e-3 * 0.9995], [1e-6, ' us', 1e-6 * 0.9995], [1e-9, ' ns', 0]];
const RATES = [[1e9, ' G/s', 1e9 * 0.9995], [1e6, ' M/s', 1e6 * 0.9995], [1e3, ' k/s', 1e4 * 0.9995], [1, ' /s', 0]];
const BYTES = [[2 ** 30, ' GiB', 2 ** 30], [2 ** 20, ' MiB', 2 ** 20], [2 ** 10, ' KiB', 2 ** 10]];

const COMPARED = 4; // digits of figures that stand beside their change: three would not always give it

const seconds = (value, digits) => scaled(value, SECONDS, digits);
const rate = (value, digits) => scaled(value, RATES, digits);
const bytes = (value, digits) => (value >= 1024 ? scaled(value, BYTES, digits) : `${value.toFixed(0)} B`);
const joules = (value, digits) => `${significant(value, digits)} J/item`;
const percent = (fraction) => `${(fraction * 100).toFixed(1).replace(/\.0$/, '')}%`;

// A ratio as a signed percentage; from twice on as a factor.
function change(ratio) {
  if (ratio >= 2) return `x${significant(ratio)}`;
  const percent = (ratio - 1) * 100;
  return `${percent < 0 || Object.is(percent, -0) ? '' : '+'}${percent.toFixed(1)}%`;
}

const COSTS = {
  time: ['slower', 'faster', 'as slow'],
  peak_memory: ['more memory', 'less memory', 'the memory'],
  energy: ['more energy', 'less energy', 'the energy'],
};

// A ratio of costs in words, with its interval: 5.1% [4.2%, 6.0%] slower.
function inWords(evidence, ratio, interval) {
  const [more, less, times] = COSTS[evidence];
  const between = (ends, say) => (ends ? `[${ends.map(say).join(', ')}] ` : '');
  if (ratio >= 2) return `${significant(ratio)} times ${between(interval, (r) => significant(r))}${times}`;
  const way = ratio >= 1 ? 100 : -100;
  const ends = interval && ratio < 1 ? [...interval].reverse() : interval;
  return `${Math.abs((ratio - 1) * 100).toFixed(1)}% ${between(ends, (r) => `${((r - 1) * way + 0).toFixed(1)}%`)}${ratio >= 1 ? more : less}`;
}

const moved = (j) => inWords(METRICS[j.metric].evidence, j.ratio, j.low === undefined ? null : [j.low, j.high]);
const many = (count, one, several = `${one}s`) => `${count.toLocaleString('en')} ${count === 1 ? one : several}`;

const METRICS = {
  throughput: { name: 'throughput', evidence: 'time', cost: 'time per call', say: rate, sayCost: seconds },
  device_time: { name: 'device time', evidence: 'time', cost: 'time per call', say: seconds, sayCost: seconds },
  latency: { name: 'latency', evidence: 'time', cost: 'time per call', say: seconds, sayCost: seconds },
  peak_memory: { name: 'peak memory', evidence: 'peak_memory', cost: 'peak memory', say: bytes, sayCost: bytes },
  energy: { name: 'energy', evidence: 'energy', cost: 'energy per item', say: joules, sayCost: joules },
};

// What a judged figure cost before (0) and costs now (1): the two give the change beside them.
const cost = (j, at) => METRICS[j.metric].sayCost(j.costs[at], COMPARED);
