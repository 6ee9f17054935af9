// The button that chooses between light and dark; until it did, the system does.

function themeButton() {
  const button = byId('theme');
  const dark = () => (document.documentElement.dataset.theme || (matchMedia('(prefers-color-scheme: dark)').matches ? 'dark' : 'light')) === 'dark';
  const show = () => { button.textContent = dark() ? '☀ Light' : '☾ Dark'; button.setAttribute('aria-label', `Use the ${dark() ? 'light' : 'dark'} theme`); };
  try { const kept = localStorage.getItem('gpuperf-theme'); if (kept) document.documentElement.dataset.theme = kept; } catch { /* a browser may refuse storage to a file */ }
  button.addEventListener('click', () => {
    document.documentElement.dataset.theme = dark() ? 'light' : 'dark';
    try { localStorage.setItem('gpuperf-theme', document.documentElement.dataset.theme); } catch { /* likewise */ }
    show();
  });
  matchMedia('(prefers-color-scheme: dark)').addEventListener('change', show);
  button.hidden = false;
  show();
}
