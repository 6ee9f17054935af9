// The page's data as it is used: what was kept short to travel is spelled out again.

function unpacked(page) {
  const text = (place) => page.texts[place];
  for (const e of page.cases) {
    e.function = text(e.function);
    e.clock = text(e.clock);
    e.rateClock = text(e.rate_clock);
    e.parameters = Object.fromEntries(page.parameters.map((name, i) => [name, e.parameters[i]])
      .filter(([, place]) => place !== null).map(([name, place]) => [name, text(place)]));
    e.judged = (e.judged || []).map((parts) => Object.fromEntries(page.judgement.map((name, i) => [name, parts[i] ?? undefined])));
    e.strips = e.strips.map(([session, ...blocks]) => ({ header: page.sessions[session], blocks: blocks.map((part) => part / page.scale) }));
    e.facts = (e.facts || []).map(([name, said]) => [text(name), said]);
    e.notes = (e.notes || []).map(text);
    e.causes = e.causes || [];
    if (e.proof) e.proof.witnesses = (e.proof.witnesses || []).map(([name, rating, seen]) => [text(name), text(rating), seen]);
    if (e.ran) e.ran.kernels = (e.ran.kernels || []).map(([name, ...cells]) => [text(name), ...cells]);
  }
  return page;
}

const ofTime = (e) => e.judged.find((j) => METRICS[j.metric].evidence === 'time');
const hasBaseline = (e) => e.strips.some((strip) => strip.header.baseline);
