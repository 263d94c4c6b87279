// The page: what is drawn or dropped is brought to the model's input, and its integers are shown.
import { compile, loadFolder } from "./cvm.js";

const SHOWN = 10;
const INK = 22; // pixels, the width of a stroke
const BOX = 20 / 28; // of a side: what handwritten digits fill in MNIST

const $ = (id) => document.getElementById(id);
const canvas = $("canvas");
const drawing = canvas.getContext("2d", { willReadFrequently: true });
const wasm = compile(new URL("cvm.wasm", import.meta.url));
let model = null;
let inked = false;
let last = null;

function clear() {
  drawing.fillStyle = "#000";
  drawing.fillRect(0, 0, canvas.width, canvas.height);
  inked = false;
  tell("Nothing given yet.");
}

function tell(text) {
  $("told").textContent = text;
  $("classes").hidden = true;
}

async function choose(name) {
  tell("Loading …");
  try {
    model?.free();
    model = await loadFolder(new URL(`models/${name}`, import.meta.url), wasm);
    clear();
  } catch (error) {
    tell(error.message);
  }
}

// The part of the canvas with ink, square, as MNIST centres it.
function ink() {
  const { data, width, height } = drawing.getImageData(0, 0, canvas.width, canvas.height);
  const box = { left: width, top: height, right: 0, bottom: 0 };
  for (let y = 0; y < height; ++y) {
    for (let x = 0; x < width; ++x) {
      if (data[4 * (y * width + x)] < 32) continue;
      box.left = Math.min(box.left, x);
      box.right = Math.max(box.right, x + 1);
      box.top = Math.min(box.top, y);
      box.bottom = Math.max(box.bottom, y + 1);
    }
  }
  const side = Math.max(box.right - box.left, box.bottom - box.top) / BOX;
  return [(box.left + box.right - side) / 2, (box.top + box.bottom - side) / 2, side];
}

function answer(source, left, top, wide, high) {
  if (!model) return;
  const [, , rows, columns] = model.description.inputs[0].shape;
  const small = new OffscreenCanvas(columns, rows).getContext("2d");
  small.fillStyle = "#000";
  small.fillRect(0, 0, columns, rows);
  small.imageSmoothingQuality = "high";
  small.drawImage(source, left, top, wide, high, 0, 0, columns, rows);
  try {
    const input = model.quantizePicture(small.getImageData(0, 0, columns, rows));
    const begun = performance.now();
    const [integers] = model.run(input);
    show(integers, performance.now() - begun);
  } catch (error) {
    tell(error.message);
  }
}

function show(integers, milliseconds) {
  const labels = model.description.labels ?? [];
  const real = model.dequantize(integers);
  const order = Array.from(integers.keys()).sort((a, b) => integers[b] - integers[a]);
  const name = (index) => labels[index] ?? String(index);
  const rows = order.slice(0, SHOWN).map((index, place) => {
    const row = document.createElement("tr");
    if (place === 0) row.className = "best";
    for (const text of [name(index), integers[index], real[index].toFixed(3)]) row.insertCell().textContent = text;
    return row;
  });
  tell(`${name(order[0])}, in ${milliseconds.toFixed(1)} ms on one thread`);
  $("classes").tBodies[0].replaceChildren(...rows);
  $("classes").hidden = false;
}

async function picture(file) {
  if (!file) return;
  try {
    const image = await createImageBitmap(file);
    const side = Math.min(image.width, image.height);
    const place = [(image.width - side) / 2, (image.height - side) / 2, side, side];
    clear();
    drawing.drawImage(image, ...place, 0, 0, canvas.width, canvas.height);
    answer(image, ...place);
  } catch {
    tell(`${file.name} is not a readable picture.`);
  }
}

function at(event) {
  const box = canvas.getBoundingClientRect();
  return [((event.clientX - box.left) * canvas.width) / box.width, ((event.clientY - box.top) * canvas.height) / box.height];
}

canvas.addEventListener("pointerdown", (event) => {
  if (!inked) clear();
  canvas.setPointerCapture(event.pointerId);
  last = at(event);
});
canvas.addEventListener("pointermove", (event) => {
  if (!last) return;
  const next = at(event);
  drawing.strokeStyle = "#fff";
  drawing.lineWidth = INK;
  drawing.lineCap = "round";
  drawing.beginPath();
  drawing.moveTo(...last);
  drawing.lineTo(...next);
  drawing.stroke();
  last = next;
  inked = true;
});
canvas.addEventListener("pointerup", () => {
  last = null;
  if (!inked) return;
  const [left, top, side] = ink();
  answer(canvas, left, top, side, side);
});
canvas.addEventListener("dragover", (event) => {
  event.preventDefault();
  canvas.classList.add("over");
});
canvas.addEventListener("dragleave", () => canvas.classList.remove("over"));
canvas.addEventListener("drop", (event) => {
  event.preventDefault();
  canvas.classList.remove("over");
  picture(event.dataTransfer.files[0]);
});
$("file").addEventListener("change", (event) => picture(event.target.files[0]));
$("clear").addEventListener("click", clear);
$("model").addEventListener("change", (event) => choose(event.target.value));

const names = await (await fetch(new URL("models.json", import.meta.url))).json();
$("model").replaceChildren(...names.map((name) => new Option(name.replace(/_cvm$/, ""), name)));
if (names.length) await choose(names[0]);
else tell("No models: make web MODELS=\"DIR …\"");
