"""Torch modules on packed bags, for use inside and outside of skmil's estimators."""

from skmil.nn._attention import AttentionMIL, AttentionPooling
from skmil.nn._bag_network import BagNetwork
from skmil.nn._calibration import scale_to_probability
from skmil.nn._dp_minn import DPMINN, DPMINNEnsemble, DynamicPooling
from skmil.nn._encoder import Encoder
from skmil.nn._ensemble import Ensemble, EnsembleLoss
from skmil.nn._instance_net import InstanceNet
from skmil.nn._losses import CrossEntropyLoss, DeepSupervisionLoss, MarginLoss
from skmil.nn._mi_net import MINet

__all__ = [
    "DPMINN",
    "AttentionMIL",
    "AttentionPooling",
    "BagNetwork",
    "CrossEntropyLoss",
    "DPMINNEnsemble",
    "DeepSupervisionLoss",
    "DynamicPooling",
    "Encoder",
    "Ensemble",
    "EnsembleLoss",
    "InstanceNet",
    "MINet",
    "MarginLoss",
    "scale_to_probability",
]
