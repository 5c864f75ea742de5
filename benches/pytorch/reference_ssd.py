"""PyTorch statement of the detectors: SSD300 on VGG16, SSDLite on MobileNetV2, their default boxes, matching, and multibox loss.

The origin that `pyrograph-models` and `pyrograph-losses` are checked and timed against: the fixtures `ssd` and `multibox` are
generated from it, and `ssd.py` times it. Keys are ssd.pytorch's for `SSD300` and pytorch-ssd's for `MobileNetV2SsdLite`.
"""

from __future__ import annotations

import math
from itertools import product

import torch
import torch.nn as nn
import torch.nn.functional as F

VOC = dict(
    feature_maps=[38, 19, 10, 5, 3, 1], min_dim=300, steps=[8, 16, 32, 64, 100, 300],
    min_sizes=[30, 60, 111, 162, 213, 264], max_sizes=[60, 111, 162, 213, 264, 315],
    aspect_ratios=[[2], [2, 3], [2, 3], [2, 3], [2], [2]], variance=[0.1, 0.2],
)


class L2Norm(nn.Module):
    """Every position's channels at length 1, times a learned scale for each channel."""

    def __init__(self, channels=512, scale=20.0):
        super().__init__()
        self.weight = nn.Parameter(torch.full((channels,), scale))

    def forward(self, x):
        return self.weight[None, :, None, None] * x / (x.pow(2).sum(1, keepdim=True).sqrt() + 1e-10)


class SSD300(nn.Module):
    """images [batch, 3, 300, 300] -> offsets [batch, 8732, 4], logits [batch, 8732, num_classes]; class 0 is the background.

    VGG16 whose fc6 and fc7 are convolutions, four pairs of extra layers, a head on each of six maps. Every width is at least 8.
    """

    def __init__(self, num_classes=21, width=1.0):
        super().__init__()
        self.num_classes = num_classes
        w = lambda channels: max(8, int(channels * width))
        self.vgg, c = nn.ModuleList(), 3
        for v in [64, 64, "M", 128, 128, "M", 256, 256, 256, "C", 512, 512, 512, "M", 512, 512, 512]:
            if v in ("M", "C"):
                # 75 pixels become 38.
                self.vgg.append(nn.MaxPool2d(2, 2, ceil_mode=v == "C"))
            else:
                self.vgg.extend([nn.Conv2d(c, w(v), 3, padding=1), nn.ReLU()])
                c = w(v)
        self.vgg.extend([nn.MaxPool2d(3, 1, 1), nn.Conv2d(c, w(1024), 3, padding=6, dilation=6), nn.ReLU(),
                         nn.Conv2d(w(1024), w(1024), 1), nn.ReLU()])
        self.L2Norm = L2Norm(w(512))
        self.extras, c = nn.ModuleList(), w(1024)
        for o, kernel, stride, padding in [(256, 1, 1, 0), (512, 3, 2, 1), (128, 1, 1, 0), (256, 3, 2, 1),
                                           (128, 1, 1, 0), (256, 3, 1, 0), (128, 1, 1, 0), (256, 3, 1, 0)]:
            self.extras.append(nn.Conv2d(c, w(o), kernel, stride, padding))
            c = w(o)
        heads = list(zip([512, 1024, 512, 256, 256, 256], [4, 6, 6, 6, 4, 4]))
        self.loc = nn.ModuleList(nn.Conv2d(w(c), boxes * 4, 3, padding=1) for c, boxes in heads)
        self.conf = nn.ModuleList(nn.Conv2d(w(c), boxes * num_classes, 3, padding=1) for c, boxes in heads)

    def forward(self, x):
        sources = []
        for k, layer in enumerate(self.vgg):
            x = layer(x)
            if k == 22:  # conv4_3 after its ReLU
                sources.append(self.L2Norm(x))
        sources.append(x)
        for k, layer in enumerate(self.extras):
            x = F.relu(layer(x))
            if k % 2 == 1:
                sources.append(x)
        return flat(self.loc, sources, 4), flat(self.conf, sources, self.num_classes)


