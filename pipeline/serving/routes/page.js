"use strict";
const at = (id) => document.getElementById(id);
const key = at("key");
let prediction = null;
let question = 0;

// What the service answers; an error's message is one for people.
async function ask(path, body) {
  const headers = {};
  if (key) headers.Authorization = `Bearer ${key.value.trim()}`;
  if (body) headers["Content-Type"] = "application/json";
  const options = body ? { method: "POST", headers, body: JSON.stringify(body) } : { headers };
  const response = await fetch(path, options);
  const answer = await response.json();
  if (!response.ok) throw new Error(answer.error ? answer.error.message : response.statusText);
  return answer;
}

function showFault(error) {
  at("fault").textContent = error.message;
  at("fault").hidden = false;
}

// Texts are only ever set as text, never as HTML.
function showWords(text, words) {
  const strongest = Math.max(...words.map((word) => Math.abs(word.share)), 0) || 1;
  const parts = [];
  let position = 0;
  const characters = Array.from(text); // positions count characters, not UTF-16 units
  for (const word of words) {
    parts.push(document.createTextNode(characters.slice(position, word.start).join("")));
    const strength = word.share / strongest;
    const mark = document.createElement(Math.abs(strength) < 0.1 ? "span" : "mark");
    mark.textContent = word.word;
    if (mark.tagName === "MARK") {
      mark.className = strength > 0 ? "for" : "against";
      mark.style.setProperty("--strength", `${Math.round(Math.abs(strength) * 100)}%`);
      const sign = document.createElement("sup");
      sign.textContent = strength > 0 ? "+" : "−";
      mark.append(sign);
    }
    parts.push(mark);
    position = word.end;
  }
  parts.push(document.createTextNode(characters.slice(position).join("")));
  at("words").replaceChildren(...parts);
}

function showExplanation(text, row) {
  showWords(text, row.words);
  if (row.abstained) at("sure").textContent += ` · the words are those of ${row.explained_label}`;
}

async function showLabels(chosen) {
  const { labels } = await ask("v1/labels");
  at("right").replaceChildren(
    ...labels.map((name) => new Option(name, name, false, name === chosen))
  );
}

function show(row, version) {
  prediction = { id: row.id, version, text: at("text").value };
  at("served").textContent = version === null ? "Gleaner" : `Gleaner · version ${version}`;
  at("label").textContent = row.abstained ? "None of these" : row.label;
  at("sure").textContent = `confidence ${(row.confidence * 100).toFixed(1)}%${row.reason ? ` · ${row.reason}` : ""}`;
  at("sent").textContent = "";
  at("answer").hidden = false;
}

at("ask").addEventListener("submit", async (event) => {
  event.preventDefault();
  const text = at("text").value;
  const number = ++question;
  at("fault").hidden = true;
  at("answer").hidden = true;
  try {
    const answer = await ask("v1/predict", { texts: [text] });
    if (number !== question) return;
    show(answer.predictions[0], answer.version);
    showWords(text, []);
    await showLabels(answer.predictions[0].label);
    const explained = await ask("v1/explain", { texts: [text] });
    if (number === question) showExplanation(text, explained.explanations[0]);
  } catch (error) {
    if (number === question) showFault(error);
  }
});

at("correct").addEventListener("submit", async (event) => {
  event.preventDefault();
  at("fault").hidden = true;
  const { id, text, version } = prediction;
  try {
    const body = { id, text, label: at("right").value };
    if (version !== null) body.version = version;
    await ask("v1/feedback", body);
    at("sent").textContent = "Stored; the next night takes it in.";
  } catch (error) {
    showFault(error);
  }
});
