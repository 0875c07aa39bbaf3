'use strict';
// The page works without this; it adds the search, and shows answers in place instead of on a page of their own.

const LIMIT = 1000000;  // characters shown here; the rest is one click away
const search = document.getElementById('search');
const rows = [...document.querySelectorAll('.row')];
const state = document.getElementById('state');

function find() {
  const words = search.value.toLowerCase().split(/\s+/).filter(Boolean);
  for (const row of rows) row.hidden = !words.every(word => row.dataset.text.includes(word));
  for (const group of document.querySelectorAll('section')) {
    group.hidden = ![...group.querySelectorAll('.row')].some(row => !row.hidden);
  }
  document.getElementById('nothing').hidden = rows.some(row => !row.hidden);
}

function element(name, attributes, ...children) {
  const made = Object.assign(document.createElement(name), attributes);
  made.append(...children);
  return made;
}

function size(bytes) {
  return bytes < 1000 ? `${bytes} B` : bytes < 1e6 ? `${(bytes / 1000).toFixed(1)} kB` : `${(bytes / 1e6).toFixed(1)} MB`;
}

async function show(row, url, method) {
  const begun = performance.now();
  let status, text, good = false;
  try {
    const response = await fetch(url, {method});
    text = await response.text();
    status = `${response.status} ${response.statusText}`;
    good = response.ok;
  } catch (error) {
    status = 'no answer';
    text = String(error);
  }
  const cost = `${Math.round(performance.now() - begun)} ms, ${size(text.length)}`;
  const pre = element('pre', {tabIndex: 0});
  const filter = element('input', {type: 'text', placeholder: 'Only lines with\u2026', ariaLabel: 'Only lines with'});
  const fill = () => {
    const wanted = filter.value.toLowerCase();
    let kept = wanted ? text.split('\n').filter(line => line.toLowerCase().includes(wanted)).join('\n') : text;
    if (kept.length > LIMIT) kept = kept.slice(0, LIMIT) + '\n\u2026 the rest is cut off here';
    pre.textContent = kept || '(nothing)';
  };
  filter.addEventListener('input', fill);
  fill();
  const bar = element('div', {className: 'bar'},
    element('span', {className: good ? 'status' : 'status bad', textContent: status}),
    element('span', {className: 'cost', textContent: cost}), filter);
  if (navigator.clipboard) {
    const copy = element('button', {type: 'button', textContent: 'Copy'});
    copy.addEventListener('click', async () => { await navigator.clipboard.writeText(pre.textContent); copy.textContent = 'Copied'; });
    bar.append(copy);
  }
  if (method === 'GET') bar.append(element('a', {className: 'button', href: url, textContent: 'Open'}));
  const close = element('button', {type: 'button', textContent: 'Close'});
  const result = element('div', {className: 'result'}, bar, pre);
  close.addEventListener('click', () => result.remove());
  bar.append(close);
  row.querySelector('.result')?.remove();
  row.append(result);
  result.scrollIntoView({block: 'nearest'});
  if (method === 'POST') await look();
}

async function look() {
  try {
    const word = (await (await fetch('ready')).text()).trim();
    state.textContent = state.dataset.state = word;
  } catch (error) {
    state.textContent = state.dataset.state = 'GONE';
  }
}

document.addEventListener('click', event => {
  const link = event.target.closest('a.path');
  if (!link || event.ctrlKey || event.metaKey || event.shiftKey) return;
  event.preventDefault();
  show(link.closest('.row'), link.getAttribute('href'), 'GET');
});

document.addEventListener('submit', event => {
  const form = event.target;
  const query = new URLSearchParams();
  for (const [name, value] of new FormData(form)) if (value) query.append(name, value);
  if (form.dataset.keyValue) {
    query.delete(':key');
    query.delete(':value');
    query.append(form.elements[':key'].value, form.elements[':value'].value);
  }
  if ((query.get('format') || '').includes('html')) return;  // a page of its own
  event.preventDefault();
  const url = form.getAttribute('action') + (query.size ? `?${query}` : '');
  show(form.closest('.row'), url, form.method.toUpperCase());
});

document.addEventListener('keydown', event => {
  if (event.key === '/' && !/INPUT|SELECT/.test(document.activeElement.tagName)) {
    event.preventDefault();
    search.focus();
  } else if (event.key === 'Escape' && document.activeElement === search) {
    search.value = '';
    find();
  }
});

search.addEventListener('input', find);
search.closest('.find').hidden = false;
find();
