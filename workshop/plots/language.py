"""Pictures of chapter 20: where the tokens of a text look."""

from collections.abc import Mapping, Sequence

import matplotlib.pyplot as plt
import numpy as np

from workshop.errors import WorkshopError
from workshop.plots.base import Picture, done


def attention_map(shares: Mapping[str, np.ndarray], tokens: Sequence[str]) -> Picture:
    """How much each token takes from each token: a square a head, a row a token that looks.

    shares  title -> (n, n), each row of shares sums to 1; darker is more
    tokens  (n,) written on both axes
    """
    for title, square in shares.items():
        if np.shape(square) != (len(tokens), len(tokens)):
            raise WorkshopError(
                f"{title!r} has shape {np.shape(square)}, and there are {len(tokens)} tokens: "
                "give one row and one column for each."
            )
    figure, axes = plt.subplots(1, len(shares), figsize=(3.9 * len(shares), 3.9), squeeze=False)
    told = []
    for axis, (title, square) in zip(axes[0], shares.items(), strict=True):
        axis.imshow(square, cmap="Blues", vmin=0, vmax=1)
        axis.grid(visible=False)
        axis.set_xticks(range(len(tokens)), tokens, rotation=90, parse_math=False)
        axis.set_yticks(range(len(tokens)), tokens, parse_math=False)
        axis.set(title=title, xlabel="is looked at", ylabel="looks")
        best = int(np.argmax(square[-1]))
        told.append(f"{title}: the last token, {tokens[-1]!r}, looks most at {tokens[best]!r}")
        told[-1] += f" ({square[-1][best]:.2f})"
    return done(figure, f"Squares of shares, a row for each token that looks. {'; '.join(told)}.")
