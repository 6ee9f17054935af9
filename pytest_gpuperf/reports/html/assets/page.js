// Puts the page together: filters, table, charts.

const UNVALIDATED = 'unvalidated';

function filters(page, changed) {
  const state = { text: '', words: new Set(), levels: {} };
  const search = h('input', { type: 'search', id: 'search', placeholder: 'Filter by name', 'aria-label': 'Filter by name; several words must all occur', autocomplete: 'off', spellcheck: 'false',
    oninput: () => { state.text = search.value; apply(); } });
  const words = [...(page.compared ? GRAVITY : []), UNVALIDATED].map((word) => [word, page.cases.filter((e) => is(e, word)).length]).filter(([, count]) => count);
  const chips = words.map(([word, count]) => {
    const chip = h('button', { type: 'button', class: `chip ${word}`, 'aria-pressed': 'false', onclick: () => {
      if (!state.words.delete(word)) state.words.add(word);
      chip.setAttribute('aria-pressed', String(state.words.has(word)));
      apply();
    } }, h('span', { class: 'count' }, count.toLocaleString('en')), ` ${word}`);
    return chip;
  });
  const selects = page.parameters.map((name) => {
    const levels = [...new Set(page.cases.map((e) => e.parameters[name]).filter((level) => level !== undefined))].sort((a, b) => a.localeCompare(b, 'en', { numeric: true }));
    if (levels.length < 2 || levels.length > 60) return null;
    return h('label', {}, h('span', {}, name), choice(name, [['', 'all'], ...levels.map((level) => [`=${level}`, level])], '', (value) => { state.levels[name] = value.slice(1); apply(); }));
  }).filter(Boolean);
  const count = h('p', { role: 'status', class: 'muted small' });
  const clear = h('button', { type: 'button', class: 'quiet', hidden: true, onclick: () => { reset(); search.focus(); } }, 'Clear filters');

  function is(entry, word) {
    return word === UNVALIDATED ? Boolean(entry.proof && entry.proof.verdict !== 'proven') : entry.word === word;
  }

  function reset() {
    search.value = state.text = '';
    state.words.clear();
    state.levels = {};
    chips.forEach((chip) => chip.setAttribute('aria-pressed', 'false'));
    selects.forEach((label) => { label.querySelector('select').value = ''; });
    apply();
  }

  function apply() {
    const wanted = state.text.toLowerCase().split(/\s+/).filter(Boolean);
    const levels = Object.entries(state.levels).filter(([, level]) => level);
    const left = page.cases.filter((e) => wanted.every((part) => e.id.toLowerCase().includes(part))
      && (!state.words.size || [...state.words].some((word) => is(e, word)))
      && levels.every(([name, level]) => e.parameters[name] === level));
    const files = new Set(page.cases.map((e) => split(e.id)[0]));
    const where = files.size === 1 && ![...files].includes('') ? `, all in ${[...files][0]}` : '';
    count.textContent = where && left.length === page.cases.length ? many(left.length, 'case') + where : left.length === page.cases.length ? many(left.length, 'case') : `${left.length.toLocaleString('en')} of ${many(page.cases.length, 'case')}`;
    clear.hidden = left.length === page.cases.length;
    changed(left);
  }

  addEventListener('keydown', (event) => {
    const typing = /^(INPUT|SELECT|TEXTAREA)$/.test(document.activeElement?.tagName || '');
    if (event.key === '/' && !typing && !event.ctrlKey && !event.metaKey) { event.preventDefault(); search.focus(); }
    if (event.key === 'Escape' && !tip.hidden) hideTip();
    else if (event.key === 'Escape' && document.activeElement === search) { search.value = state.text = ''; apply(); }
  });
  return { chips: chips.length ? h('div', { class: 'chips', role: 'group', 'aria-label': 'Filter by verdict' }, chips) : null,
    bar: h('div', { class: 'filters' }, h('div', { class: 'row' }, search, selects, clear), count), apply, reset };
}

function absent(page) {
  const gone = Object.entries(page.absent || {});
  if (!gone.length) return null;
  return h('section', {}, h('h2', {}, 'Not measured'), h('div', { class: 'scroll' }, plainTable('Not measured', ['test or case', 'why'], gone)));
}

function sessions(page) {
  const rows = page.sessions.map((x) => [x.id, x.baseline ? 'baseline' : 'this run', x.time.replace('T', ' ').replace('Z', ' UTC'), x.revision || NONE, x.card || NONE]);
  return h('section', {}, h('h2', {}, 'Sessions'), h('details', {}, h('summary', {}, many(rows.length, 'process', 'processes')),
    h('div', { class: 'scroll' }, plainTable('Sessions', ['session', 'of', 'time', 'revision', 'card'], rows))));
}

const WORDS = [
  ['regressed', 'the change exceeds the tolerance, and is no accident, at the confidence of the whole suite'],
  ['improved', 'the same, the other way'],
  ['environment', 'no code changed, but versions of software did, and that made it slower; it fails unless that is allowed'],
  ['machine', 'neither code nor versions changed: what moved is the machine. It warns, and fails where strict is on'],
  ['unchanged', 'with 95% confidence less than so much slower'],
  ['inconclusive', 'neither: the evidence says too little. It is not a pass'],
  ['waived', 'regressed, and tolerated until a day'],
  ['reference', 'beside a published figure, which has no variance: not grossly slower, and no more can be told'],
  ['new', 'the baseline does not know it, so nothing was judged'],
  ['unvalidated', 'it is not proven which device did the work'],
];

function start() {
  const page = unpacked(JSON.parse(byId('data').textContent));
  document.body.append(tip);
  themeButton();
  let charts = null;
  const table = caseTable(page, () => {});
  const open = (entry) => { if (!table.reveal(entry)) { bar.reset(); table.reveal(entry); } };
  const bar = filters(page, (left) => { table.refresh(left); if (charts) charts.refresh(left); });
  charts = chartSection(page);
  byId('report').append(...[
    h('section', { id: 'cases', tabindex: -1 }, h('h2', {}, 'Cases'), bar.chips, page.compared && overview(page.cases, open), bar.bar, table.element),
    charts && charts.element,
    absent(page),
    sessions(page),
    h('section', { class: 'words' }, h('h2', {}, 'Words'), h('dl', { class: 'pairs' }, WORDS.filter(([word]) => page.compared || word === UNVALIDATED).map(([word, text]) => h('div', {}, h('dt', {}, verdict(word)), h('dd', {}, text)))),
      page.compared && h('p', { class: 'muted small' }, 'Changes are of a cost: of time per call, of bytes, of joules. Above zero is worse. Latency and throughput of a case are one evidence and are judged once.')),
  ].filter(Boolean));
  bar.apply();
  document.querySelectorAll('a.case').forEach((link) => link.addEventListener('click', (event) => {
    const entry = page.cases.find((one) => one.id === link.dataset.case);
    if (entry) { event.preventDefault(); open(entry); }
  }));
  addEventListener('scroll', hideTip, { passive: true, capture: true });
  document.documentElement.dataset.ready = String(Math.round(performance.now()));
}

start();
