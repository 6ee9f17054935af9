// Elements are made one by one and text is only ever text: nothing on the page is parsed from a name.

const SVG = 'http://www.w3.org/2000/svg';

function filled(element, attributes, children) {
  for (const [name, value] of Object.entries(attributes || {})) {
    if (value === undefined || value === null || value === false) continue;
    if (name.startsWith('on')) element.addEventListener(name.slice(2), value);
    else element.setAttribute(name, value === true ? '' : value);
  }
  element.append(...children.flat(3).filter((child) => child !== null && child !== undefined && child !== false));
  return element;
}

const h = (tag, attributes, ...children) => filled(document.createElement(tag), attributes, children);
const s = (tag, attributes, ...children) => filled(document.createElementNS(SVG, tag), attributes, children);
// A long name may be broken after what separates its parts, and is still one name when it is copied.
const breakable = (name) => name.split(/(?<=[/:[\-_,.])(?=\w)/).flatMap((part, i) => (i ? [h('wbr'), part] : [part]));

// As wide as there is room, and no wider.
const room = (most) => Math.max(300, Math.min(most, byId('report').clientWidth));
const byId = (id) => document.getElementById(id);

// One tooltip for the page. It repeats what its mark's label says, so that it is for the eye alone.
const tip = h('div', { class: 'tip', role: 'presentation', 'aria-hidden': 'true', hidden: true });

function showTip(lines, box) {
  tip.replaceChildren(...lines.map((line, i) => h(i ? 'p' : 'strong', {}, line)));
  tip.hidden = false;
  const own = tip.getBoundingClientRect();
  const room = document.documentElement.clientWidth;
  const left = Math.max(8, Math.min(box.left + box.width / 2 - own.width / 2, room - own.width - 8));
  const above = box.top - own.height - 8;
  tip.style.left = `${left}px`;
  tip.style.top = `${above > 4 ? above : box.bottom + 8}px`;
}

const hideTip = () => { tip.hidden = true; };

// A mark that says what it is to the eye on hover and focus, and to a screen reader by its label.
function told(mark, lines) {
  mark.setAttribute('role', 'img');
  mark.setAttribute('aria-label', lines.join(', '));
  const show = () => showTip(lines, mark.getBoundingClientRect());
  mark.addEventListener('pointerenter', show);
  mark.addEventListener('focus', show);
  mark.addEventListener('pointerleave', hideTip);
  mark.addEventListener('blur', hideTip);
  return mark;
}

// The marks of one chart are one stop of the Tab key; the arrows go from mark to mark.
function roving(chart, marks) {
  marks.forEach((mark, i) => mark.setAttribute('tabindex', i ? '-1' : '0'));
  const STEPS = { ArrowRight: 1, ArrowDown: 1, ArrowLeft: -1, ArrowUp: -1 };
  chart.addEventListener('keydown', (event) => {
    const at = marks.indexOf(document.activeElement);
    const to = event.key === 'Home' ? 0 : event.key === 'End' ? marks.length - 1 : at + (STEPS[event.key] || 0);
    if (at < 0 || to === at || !marks[to]) return;
    event.preventDefault();
    marks[at].setAttribute('tabindex', '-1');
    marks[to].setAttribute('tabindex', '0');
    marks[to].focus();
  });
}

function choice(name, options, value, change) {
  const select = h('select', { 'aria-label': name, onchange: () => change(select.value) },
    options.map(([key, text]) => h('option', { value: key, selected: key === value }, text)));
  return select;
}
