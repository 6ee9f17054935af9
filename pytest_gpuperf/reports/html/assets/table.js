// The table of all cases: filtered, sorted, and made a hundred rows at a time, as far as somebody scrolls.

const CHUNK = 100;
const GRAVITY = ['regressed', 'environment', 'machine', 'waived', 'inconclusive', 'improved', 'reference', 'unchanged', 'new', 'measured'];
const missing = (value) => (value === undefined || value === null);

const COLUMNS = [
  { key: 'case', title: 'Case', of: (e) => e.id, first: 1, cell: null },
  { key: 'before', title: 'Before', hint: 'time per call', of: (e) => ofTime(e)?.costs[0], first: -1, compared: true, number: true, cell: (e) => costOf(e, 0) },
  { key: 'now', title: 'Now', hint: 'time per call', of: (e) => ofTime(e)?.costs[1] ?? e.time, first: -1, compared: true, number: true, cell: (e) => costOf(e, 1) },
  { key: 'change', title: 'Change', hint: 'of time per call: above zero is slower', of: (e) => ofTime(e)?.ratio, first: -1, compared: true, cell: changed },
  { key: 'verdict', title: 'Verdict', of: (e) => GRAVITY.indexOf(e.word), first: 1, compared: true, cell: (e) => [verdict(e.word, ofTime(e)?.margin), elsewhere(e)] },
  { key: 'time', title: 'Time per call', of: (e) => e.time, first: -1, compared: false, number: true, cell: (e) => seconds(e.time) },
  { key: 'throughput', title: 'Throughput', of: (e) => rateOf(e), first: -1, number: true, cell: (e) => rate(rateOf(e)) },
  { key: 'latency', title: 'Latency p50', hint: 'of single calls, by the host’s clock', of: (e) => e.latency?.p50, first: -1, number: true, cell: (e) => said(e.latency?.p50, seconds) },
  { key: 'memory', title: 'Peak memory', of: (e) => e.memory, first: -1, number: true, cell: (e) => said(e.memory, bytes) },
  { key: 'energy', title: 'Energy', of: (e) => e.energy, first: -1, number: true, cell: (e) => said(e.energy, joules) },
  { key: 'device', title: 'Device', hint: 'is it proven which device did the work?', of: (e) => e.proof?.verdict, first: 1, cell: proven },
];

// What a call took, as the verdict has it; of a case that nothing was held against, what it takes now.
function costOf(entry, at) {
  const j = ofTime(entry);
  if (j) return cost(j, at);
  return at ? seconds(entry.time, COMPARED) : NONE;
}

// The throughput that goes with the time beside it: a row speaks of one measurement.
const rateOf = (entry) => (ofTime(entry) ? entry.items / ofTime(entry).costs[1] : entry.throughput);

const said = (value, say) => (missing(value) ? NONE : say(value));

// The figure a verdict is about, where it is not time.
function elsewhere(entry) {
  const about = entry.judged.filter((j) => j.word === entry.word && METRICS[j.metric].evidence !== 'time');
  const time = ofTime(entry);
  return about.length && time && time.word !== entry.word ? h('span', { class: 'muted small about' }, METRICS[about[0].metric].name) : null;
}

function proven(entry) {
  if (!entry.proof) return NONE;
  return entry.proof.verdict === 'proven' ? h('span', { class: 'muted' }, 'proven') : h('span', { class: 'word unvalidated' }, '! unvalidated');
}

// How far the small intervals reach, the same in every row: as far as the furthest of them, at most what doubled.
function reachOf(entries) {
  const ends = entries.map(ofTime).filter(Boolean).flatMap((j) => [j.ratio, j.low ?? j.ratio, j.high ?? j.ratio]);
  return Math.min(Math.max(Math.log(1.1), ...ends.map((ratio) => Math.abs(Math.log(Math.max(ratio, 1e-9))))), FURTHEST);
}

function changed(entry, reach) {
  const j = ofTime(entry);
  if (!j) return NONE;
  const at = (ratio) => 50 + (Math.max(-reach, Math.min(reach, Math.log(Math.max(ratio, 1e-9)))) / reach) * 46;
  const way = Math.abs(Math.log(Math.max(j.ratio, 1e-9))) > reach * 1.001 ? Math.sign(Math.log(j.ratio)) : 0; // beyond it
  const shown = s('svg', { class: `interval ${j.word}`, viewBox: '0 0 100 14', width: 100, height: 14, 'aria-hidden': 'true' },
    s('rect', { class: 'tolerance', x: at(1 / (1 + j.tolerance)), width: at(1 + j.tolerance) - at(1 / (1 + j.tolerance)), y: 0, height: 14 }),
    s('line', { class: 'zero', x1: 50, x2: 50, y1: 0, y2: 14 }),
    j.low === undefined ? null : s('line', { class: 'span', x1: at(j.low), x2: at(j.high), y1: 7, y2: 7 }),
    way ? s('path', { class: 'beyond', d: `M${at(j.ratio) - 2 * way} 2.5 l${5 * way} 4.5 l${-5 * way} 4.5 z` }) : s('circle', { cx: at(j.ratio), cy: 7, r: 3.2 }));
  return h('span', { class: 'changed' }, shown, h('span', { class: 'number' }, change(j.ratio), ' ',
    h('span', { class: 'muted ci' }, j.low === undefined ? '' : `[${change(j.low)}, ${change(j.high)}]`)));
}

