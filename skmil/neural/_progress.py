"""A progress bar over epochs."""

import sys

from skorch.callbacks import Callback
from tqdm import tqdm


class EpochBar(Callback):
    """Show epochs done, the loss and the time left, on standard error.

    Parameters
    ----------
    title : str
        What stands before the bar.
    n_epochs : int
        Number of epochs to come.
    """

    def __init__(self, title, n_epochs):
        self.title = title
        self.n_epochs = n_epochs

    def on_train_begin(self, net, **kwargs):
        """Open the bar."""
        self.bar_ = tqdm(
            total=self.n_epochs,
            desc=self.title,
            bar_format="{desc} {n_fmt}/{total_fmt} |{bar:10}| {elapsed}<{remaining}{postfix}",
            file=sys.stderr,
        )

    def on_epoch_end(self, net, **kwargs):
        """Move the bar on by an epoch."""
        epoch = net.history[-1]
        losses = {"loss": f"{epoch['train_loss']:.4f}"}
        if "valid_loss" in epoch:
            losses["valid"] = f"{epoch['valid_loss']:.4f}"
        self.bar_.set_postfix(losses, refresh=False)
        self.bar_.update()

    def on_train_end(self, net, **kwargs):
        """Close the bar; it holds a stream, so it must not be pickled with the net."""
        self.bar_.close()
        del self.bar_
