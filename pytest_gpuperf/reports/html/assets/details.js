// Everything that is known of one case.

function details(entry) {
  const parts = [
    entry.causes.length && block('Why', h('ol', { class: 'causes' }, entry.causes.map((cause) => h('li', {}, cause)))),
    entry.judged.length && block('Verdict', h('div', { class: 'findings' }, entry.judged.map(judgement))),
    block('Distribution', stripChart(entry)),
    h('div', { class: 'columns' }, block('Figures', figures(entry)), entry.proof && block('Which device did the work', proof(entry.proof))),
    entry.ran && block(`What one call ran, ${entry.ran.unit}s`, ran(entry.ran)),
    entry.notes.length && block('Notes', h('ul', {}, entry.notes.map((note) => h('li', {}, note)))),
    entry.accept && block('If the new figure is meant, accept it', h('p', {}, h('code', { class: 'command' }, entry.accept))),
  ];
  return parts.filter(Boolean);
}

const block = (title, ...content) => h('section', { class: 'block' }, h('h4', {}, title), content);

function judgement(j, at) {
  const brief = at > 0; // time comes first, and at length
  const metric = METRICS[j.metric];
  const reach = `tolerance ${percent(j.tolerance)} of ${metric.cost}${j.margin ? `, unchanged below ${percent(j.margin)}` : ''}`;
  const sees = j.detectable === undefined ? '' : `; this evidence sees changes from ${change(1 + j.detectable)}`;
  if (brief && j.word === 'unchanged') return h('p', { class: 'finding' }, verdict(j.word, j.margin), ` ${metric.name} ${metric.say(j.now)}, `, h('span', { class: 'number' }, moved(j)), h('span', { class: 'muted small' }, ` · ${reach}`));
  return h('div', { class: `finding ${j.word}` },
    h('p', {}, verdict(j.word, j.margin), ' ', h('strong', { class: 'number' }, moved(j))),
    h('p', { class: 'number' }, metric === METRICS.throughput ? `${cost(j, 0)} → ${cost(j, 1)} a call; ` : '',
      `${metric.name} ${metric.say(j.before, COMPARED)} → ${metric.say(j.now, COMPARED)}`,
      h('span', { class: 'muted' }, j.turns ? ` · ${j.turns}` : ` · ${many(j.sessions[1], 'session')} against ${j.sessions[0]}`)),
    h('p', {}, j.reason),
    h('p', { class: 'muted small' }, reach + sees),
    j.waived && h('p', { class: 'muted small' }, `Waived ${j.waived}`));
}

const MARKS = { regressed: '▲', environment: '▲', machine: '~', improved: '▼', inconclusive: '?', unchanged: '=', waived: '△', reference: '≈', new: '+', measured: '·', unvalidated: '!' };
const verdict = (word, margin) => h('span', { class: `word ${word}` }, h('span', { 'aria-hidden': 'true' }, MARKS[word] || '·'), ` ${word}`,
  word === 'unchanged' && margin ? ` within ${percent(margin)}` : null);

function figures(entry) {
  const l = entry.latency || {};
  const rows = [
    [`time per call (${entry.clock})`, `${seconds(entry.time)}, ${seconds(entry.range[0])} to ${seconds(entry.range[1])}`],
    [`throughput (${entry.rateClock})`, `${rate(entry.throughput)}, ${many(entry.items, 'item')} a call`],
    ['latency mean', l.mean && `${seconds(l.mean)} of ${many(l.count, 'single call')}`],
    ...['p50', 'p90', 'p95', 'p99'].map((p) => [`latency ${p}`, l[p] && seconds(l[p])]),
    ['peak memory', entry.memory && bytes(entry.memory)],
    ['energy', entry.energy && joules(entry.energy)],
    ...entry.facts,
    ...Object.entries(entry.parameters),
  ];
  return h('dl', { class: 'pairs' }, rows.filter(([, text]) => text).map(([name, text]) => h('div', {}, h('dt', {}, name), h('dd', {}, text))));
}

function proof(p) {
  return [
    h('p', {}, h('span', { class: `word ${p.verdict}` }, p.verdict === 'proven' ? '✓ proven' : `! ${p.verdict}`),
      p.verdict === 'proven' ? '' : ' — this result is unvalidated'),
    p.diagnosis && h('p', {}, p.diagnosis),
    p.witnesses.length && plainTable('Evidence', ['witness', 'rating', 'what was seen'], p.witnesses),
  ];
}

function ran(r) {
  return [
    h('p', {}, `${(r.context || []).join('; ')}.`),
    h('p', { class: 'muted small' }, 'One untimed call under the profiler: it tells causes, no figures.'),
    h('div', { class: 'scroll' }, plainTable(`${r.unit}s`, r.header, r.kernels, 1)),
  ];
}

// The columns from `numbers` on are figures.
function plainTable(caption, header, rows, numbers = 99) {
  const kind = (i) => (i >= numbers ? 'number' : null);
  return h('table', {}, h('caption', { class: 'unseen' }, caption),
    h('thead', {}, h('tr', {}, header.map((text, i) => h('th', { scope: 'col', class: kind(i) }, text)))),
    h('tbody', {}, rows.map((row) => h('tr', {}, row.map((text, i) => h(i ? 'td' : 'th', { scope: i ? null : 'row', class: kind(i) }, text))))));
}
