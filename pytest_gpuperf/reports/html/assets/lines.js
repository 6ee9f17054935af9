// A chart of one figure over the batch: one line a precision and back end, whiskers, and the baseline beside it.

const SHAPES = [
  (r) => `M${-r} 0a${r} ${r} 0 1 0 ${2 * r} 0a${r} ${r} 0 1 0 ${-2 * r} 0`,
  (r) => `M${-r} ${-r}H${r}V${r}H${-r}Z`,
  (r) => `M0 ${-1.3 * r}L${1.2 * r} ${r}H${-1.2 * r}Z`,
  (r) => `M0 ${-1.4 * r}L${1.4 * r} 0L0 ${1.4 * r}L${-1.4 * r} 0Z`,
];

// Another shape when the colours begin again.
const shape = (i) => SHAPES[(i + Math.floor(i / 8)) % 4];

const TALL = 250;
const EDGE = { left: 62, right: 12, top: 12, bottom: 36 };
const LEVEL = 80; // the widest label of a level, where the last one has that room

// points: {series, level, value, low, high, before, case}
function lineChart(title, axis, say, levels, series, points) {
  if (levels.length === 1) return barChart(title, axis, say, levels, series, points);
  const WIDE = room(560);
  const values = points.flatMap((p) => [p.low, p.high, p.before ?? p.value]);
  const y = valueScale(values, TALL - EDGE.bottom, EDGE.top);
  const x = levelScale(levels, EDGE.left, WIDE - EDGE.right);
  const chart = s('svg', { viewBox: `0 0 ${WIDE} ${TALL}`, class: 'lines', role: 'group', 'aria-label': `Chart: ${title}` });
  const marks = [];
  for (const tick of y.ticks) {
    const at = y.at(tick);
    chart.append(s('line', { class: 'grid', x1: EDGE.left, x2: WIDE - EDGE.right, y1: at, y2: at }),
      s('text', { class: 'tick', x: EDGE.left - 8, y: at + 4, 'text-anchor': 'end' }, tick ? plain(say(tick)) : '0'));
  }
  const most = Math.min(LEVEL, 2 * (WIDE - Math.max(...levels.map(x.at))));
  for (const [level, text] of labelled(levels, x.at, most)) {
    chart.append(s('text', { class: 'tick', x: x.at(level), y: TALL - 18, 'text-anchor': 'middle' }, text));
  }
  chart.append(s('text', { class: 'axis', x: WIDE - EDGE.right, y: TALL - 3, 'text-anchor': 'end' },
    fitted(axis, WIDE / 2) + (y.log ? ' · vertical axis is logarithmic' : '')));
  series.forEach((name, i) => {
    const own = points.filter((p) => p.series === name).sort((a, b) => levels.indexOf(a.level) - levels.indexOf(b.level));
    const group = s('g', { class: `series s${i % 8}` });
    const known = own.filter((p) => p.before !== undefined);
    group.append(path(known.map((p) => [x.at(p.level), y.at(p.before)]), 'before'));
    group.append(path(own.map((p) => [x.at(p.level), y.at(p.value)]), 'now'));
    for (const p of known) group.append(s('path', { class: 'before', d: shape(i)(3), transform: move(x.at(p.level), y.at(p.before)) }));
    for (const p of own) {
      group.append(whisker(x.at(p.level), y.at(p.low), y.at(p.high)));
      const mark = s('g', { class: 'mark', transform: move(x.at(p.level), y.at(p.value)) },
        s('circle', { class: 'reach', r: 9 }), s('path', { d: shape(i)(4.5) }));
      const beside = p.before === undefined ? [] : [`baseline ${say(p.before)}`];
      marks.push(told(mark, [`${name}, ${axis} ${p.level}`, reach(say, p), ...beside]));
      group.append(mark);
    }
    chart.append(group);
  });
  roving(chart, marks);
  return h('figure', { class: 'chart' }, h('figcaption', {}, title), chart, asTable(title, axis, say, levels, series, points));
}

