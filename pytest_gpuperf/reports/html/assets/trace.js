// Puts a trace's page together: its timeline, and the theme.

function start() {
  const page = spelledOut(JSON.parse(byId('data').textContent));
  document.body.append(tip);
  themeButton();
  if (page.lanes.length) {
    const drawn = timeline(page);
    byId('report').append(drawn.element);
    drawn.start();
  }
  addEventListener('scroll', hideTip, { passive: true, capture: true });
  document.documentElement.dataset.ready = String(Math.round(performance.now()));
}

start();
