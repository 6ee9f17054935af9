// A timeline to zoom into: a lane a stream, drawn on a canvas, since a trace holds more bars than elements would bear.

const LANE = 24;
const GAP = 6;
const AXIS = 22;
const CLOSEST = 20; // nanoseconds that the whole width may show at least
const NEAR = 4; // pixels beside a short bar that still mean it

function spelledOut(page) {
  for (const lane of page.lanes) {
    let end = 0;
    lane.starts = lane.since.map((since, i) => { const start = end + since; end = start + lane.lasts[i]; return start; });
    lane.longest = lane.lasts.reduce((most, length) => Math.max(most, length), 0);
  }
  return page;
}

const nanoseconds = (value) => (value === 0 ? '0 s' : seconds(value / 1e9));
// Where the view is, to the nanosecond in a trace of a second.
const exact = (value) => (Math.round(value) === 0 ? '0 s' : plain(seconds(Math.round(value) / 1e9, 9)));

// What a bar is, in lines: the first is its name.
function barLines(page, lane, i) {
  const [kind] = page.kinds[lane.kinds[i]];
  const name = page.names[lane.names[i]];
  const idle = kind.startsWith('idle: ');
  const lines = [idle ? `idle: ${page.waits[name] || name}` : name];
  if (lane.counts[i] > 1) lines.push(`${lane.counts[i].toLocaleString('en')} things this close together; zooming cannot part them`);
  if (!idle && kind !== 'step') lines.push(kind);
  lines.push(`${nanoseconds(lane.lasts[i])} from ${nanoseconds(lane.starts[i])}`, `${lane.device}, ${lane.name}`);
  return lines;
}

