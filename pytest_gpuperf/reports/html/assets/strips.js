// Every block of a case in every session, beside the baseline's, with the tolerance and the margin as bands.

const ROW = 22;

function stripChart(entry) {
  const judged = ofTime(entry);
  const all = entry.strips.flatMap((strip) => strip.blocks);
  const sorted = [...all].sort((a, b) => a - b);
  const outer = judged?.margin ?? judged?.tolerance ?? 0.01;
  const low = Math.min(quantile(sorted, 0.005), -outer);
  const high = Math.max(quantile(sorted, 0.995), outer);
  const pad = (high - low) * 0.06;
  const STRIP_WIDE = room(900) - (room(900) < 700 ? 24 : 0);
  const left = STRIP_WIDE < 600 ? 92 : 118;
  const x = linear(low - pad, high + pad, left, STRIP_WIDE - 14);
  const edge = (value) => Math.max(left + 3, Math.min(STRIP_WIDE - 14, x.at(value)));
  const tall = entry.strips.length * ROW + 46;
  const foot = tall - 34;
  const chart = s('svg', { viewBox: `0 0 ${STRIP_WIDE} ${tall}`, class: 'strips', role: 'group', 'aria-label': 'Blocks of every session, as change from the middle of the baseline' });
  const band = (reach, kind) => {
    const [from, to] = [edge(-reach), edge(reach)];
    return s('rect', { class: kind, x: from, width: to - from, y: 0, height: foot });
  };
  if (judged?.margin) chart.append(band(judged.margin, 'margin'));
  if (judged) chart.append(band(judged.tolerance, 'tolerance'));
  const texts = percentTicks(x.ticks);
  x.ticks.forEach((tick, i) => {
    chart.append(s('line', { class: tick ? 'grid' : 'zero', x1: x.at(tick), x2: x.at(tick), y1: 0, y2: foot }),
      s('text', { class: 'tick', x: x.at(tick), y: foot + 15, 'text-anchor': 'middle' }, texts[i]));
  });
  chart.append(s('text', { class: 'axis', x: left, y: tall - 3 }, '← faster'),
    s('text', { class: 'axis', x: STRIP_WIDE - 14, y: tall - 3, 'text-anchor': 'end' }, 'slower →'));
  const marks = entry.strips.map((strip, i) => {
    const { header, blocks: parts } = strip;
    const middle = quantile([...parts].sort((a, b) => a - b), 0.5);
    const top = i * ROW;
    const spread = parts.length > 1 ? (ROW - 12) / (parts.length - 1) : 0;
    const mark = s('g', { class: `strip ${header.baseline ? 'old' : `this ${entry.word}`}` },
      s('rect', { class: 'reach', x: 0, y: top, width: STRIP_WIDE, height: ROW }),
      s('text', { class: 'tick', x: left - 8, y: top + 15, 'text-anchor': 'end' }, header.baseline ? header.time.slice(0, 10) : 'this run'),
      parts.map((part, n) => s('circle', { cx: edge(part).toFixed(1), cy: (top + 6 + n * spread).toFixed(1), r: 2.6 })),
      s('path', { class: 'middle', d: `M${edge(middle).toFixed(1)} ${top + 2}v${ROW - 4}` }));
    return told(mark, [
      header.baseline ? `Baseline session ${header.id}` : `This run, session ${header.id}`,
      `${seconds(entry.middle * (1 + middle))} a call, ${signed(middle)} from the middle`,
      `${many(parts.length, 'block')}, ${seconds(entry.middle * (1 + Math.min(...parts)))} to ${seconds(entry.middle * (1 + Math.max(...parts)))}`,
      `${header.time.replace('T', ' ').replace('Z', ' UTC')}${header.revision ? `, ${header.revision}` : ''}`,
    ]);
  });
  chart.append(...marks);
  roving(chart, marks);
  const outside = judged?.margin ? `Outer band: the margin of “unchanged”, ±${percent(judged.margin)}. ` : '';
  const bands = judged ? `Inner band: the tolerance, ±${percent(judged.tolerance)}. ${outside}` : '';
  const from = hasBaseline(entry) ? 'the middle of the baseline' : 'its middle';
  return h('figure', { class: 'chart wide' }, h('figcaption', {}, 'Blocks of each session'), h('div', { class: 'scroll' }, chart),
    h('p', { class: 'muted small' }, `${bands}Each dot is the median of a stretch of time, in order from top to bottom; a line is its session’s median. Change from ${from}, ${seconds(entry.middle)} a call by the ${entry.clock} clock.`));
}

function quantile(sorted, share) {
  const at = (sorted.length - 1) * share;
  const below = Math.floor(at);
  return sorted[below] + (at - below) * ((sorted[below + 1] ?? sorted[below]) - sorted[below]);
}