function caseTable(page, onOpen) {
  const columns = COLUMNS.filter((c) => (c.compared === undefined || c.compared === page.compared) && page.cases.some((e) => !missing(c.of(e))));
  const reach = reachOf(page.cases);
  const several = new Set(page.cases.map((e) => split(e.id)[0])).size > 1; // else it is said once, above
  let order = { key: page.compared ? 'verdict' : 'case', way: 1 };
  let shown = page.cases;
  let made = 0;
  const opened = new Set();
  const body = h('tbody', { role: 'rowgroup' });
  const more = h('button', { type: 'button', class: 'quiet', onclick: () => grow(true) });
  const heads = columns.map((column) => {
    const button = h('button', { type: 'button', title: column.hint, onclick: () => sort(column) }, column.title, h('span', { class: 'arrow', 'aria-hidden': 'true' }));
    return h('th', { scope: 'col', role: 'columnheader', class: column.number ? 'number' : `at-${column.key}`, 'data-key': column.key }, button);
  });
  const table = h('table', { id: 'table', class: 'cases', role: 'table', 'aria-label': 'Cases' },
    h('thead', { role: 'rowgroup' }, h('tr', { role: 'row' }, heads)), body);

  function sort(column) {
    order = { key: column.key, way: order.key === column.key ? -order.way : column.first };
    refresh();
  }

  function sorted(entries) {
    const column = columns.find((c) => c.key === order.key);
    const keyed = entries.map((entry, i) => [column.of(entry), entry, i]);
    keyed.sort(([a, , i], [b, , j]) => {
      if (missing(a) || missing(b)) return missing(a) - missing(b) || i - j; // what is not known stands last, either way
      const less = typeof a === 'string' ? a.localeCompare(b, 'en', { numeric: true }) : a - b;
      return less * order.way || i - j;
    });
    return keyed.map(([, entry]) => entry);
  }

  function refresh(entries) {
    if (entries) shown = entries;
    heads.forEach((head) => {
      const mine = head.dataset.key === order.key;
      if (mine) head.setAttribute('aria-sort', order.way > 0 ? 'ascending' : 'descending');
      else head.removeAttribute('aria-sort');
      head.querySelector('.arrow').textContent = mine ? (order.way > 0 ? ' ↑' : ' ↓') : '';
    });
    shown = sorted(shown);
    body.replaceChildren();
    made = 0;
    grow(false);
    if (!shown.length) body.append(h('tr', { role: 'row' }, h('td', { role: 'cell', colspan: columns.length, class: 'none' }, 'No case matches. Clear the filters to see all of them.')));
  }

  function grow(byHand) {
    const next = shown.slice(made, made + CHUNK);
    const first = made;
    body.append(...next.flatMap((entry, i) => rows(entry, first + i)));
    made += next.length;
    table.setAttribute('aria-rowcount', String(shown.length + 1));
    more.hidden = made >= shown.length;
    more.textContent = `Show more (${(shown.length - made).toLocaleString('en')} left)`;
    if (byHand && next.length) body.querySelector(`[data-at="${first}"] button`).focus();
  }

  function rows(entry, at) {
    const open = opened.has(entry);
    const [file, name] = split(entry.id);
    const button = h('button', { type: 'button', class: 'name', 'aria-expanded': String(open) }, breakable(name));
    const row = h('tr', { role: 'row', class: `case ${entry.word}`, 'data-at': at, 'aria-rowindex': at + 2 }, columns.map((column) =>
      (column.key === 'case'
        ? h('th', { scope: 'row', role: 'rowheader', class: 'case' }, button, several && h('span', { class: 'muted small file' }, breakable(file)))
        : h('td', { role: 'cell', class: column.number ? 'number' : `at-${column.key}`, 'data-title': column.title }, column.cell(entry, reach)))));
    button.addEventListener('click', () => toggle(entry, row, button));
    return open ? [row, panel(entry)] : [row];
  }

  const panel = (entry) => h('tr', { role: 'row', class: 'panel' }, h('td', { role: 'cell', colspan: columns.length }, details(entry)));

  function toggle(entry, row, button) {
    const open = !opened.has(entry);
    if (open) { opened.add(entry); row.after(panel(entry)); } else { opened.delete(entry); row.nextSibling.remove(); }
    button.setAttribute('aria-expanded', String(open));
    if (open) onOpen(entry);
    hideTip();
  }

  // Shows one case, wherever it stands.
  function reveal(entry) {
    const at = shown.indexOf(entry);
    if (at < 0) return false;
    while (made <= at) grow(false);
    const row = body.querySelector(`[data-at="${at}"]`);
    const button = row.querySelector('button');
    if (!opened.has(entry)) toggle(entry, row, button);
    row.scrollIntoView({ block: 'start' });
    button.focus({ preventScroll: true });
    return true;
  }

  new IntersectionObserver((seen) => { if (seen.some((one) => one.isIntersecting) && !more.hidden) grow(false); },
    { rootMargin: '600px' }).observe(more);
  addEventListener('beforeprint', () => { while (made < shown.length) grow(false); });
  return { element: h('div', {}, table, h('p', { class: 'more' }, more)), refresh, reveal };
}

function split(id) {
  const at = id.indexOf('::');
  return at < 0 ? ['', id] : [id.slice(0, at), id.slice(at + 2)];
}
