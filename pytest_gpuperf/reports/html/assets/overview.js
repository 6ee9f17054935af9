// All cases at a glance: a column of squares for every stretch of change, one mark a case.

const TALLEST = 170;
const FURTHEST = Math.log(2); // drawn to scale: what doubled stands at the end of the axis, and so does what is beyond

function overview(entries, open) {
  const judged = entries.filter((entry) => ofTime(entry));
  if (judged.length < 2) return null;
  const OVER_WIDE = room(1192);
  const logs = judged.map((entry) => Math.log(ofTime(entry).ratio));
  const reach = Math.min(Math.max(0.05, ...logs.map(Math.abs)), FURTHEST);
  const size = judged.length < 60 ? 12 : judged.length < 400 ? 9 : 6;
  const bins = Math.floor((OVER_WIDE - 40) / (size + 2));
  const x = linear(-reach, reach, 20, OVER_WIDE - 20);
  const columns = new Map();
  judged.forEach((entry, i) => {
    const share = (Math.max(-reach, Math.min(reach, logs[i])) + reach) / (2 * reach);
    const bin = Math.min(bins - 1, Math.floor(share * bins));
    columns.set(bin, [...(columns.get(bin) || []), entry]);
  });
  const most = Math.max(...[...columns.values()].map((column) => column.length));
  const step = Math.min(size + 2, (TALLEST - 8) / most);
  const OVER_TALL = Math.max(32, Math.min(TALLEST, most * step + 8)); // a few cases need no room for hundreds
  const chart = s('svg', { viewBox: `0 0 ${OVER_WIDE} ${OVER_TALL + 36}`, class: 'overview', role: 'img',
    'aria-label': `How ${judged.length} cases changed: the table below holds every one of them` });
  const ticks = steps(-Math.expm1(reach), Math.expm1(reach), OVER_WIDE < 600 ? 4 : 8).filter((t) => Math.abs(Math.log1p(t)) <= reach);
  const texts = percentTicks(ticks);
  ticks.forEach((tick, i) => {
    const at = x.at(Math.log1p(tick));
    chart.append(s('line', { class: Math.abs(tick) > 1e-9 ? 'grid' : 'zero', x1: at, x2: at, y1: 0, y2: OVER_TALL }),
      s('text', { class: 'tick', x: at, y: OVER_TALL + 15, 'text-anchor': 'middle' }, texts[i]));
  });
  chart.append(s('text', { class: 'axis', x: 20, y: OVER_TALL + 32 }, '← faster'),
    s('text', { class: 'axis', x: OVER_WIDE - 20, y: OVER_TALL + 32, 'text-anchor': 'end' }, 'slower →'));
  for (const [bin, column] of columns) {
    const left = 20 + (bin / bins) * (OVER_WIDE - 40) + 1;
    [...column].reverse().forEach((entry, i) => {
      const mark = s('rect', { class: `case ${entry.word}`, x: left.toFixed(1), y: (OVER_TALL - (i + 1) * step).toFixed(2),
        width: size, height: Math.max(step - (step > 4 ? 2 : 0.3), 0.6).toFixed(2), onclick: () => open(entry) });
      const j = ofTime(entry);
      mark.addEventListener('pointerenter', () => showTip([entry.id, `${entry.word}: ${moved(j)}`], mark.getBoundingClientRect()));
      mark.addEventListener('pointerleave', hideTip);
      chart.append(mark);
    });
  }
  const beyond = logs.filter((log) => Math.abs(log) > reach * 1.001).length;
  return h('figure', { class: 'chart wide' }, h('figcaption', {}, 'Change of time per call, one mark a case'), h('div', { class: 'scroll' }, chart),
    beyond ? h('p', { class: 'muted small' }, `${many(beyond, 'case')} beyond the axis, drawn at its end.`) : null);
}