def flat(heads, sources, columns):
    """Row by row, cell by cell, box by box: [batch, boxes of all maps, columns]."""
    return torch.cat([head(s).permute(0, 2, 3, 1).reshape(len(s), -1, columns) for head, s in zip(heads, sources)], 1)


def conv_bn(c_in, c_out, kernel, stride=1, groups=1, act=True):
    conv = nn.Conv2d(c_in, c_out, kernel, stride, kernel // 2, groups=groups, bias=False)
    return [conv, nn.BatchNorm2d(c_out), *([nn.ReLU6()] if act else [])]


class InvertedResidual(nn.Module):
    """1x1 to `round(c_in * expand)` channels unless `expand` is 1, 3x3 on each channel, 1x1 without activation."""

    def __init__(self, c_in, c_out, stride, expand):
        super().__init__()
        hidden = round(c_in * expand)
        self.residual = stride == 1 and c_in == c_out
        widen = conv_bn(c_in, hidden, 1) if expand != 1 else []
        self.conv = nn.Sequential(*widen, *conv_bn(hidden, hidden, 3, stride, hidden), *conv_bn(hidden, c_out, 1, act=False))

    def forward(self, x):
        return x + self.conv(x) if self.residual else self.conv(x)


def separable(c_in, c_out):
    """Unlike the rest, its depthwise convolution has a bias before the batch norm."""
    return nn.Sequential(nn.Conv2d(c_in, c_in, 3, padding=1, groups=c_in), nn.BatchNorm2d(c_in), nn.ReLU6(), nn.Conv2d(c_in, c_out, 1))


class MobileNetV2SsdLite(nn.Module):
    """images [batch, 3, 300, 300] -> offsets [batch, 3000, 4], logits [batch, 3000, num_classes]; class 0 is the background.

    Six maps of side 19, 10, 5, 3, 2 and 1, six boxes a cell. The first is the expansion in `base_net.14`, before its stride.
    """

    def __init__(self, num_classes=21, width=1.0):
        super().__init__()
        self.num_classes = num_classes
        c, last, expanded = int(32 * width), int(1280 * max(1.0, width)), round(576 * width)
        self.base_net = nn.Sequential(nn.Sequential(*conv_bn(3, c, 3, 2)))
        for t, o, n, s in [(1, 16, 1, 1), (6, 24, 2, 2), (6, 32, 3, 2), (6, 64, 4, 2), (6, 96, 3, 1), (6, 160, 3, 2), (6, 320, 1, 1)]:
            for i in range(n):
                self.base_net.append(InvertedResidual(c, int(o * width), s if i == 0 else 1, t))
                c = int(o * width)
        self.base_net.append(nn.Sequential(*conv_bn(c, last, 1)))
        # The extras and their heads do not follow the width.
        extras = [(last, 512, 0.2), (512, 256, 0.25), (256, 256, 0.5), (256, 64, 0.25)]
        self.extras = nn.ModuleList(InvertedResidual(i, o, 2, expand) for i, o, expand in extras)
        heads = lambda columns: nn.ModuleList(
            [*(separable(c, 6 * columns) for c in (expanded, last, 512, 256, 256)), nn.Conv2d(64, 6 * columns, 1)]
        )
        self.regression_headers, self.classification_headers = heads(4), heads(num_classes)

    def forward(self, x):
        for layer in self.base_net[:14]:
            x = layer(x)
        x = self.base_net[14].conv[:3](x)
        sources = [x]
        x = self.base_net[14].conv[3:](x)
        for layer in self.base_net[15:]:
            x = layer(x)
        sources.append(x)
        for layer in self.extras:
            x = layer(x)
            sources.append(x)
        return flat(self.regression_headers, sources, 4), flat(self.classification_headers, sources, self.num_classes)


def prior_boxes(cfg=VOC):
    """[8732, 4] as centre, width and height in shares of the image; all four clipped to [0, 1]."""
    out = []
    for k, side in enumerate(cfg["feature_maps"]):
        cells, s = cfg["min_dim"] / cfg["steps"][k], cfg["min_sizes"][k] / cfg["min_dim"]
        shapes = [(s, s)] + [(math.sqrt(s * cfg["max_sizes"][k] / cfg["min_dim"]),) * 2]
        for ratio in cfg["aspect_ratios"][k]:
            r = math.sqrt(ratio)
            shapes += [(s * r, s / r), (s / r, s * r)]
        out += [((j + 0.5) / cells, (i + 0.5) / cells, *wh) for i, j in product(range(side), repeat=2) for wh in shapes]
    return torch.tensor(out, dtype=torch.float32).clamp(0, 1)


def corners(boxes):
    """Centre, width and height to (x1, y1, x2, y2)."""
    return torch.cat((boxes[:, :2] - boxes[:, 2:] / 2, boxes[:, :2] + boxes[:, 2:] / 2), 1)


def jaccard(a, b):
    """Intersection over union of corner boxes, [len(a), len(b)]."""
    lt, rb = torch.max(a[:, None, :2], b[None, :, :2]), torch.min(a[:, None, 2:], b[None, :, 2:])
    inter = (rb - lt).clamp(min=0).prod(2)
    area = lambda t: (t[:, 2:] - t[:, :2]).prod(1)
    return inter / (area(a)[:, None] + area(b)[None] - inter)


def match(truths, priors, variances=(0.1, 0.2), threshold=0.5):
    """truths [n, 5] as corners and a label from 0. Returns offsets [P, 4] and classes [P]: label + 1, or 0 for the background.

    A prior takes the truth that it overlaps most, from `threshold` on; every truth has its best prior whatever their overlap,
    and of two truths with one best prior the later has it. Of equal overlaps the first counts.
    """
    if len(truths) == 0:
        return torch.zeros_like(priors), torch.zeros(len(priors), dtype=torch.long, device=priors.device)
    overlaps = jaccard(truths[:, :4], corners(priors))
    forced = overlaps.argmax(1)
    overlap, truth = overlaps.max(0)
    overlap[forced] = 2
    for j, prior in enumerate(forced):
        truth[prior] = j
    classes = truths[truth, 4].long() + 1
    classes[overlap < threshold] = 0
    box = truths[truth, :4]
    centre = ((box[:, :2] + box[:, 2:]) / 2 - priors[:, :2]) / (variances[0] * priors[:, 2:])
    size = ((box[:, 2:] - box[:, :2]) / priors[:, 2:]).log() / variances[1]
    return torch.cat([centre, size], 1), classes


def mine(conf, conf_t, negpos_ratio=3, negatives_for_hard=100):
    """Masks [batch, P] of the positives and of the negatives of largest cross-entropy, for each image by itself."""
    pos = conf_t > 0
    loss = F.cross_entropy(conf.transpose(1, 2), conf_t, reduction="none").detach().masked_fill(pos, 0)
    rank = loss.sort(dim=1, descending=True, stable=True)[1].argsort(dim=1)
    num_neg = (negpos_ratio * pos.sum(1, keepdim=True)).clamp(max=conf.size(1) - 1)
    num_neg[num_neg == 0] = negatives_for_hard
    return pos, (rank < num_neg) & ~pos


def multibox_loss(loc, conf, priors, targets, variances=(0.1, 0.2), threshold=0.5, negpos_ratio=3, negatives_for_hard=100):
    """targets: truths [n, 5] for each image. Returns (loss_l, loss_c), both over max(1, number of positives in the batch)."""
    pairs = [match(truths, priors, variances, threshold) for truths in targets]
    loc_t, conf_t = torch.stack([p[0] for p in pairs]), torch.stack([p[1] for p in pairs])
    pos, neg = mine(conf, conf_t, negpos_ratio, negatives_for_hard)
    n = max(1, int(pos.sum()))
    loss_l = F.smooth_l1_loss(loc[pos], loc_t[pos], reduction="sum")
    loss_c = F.cross_entropy(conf[pos | neg], conf_t[pos | neg], reduction="sum")
    return loss_l / n, loss_c / n
