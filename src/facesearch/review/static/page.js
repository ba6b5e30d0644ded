// Everything works without this file, except dropping and pasting photos, suggestions of many names, and single keys.
"use strict";

const drop = document.getElementById("drop");
if (drop) {
  const input = drop.querySelector("input[type=file]");
  drop.classList.add("scripted");
  const send = () => {
    drop.querySelector(".busy").hidden = false;
    drop.requestSubmit();
  };
  const take = (files) => {
    const photo = [...files].find((file) => file.type.startsWith("image/")) || files[0];
    if (!photo) return;
    const one = new DataTransfer();
    one.items.add(photo);
    input.files = one.files;
    send();
  };
  input.addEventListener("change", () => input.files.length && send());
  // The whole window takes a dropped photo: otherwise a browser would open it instead of the page.
  addEventListener("dragover", (event) => {
    event.preventDefault();
    drop.classList.add("over");
  });
  addEventListener("dragleave", (event) => event.relatedTarget || drop.classList.remove("over"));
  addEventListener("drop", (event) => {
    event.preventDefault();
    drop.classList.remove("over");
    take(event.dataTransfer.files);
  });
  addEventListener("paste", (event) => event.clipboardData.files.length && take(event.clipboardData.files));
}

// Names beyond those that the page came with.
let asked = 0;
for (const input of document.querySelectorAll("input[data-names]")) {
  input.addEventListener("input", async () => {
    const turn = ++asked;
    const answer = await fetch("/names?" + new URLSearchParams({ q: input.value }));
    if (!answer.ok || turn !== asked) return;
    const names = await answer.json();
    input.list.replaceChildren(
      ...names.map((name) => Object.assign(document.createElement("option"), { value: name })),
    );
  });
}

// Only one menu at a time, and Escape closes it.
const menus = [...document.querySelectorAll("details.menu")];
for (const menu of menus) {
  menu.addEventListener("toggle", () => {
    if (!menu.open) return;
    menus.filter((other) => other !== menu).forEach((other) => (other.open = false));
    const field = menu.querySelector("input:not([type=hidden])");
    field.focus();
    field.select();
  });
  menu.addEventListener("keydown", (event) => {
    if (event.key !== "Escape") return;
    menu.open = false;
    menu.querySelector("summary").focus();
  });
}
addEventListener("click", (event) => menus.filter((menu) => !menu.contains(event.target)).forEach((menu) => (menu.open = false)));

// Single keys: they can be switched off, because programs for speech input press keys too.
const stored = "facesearch-keys";
const keysOn = document.getElementById("keys-on");
keysOn.checked = localStorage.getItem(stored) !== "off";
keysOn.addEventListener("change", () => localStorage.setItem(stored, keysOn.checked ? "on" : "off"));

const items = [...document.querySelectorAll("[data-item]")];
const current = () => items.find((item) => item.contains(document.activeElement));
const move = (step) => {
  const place = items.indexOf(current());
  const next = items[place < 0 ? (step > 0 ? 0 : items.length - 1) : place + step];
  if (next) {
    next.focus();
    next.scrollIntoView({ block: "nearest" });
  }
};
const press = (target) => {
  if (target.matches("input:not([type=checkbox])")) {
    target.focus();
    target.select();
  } else {
    target.click();
  }
};
addEventListener("keydown", (event) => {
  const typing = event.target.matches("input:not([type=checkbox], [type=file]), textarea, select");
  if (typing && event.key === "Escape") event.target.closest("[data-item]")?.focus();
  if (typing || !keysOn.checked || event.ctrlKey || event.metaKey || event.altKey) return;
  if (event.key === "j" || event.key === "k") {
    move(event.key === "j" ? 1 : -1);
  } else if (event.key === "?") {
    const help = document.getElementById("shortcuts");
    help.open = !help.open;
    help.querySelector("summary").focus();
  } else if (event.key === "Enter") {
    const link = event.target.matches("[data-item]:not(a)") && event.target.querySelector("a");
    if (!link) return;
    link.click();
  } else if (event.key === "o" && drop) {
    drop.querySelector("input[type=file]").click();
  } else {
    const within = current() || items[0];
    const wanted = `[data-key="${CSS.escape(event.key)}"]`;
    const target = within?.querySelector(wanted) || document.querySelector(`header ${wanted}, .head ${wanted}, .one ${wanted}`);
    if (!target) return;
    press(target);
  }
  event.preventDefault();
});