// One level of the axis: a bar a line, from zero; the baseline is a tick on it.
function barChart(title, axis, say, levels, series, points) {
  const wide = room(560);
  const step = 34;
  const most = Math.max(...points.flatMap((p) => [p.high, p.before ?? p.value]));
  const x = linear(0, most, 0, wide - 84);
  const chart = s('svg', { viewBox: `0 0 ${wide} ${points.length * step}`, class: 'lines', role: 'group', 'aria-label': `Chart: ${title}` });
  const marks = series.map((name, i) => {
    const p = points.find((one) => one.series === name);
    if (!p) return null;
    const top = i * step;
    const end = Math.max(x.at(p.high), x.at(p.before ?? 0));
    const beside = p.before === undefined ? [] : [`baseline ${say(p.before)}`];
    const mark = s('g', { class: `mark series s${i % 8}` },
      s('rect', { class: 'reach', x: 0, y: top, width: wide, height: step }),
      s('rect', { class: 'bar', x: 0, y: top + 16, width: x.at(p.value), height: 14 }),
      s('path', { class: 'span', d: `M${x.at(p.low)} ${top + 23}H${x.at(p.high)}` }),
      p.before === undefined ? null : s('path', { class: 'tickmark', d: `M${x.at(p.before)} ${top + 13}v20` }),
      s('text', { class: 'tick', x: 0, y: top + 12 }, fitted(name, wide)),
      s('text', { class: 'value', x: end + 6, y: top + 27 }, say(p.value)));
    return told(mark, [`${name}, ${axis} ${p.level}`, reach(say, p), ...beside]);
  }).filter(Boolean);
  chart.append(...marks);
  roving(chart, marks);
  return h('figure', { class: 'chart' }, h('figcaption', {}, `${title}, ${axis} ${levels[0]}`), chart);
}

const reach = (say, p) => say(p.value) + (p.low === p.high ? '' : ` (${say(p.low)} to ${say(p.high)})`);

const move = (x, y) => `translate(${x.toFixed(1)} ${y.toFixed(1)})`;

function path(at, kind) {
  return s('path', { class: `line ${kind}`, d: at.map(([x, y], i) => `${i ? 'L' : 'M'}${x.toFixed(1)} ${y.toFixed(1)}`).join('') });
}

function whisker(x, low, high) {
  const d = `M${x} ${low}V${high}M${x - 3} ${low}h6M${x - 3} ${high}h6`;
  return s('path', { class: 'whisker', d });
}

// The same figures for those who read tables, with or without eyes for a chart.
function asTable(title, axis, say, levels, series, points) {
  const of = (name, level) => points.find((p) => p.series === name && p.level === level);
  const cell = (p) => h('td', {}, p ? say(p.value) : NONE);
  return h('details', { class: 'data' }, h('summary', {}, 'Figures'),
    h('div', { class: 'scroll' }, h('table', {},
      h('caption', { class: 'unseen' }, title),
      h('thead', {}, h('tr', {}, h('th', { scope: 'col' }, axis), series.map((name) => h('th', { scope: 'col' }, name)))),
      h('tbody', {}, levels.map((level) => h('tr', {}, h('th', { scope: 'row' }, level),
        series.map((name) => cell(of(name, level)))))))));
}

function legend(series, before) {
  const keys = series.map((name, i) => h('li', { class: `series s${i % 8}` },
    s('svg', { viewBox: '-13 -8 26 16', width: 26, height: 16, 'aria-hidden': 'true' },
      s('path', { class: 'line now', d: 'M-12 0H12' }), s('path', { class: 'mark', d: shape(i)(4.5) })), name));
  if (before) {
    keys.push(h('li', { class: 'series plain' }, s('svg', { viewBox: '-13 -8 26 16', width: 26, height: 16, 'aria-hidden': 'true' },
      s('path', { class: 'line before', d: 'M-12 0H12' })), 'the baseline'));
  }
  if (!keys.length) return null; // bars say themselves what they are
  return h('ul', { class: 'legend', 'aria-label': 'Legend' }, keys);
}