function timeline(page) {
  const whole = page.nanoseconds;
  const canvas = h('canvas', { tabindex: 0, role: 'application', class: 'timeline', 'aria-label': 'Timeline of the trace', 'aria-describedby': 'timeline-keys' });
  const pen = canvas.getContext('2d');
  const shown = h('span', { class: 'small muted sight' });
  const status = h('p', { role: 'status', class: 'small case' });
  const view = { from: 0, to: whole };
  let colours = {};
  let wide = 0;
  let gutter = 0;
  let selected = null; // [lane, bar]
  let waiting = false;

  const span = () => view.to - view.from;
  const x = (time) => gutter + ((time - view.from) / span()) * (wide - gutter);
  const time = (at) => view.from + ((at - gutter) / (wide - gutter)) * span();
  const titled = titles(page.lanes);
  const top = (place) => AXIS + place * (LANE + GAP + (gutter ? 0 : 16)) + (gutter ? 0 : 16);
  const tall = () => top(page.lanes.length) + 4 - (gutter ? 0 : 16);

  function readColours() {
    const probe = h('span', {});
    canvas.parentElement.append(probe);
    colours = Object.fromEntries([...page.kinds.map(([, tone]) => tone), 'text', 'muted', 'line', 'page', 'raised', 'link'].map((name) => {
      probe.style.color = `var(--${name})`;
      return [name, getComputedStyle(probe).color];
    }));
    probe.remove();
  }

  function resize() {
    wide = Math.max(280, canvas.parentElement.clientWidth);
    gutter = wide < 640 ? 0 : Math.min(170, 16 + Math.max(...titled.map(textWidth)));
    const sharp = window.devicePixelRatio || 1;
    canvas.width = Math.round(wide * sharp);
    canvas.height = Math.round(tall() * sharp);
    canvas.style.width = `${wide}px`;
    canvas.style.height = `${tall()}px`;
    pen.setTransform(sharp, 0, 0, sharp, 0, 0);
    draw();
  }

  function redraw() {
    if (waiting) return;
    waiting = true;
    requestAnimationFrame(() => { waiting = false; draw(); });
  }

  function draw() {
    pen.clearRect(0, 0, wide, tall());
    pen.font = `12px ${getComputedStyle(document.body).fontFamily}`;
    pen.textBaseline = 'middle';
    drawAxis();
    page.lanes.forEach((lane, place) => { drawLane(lane, top(place)); drawTitle(titled[place], top(place)); });
    shown.textContent = `${exact(view.from)} to ${exact(view.to)} of ${exact(whole)}`;
    canvas.dataset.from = String(Math.round(view.from));
    canvas.dataset.to = String(Math.round(view.to));
  }

  function drawAxis() {
    // Close up, a tick is a time since the left edge: its digits would else be those that all ticks share.
    const close = span() < whole / 50;
    const from = close ? 0 : view.from;
    for (const tick of steps(from, from + span(), Math.max(2, Math.floor((wide - gutter) / 110)))) {
      const at = gutter + ((tick - from) / span()) * (wide - gutter);
      pen.fillStyle = colours.line;
      pen.fillRect(Math.round(at), AXIS - 4, 1, tall());
      pen.fillStyle = colours.muted;
      const text = close && tick ? `+${exact(tick)}` : exact(close ? view.from : tick);
      pen.fillText(text, Math.max(gutter, Math.min(at - textWidth(text) / 2, wide - textWidth(text))), 8);
    }
  }

  function drawTitle(title, y) {
    pen.fillStyle = colours.muted;
    if (gutter) pen.fillText(fitted(title, gutter - 12), 0, y + LANE / 2);
    else pen.fillText(fitted(title, wide), 0, y - 8);
  }

  function drawLane(lane, y) {
    pen.fillStyle = colours.raised;
    pen.fillRect(gutter, y, wide - gutter, LANE);
    let [lastPixel, lastKind] = [-1, -1];
    for (let i = 0; i < lane.starts.length; i += 1) {
      if (lane.starts[i] > view.to || lane.starts[i] + lane.lasts[i] < view.from) continue;
      const left = Math.max(gutter, x(lane.starts[i]));
      const right = Math.min(wide, x(lane.starts[i] + lane.lasts[i]));
      const width = Math.max(1, right - left);
      const pixel = Math.floor(left);
      if (width === 1 && pixel === lastPixel && lane.kinds[i] === lastKind) continue; // it is drawn already
      [lastPixel, lastKind] = [pixel, lane.kinds[i]];
      const [kind, tone] = page.kinds[lane.kinds[i]];
      pen.fillStyle = colours[tone];
      pen.fillRect(left, y, width > 3 ? width - 0.5 : width, LANE);
      if (width > 34) {
        pen.fillStyle = colours.page;
        const name = page.names[lane.names[i]];
        pen.fillText(fitted(kind.startsWith('idle: ') ? kind.slice(6) : name, width - 8), left + 4, y + LANE / 2);
      }
    }
    if (selected && page.lanes[selected[0]] === lane) outline(lane, selected[1], y);
  }

  function outline(lane, i, y) {
    const [left, right] = [Math.max(gutter, x(lane.starts[i])), Math.min(wide, x(lane.starts[i] + lane.lasts[i]))];
    if (right < gutter || left > wide) return;
    pen.strokeStyle = colours.text;
    pen.lineWidth = 2;
    pen.strokeRect(left - 1, y - 2, Math.max(3, right - left + 2), LANE + 4);
  }

  // The view stays within the trace.
  function show(from, to) {
    const length = Math.max(Math.min(CLOSEST, whole), Math.min(to - from, whole));
    view.from = Math.max(0, Math.min((from + to - length) / 2, whole - length));
    view.to = view.from + length;
    hideTip();
    redraw();
  }

  const zoom = (factor, around = (view.from + view.to) / 2) => show(around - (around - view.from) * factor, around + (view.to - around) * factor);
  const pan = (share) => show(view.from + span() * share, view.to + span() * share);

  // The bar at a point: the shortest that holds it, else the nearest beside it.
  function barAt(px, py) {
    const place = page.lanes.findIndex((_, i) => py >= top(i) - 2 && py <= top(i) + LANE + 2);
    if (place < 0 || px < gutter) return null;
    const lane = page.lanes[place];
    const [at, near] = [time(px), (NEAR / (wide - gutter)) * span()];
    let [best, distance, length] = [-1, Infinity, Infinity];
    for (let i = 0; i < lane.starts.length; i += 1) {
      const away = Math.max(0, lane.starts[i] - at, at - lane.starts[i] - lane.lasts[i]);
      if (away <= near && (away < distance || (away === distance && lane.lasts[i] < length))) [best, distance, length] = [i, away, lane.lasts[i]];
    }
    return best < 0 ? null : [place, best];
  }

  function select(place, i, follow = true) {
    selected = [place, i];
    const lane = page.lanes[place];
    const [start, end] = [lane.starts[i], lane.starts[i] + lane.lasts[i]];
    status.textContent = barLines(page, lane, i).join('; ');
    if (follow && (start < view.from || end > view.to)) {
      const length = Math.max(span(), lane.lasts[i] * 1.1);
      show((start + end - length) / 2, (start + end + length) / 2);
    }
    redraw();
  }

  const closest = (lane, at) => lane.starts.reduce((best, start, i) => (Math.abs(start + lane.lasts[i] / 2 - at) < Math.abs(lane.starts[best] + lane.lasts[best] / 2 - at) ? i : best), 0);

  function step(by) {
    if (!selected) { select(0, closest(page.lanes[0], view.from)); return; }
    const [place, i] = selected;
    select(place, Math.max(0, Math.min(page.lanes[place].starts.length - 1, i + by)));
  }

  function lane(by) {
    if (!selected) { step(0); return; }
    const [place, i] = selected;
    const to = Math.max(0, Math.min(page.lanes.length - 1, place + by));
    if (to !== place) select(to, closest(page.lanes[to], page.lanes[place].starts[i] + page.lanes[place].lasts[i] / 2));
  }

  function zoomToSelected() {
    if (!selected) return;
    const { starts, lasts } = page.lanes[selected[0]];
    const [start, length] = [starts[selected[1]], Math.max(lasts[selected[1]], CLOSEST)];
    show(start - length, start + 2 * length);
  }

  function longestGap() {
    const lanes = page.lanes.map((one, place) => [place, one]).filter(([, one]) => one.name === 'idle').sort(([, a], [, b]) => b.longest - a.longest);
    if (!lanes.length) return;
    const [place, one] = lanes[0];
    select(place, one.lasts.indexOf(one.longest), false);
    zoomToSelected();
    canvas.focus();
  }

  const KEYS = {
    ArrowRight: (event) => (event.shiftKey ? pan(0.25) : step(1)),
    ArrowLeft: (event) => (event.shiftKey ? pan(-0.25) : step(-1)),
    ArrowDown: () => lane(1),
    ArrowUp: () => lane(-1),
    '+': () => zoom(0.5, centre()),
    '=': () => zoom(0.5, centre()),
    '-': () => zoom(2, centre()),
    0: () => show(0, whole),
    Home: () => selected && select(selected[0], 0),
    End: () => selected && select(selected[0], page.lanes[selected[0]].starts.length - 1),
    Enter: zoomToSelected,
  };

  // What is selected stays in the middle, where it is in sight.
  function centre() {
    if (!selected) return undefined;
    const { starts, lasts } = page.lanes[selected[0]];
    const at = starts[selected[1]] + lasts[selected[1]] / 2;
    return at >= view.from && at <= view.to ? at : undefined;
  }

  canvas.addEventListener('keydown', (event) => {
    if (event.key === 'Escape') { hideTip(); return; }
    if (event.ctrlKey || event.metaKey || event.altKey || !KEYS[event.key]) return;
    event.preventDefault();
    KEYS[event.key](event);
  });
  canvas.addEventListener('wheel', (event) => {
    const sideways = Math.abs(event.deltaX) > Math.abs(event.deltaY) || event.shiftKey;
    if (!sideways && !event.ctrlKey && document.activeElement !== canvas) return; // the page scrolls
    event.preventDefault();
    if (sideways) pan((event.deltaX || event.deltaY) / 1000);
    else zoom(1.0015 ** Math.max(-300, Math.min(300, event.deltaY)), time(event.offsetX));
  }, { passive: false });

  let drag = null;
  canvas.addEventListener('pointerdown', (event) => {
    if (event.button) return;
    drag = { at: event.offsetX, from: view.from, to: view.to, moved: false };
    canvas.setPointerCapture(event.pointerId);
  });
  canvas.addEventListener('pointermove', (event) => {
    if (drag) {
      const by = ((drag.at - event.offsetX) / (wide - gutter)) * (drag.to - drag.from);
      drag.moved ||= Math.abs(event.offsetX - drag.at) > 3;
      if (drag.moved) show(drag.from + by, drag.to + by);
      return;
    }
    const found = barAt(event.offsetX, event.offsetY);
    if (!found) { hideTip(); return; }
    const box = canvas.getBoundingClientRect();
    showTip(barLines(page, page.lanes[found[0]], found[1]), { left: event.clientX, width: 0, top: box.top + top(found[0]), bottom: box.top + top(found[0]) + LANE });
  });
  canvas.addEventListener('pointerup', (event) => {
    const found = drag && !drag.moved && barAt(event.offsetX, event.offsetY);
    drag = null;
    if (found) select(...found, false);
  });
  canvas.addEventListener('pointercancel', () => { drag = null; });
  canvas.addEventListener('pointerleave', hideTip);
  canvas.addEventListener('dblclick', (event) => zoom(0.4, time(event.offsetX)));

  const button = (text, name, act) => h('button', { type: 'button', class: 'quiet', 'aria-label': name, title: name, onclick: act }, text);
  const buttons = h('div', { class: 'row', role: 'group', 'aria-label': 'Move in the timeline' },
    button('+', 'Zoom in', () => zoom(0.5, centre())), button('−', 'Zoom out', () => zoom(2, centre())),
    button('←', 'Earlier', () => pan(-0.25)), button('→', 'Later', () => pan(0.25)),
    button('Whole trace', null, () => show(0, whole)),
    page.lanes.some((one) => one.name === 'idle') && button('Longest gap', null, longestGap));
  const used = new Set(page.lanes.flatMap((one) => one.kinds));
  const legend = h('ul', { class: 'legend', 'aria-label': 'Colours' }, page.kinds.map(([kind, tone], place) => used.has(place)
    && h('li', {}, s('svg', { width: 12, height: 12, 'aria-hidden': 'true' }, s('rect', { class: `swatch ${tone}`, width: 12, height: 12, rx: 2 })), kind)));
  const keys = h('p', { class: 'muted small', id: 'timeline-keys' }, 'Drag to move. Ctrl and the wheel zoom, and the wheel alone once the timeline was clicked; so do a double click and the keys + and −. '
    + 'Arrow keys go from bar to bar and from lane to lane, with Shift along the time; Enter zooms to a bar, 0 shows all.');
  const element = h('section', { 'aria-label': 'Timeline', class: 'traced' }, h('h2', {}, 'Timeline'), h('div', { class: 'filters' }, buttons, shown), legend, h('div', { class: 'frame' }, canvas), status, keys);

  function start() {
    readColours();
    resize();
    const recolour = () => { readColours(); redraw(); };
    new MutationObserver(recolour).observe(document.documentElement, { attributes: true, attributeFilter: ['data-theme'] });
    matchMedia('(prefers-color-scheme: dark)').addEventListener('change', recolour);
    addEventListener('resize', resize);
  }

  return { element, start };
}

// A lane's name, with its device where there are several.
function titles(lanes) {
  const several = new Set(lanes.map((lane) => lane.device)).size > 1;
  return lanes.map((lane) => (several ? `${lane.device} ${lane.name}` : lane.name));
}
