// The charts by batch and precision: one pair a model, whatever the suite calls its parameters.

const FIGURES = {
  speed: [
    { title: 'Latency', of: 'time per call', say: seconds, value: (e) => [e.time, ...e.range], before: (e) => e.middle },
    { title: 'Throughput', of: 'items a second', say: rate, value: (e) => [e.throughput, ...e.rates], before: (e) => (e.rateClock === e.clock ? e.items / e.middle : undefined) },
  ],
  cost: [
    { title: 'Peak memory', of: 'bytes', say: bytes, value: (e) => [e.memory, e.memory, e.memory], before: memoryBefore },
    { title: 'Energy', of: 'joules an item', say: joules, value: (e) => [e.energy, e.energy, e.energy], before: energyBefore },
  ],
};

const judgedBefore = (e, metric) => e.judged.find((j) => j.metric === metric)?.before;
function memoryBefore(e) { return judgedBefore(e, 'peak_memory'); }
function energyBefore(e) { return judgedBefore(e, 'energy'); }

const LINES = ['precision', 'backend']; // what is drawn as lines of one chart
const PANELS = 4; // models drawn before somebody asks for more

// The parameter along the axis: the batch, or else the one with the most numbers.
function axisOf(page) {
  if (page.parameters.includes('batch')) return 'batch';
  const numeric = page.parameters.map((name) => {
    const levels = new Set(page.cases.map((e) => e.parameters[name]).filter((level) => level !== undefined));
    return [name, [...levels].every((level) => level !== '' && Number.isFinite(Number(level))) ? levels.size : 0];
  }).sort((a, b) => b[1] - a[1])[0];
  return numeric && numeric[1] > 1 ? numeric[0] : null;
}

function panelsOf(entries, axis) {
  const panels = new Map();
  const levels = {};
  for (const entry of entries) for (const [name, text] of Object.entries(entry.parameters)) (levels[name] ||= new Set()).add(text);
  const told = new Set(Object.keys(levels).filter((name) => levels[name].size > 1)); // one level for all is no news
  for (const entry of entries) {
    const own = entry.parameters;
    if (own[axis] === undefined) continue;
    const others = Object.entries(own).filter(([name]) => name !== axis && !LINES.includes(name));
    const key = JSON.stringify([entry.function, others]);
    if (!panels.has(key)) panels.set(key, { function: entry.function, others, told, entries: [] });
    panels.get(key).entries.push(entry);
  }
  return [...panels.values()];
}

function panel(found, axis, kinds, several) {
  const lines = (e) => LINES.map((name) => e.parameters[name]).filter(Boolean).join(' ') || 'measured';
  const series = [...new Set(found.entries.map(lines))].sort((a, b) => a.localeCompare(b, 'en', { numeric: true }));
  const levels = [...new Set(found.entries.map((e) => e.parameters[axis]))].sort((a, b) => a.localeCompare(b, 'en', { numeric: true }));
  const clocks = [...new Set(found.entries.map((e) => e.clock))].join(', ');
  const drawn = kinds.map((kind) => {
    const points = found.entries.filter((e) => !missing(kind.value(e)[0])).map((e) => {
      const [value, low, high] = kind.value(e);
      return { series: lines(e), level: e.parameters[axis], value, low, high, before: hasBaseline(e) ? kind.before(e) : undefined };
    });
    return points.length ? lineChart(`${kind.title}, ${kind.of}${kind.title === 'Latency' ? ` by the ${clocks} clock` : ''}`, axis, kind.say, levels, series, points) : null;
  }).filter(Boolean);
  if (!drawn.length) return null;
  const title = found.others.filter(([name]) => name === 'model' || found.told.has(name)).map(([name, text]) => (name === 'model' ? text : `${name} ${text}`)).join(', ');
  return h('section', { class: 'panel' },
    h('h3', {}, title || split(found.function)[1], several && title ? h('span', { class: 'muted small' }, ` ${split(found.function)[1]}`) : null),
    legend(levels.length > 1 ? series : [], found.entries.some((e) => hasBaseline(e))), h('div', { class: 'pair' }, drawn));
}

function chartSection(page) {
  const axis = axisOf(page);
  const body = h('div', {});
  let kind = 'speed';
  let all = false;
  let entries = page.cases;
  const tabs = [['speed', 'Latency and throughput'], ['cost', 'Memory and energy']].map(([key, text]) =>
    h('button', { type: 'button', 'data-kind': key, onclick: () => { kind = key; draw(); } }, text));

  function draw() {
    tabs.forEach((tab) => tab.setAttribute('aria-pressed', String(tab.dataset.kind === kind)));
    const found = panelsOf(entries, axis);
    const several = new Set(found.map((one) => one.function)).size > 1;
    const shown = (all ? found : found.slice(0, PANELS)).map((one) => panel(one, axis, FIGURES[kind], several)).filter(Boolean);
    const rest = found.length - PANELS;
    body.replaceChildren(...shown,
      ...(shown.length ? [] : [h('p', { class: 'muted' }, 'Nothing of this was measured in the cases that the filters leave.')]),
      ...(!all && rest > 0 ? [h('p', { class: 'more' }, h('button', { type: 'button', class: 'quiet', onclick: () => { all = true; draw(); } }, `Draw ${rest.toLocaleString('en')} more`))] : []));
  }

  if (!axis) return null;
  matchMedia('(max-width: 820px)').addEventListener('change', draw);
  return {
    element: h('section', { id: 'charts' }, h('h2', {}, `By ${axis} and precision`), h('div', { class: 'tabs', role: 'group', 'aria-label': 'What the charts show' }, tabs),
      h('p', { class: 'muted small' }, 'Whiskers: from the lowest to the highest session, each with the 95% interval of its median. The charts follow the filters above.'), body),
    refresh: (left) => { entries = left; draw(); },
  };
}
