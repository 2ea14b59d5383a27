"""The network of associative retrieval: embedding and readout, digital, around one m-STPN layer."""

from typing import Any

from torch import Tensor, nn

from mstpn.network.retrieval.task import RetrievalOptions
from mstpn.network.twin.layer import STHebbLayer

__all__ = ["Associator"]


class Associator(nn.Module):
    """Embedding, m-STPN layer, readout of the last step.

    Parameters
    ----------
    options : RetrievalOptions
    """

    def __init__(self, options: RetrievalOptions) -> None:
        super().__init__()
        self.config = options.config
        self.embedding = nn.Embedding(len(options.task.symbols), options.embedding)
        self.layer = STHebbLayer(options.embedding, self.config)
        self.head = nn.Linear(options.hidden, options.values)
        nn.init.uniform_(self.layer.gamma, -options.gamma_init, options.gamma_init)

    @classmethod
    def described_by(cls, metadata: dict[str, Any]) -> "Associator":
        """An untrained one as a checkpoint's JSON file describes it."""
        return cls(RetrievalOptions(**metadata["training"]["options"]))

    def forward(self, symbols: Tensor, *, fused: bool = False) -> tuple[Tensor, Tensor]:
        """Read sequences from F = 0 and h = 0.

        Parameters
        ----------
        symbols : Tensor of int64, (T, B)
        fused : bool
            Run the layer as one kernel; see `STHebbLayer.forward`.

        Returns
        -------
        logits : Tensor, (B, n_values)
            Of the answer.
        h : Tensor, (T, B, N)
        """
        x = self.embedding(symbols)
        keep = x.new_ones(symbols.shape)
        h, _ = self.layer(x, self.layer.initial_state(symbols.shape[1]), keep, fused=fused)
        return self.head(h[-1]), h
