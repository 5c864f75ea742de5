"""PyTorch statement of the sprite network, its noise schedule, and the DCGAN.

The origin that `pyrograph-models` and `pyrograph-diffusion` are checked and timed against: the golden fixtures under
`crates/*/tests/fixtures/` are generated from it, and `sprites.py` and `dcgan.py` time it. Parameter names are those of the
published checkpoints, so a `state_dict` saved here has the key layout that users load.
"""

from __future__ import annotations

import torch
import torch.nn as nn


class ResidualConvBlock(nn.Module):
    """Two (conv3x3, batch norm, exact GELU). With `is_res` the sum is divided by 1.414 (not sqrt 2).

    Where the channels differ the skip is the output of the first conv (TeaPearce's Conditional_Diffusion_MNIST).
    The course notebook draws a new random 1x1 convolution at every call there, which nothing can reproduce.
    """

    def __init__(self, c_in, c_out, is_res=False):
        super().__init__()
        self.same_channels, self.is_res = c_in == c_out, is_res
        self.conv1 = nn.Sequential(nn.Conv2d(c_in, c_out, 3, 1, 1), nn.BatchNorm2d(c_out), nn.GELU())
        self.conv2 = nn.Sequential(nn.Conv2d(c_out, c_out, 3, 1, 1), nn.BatchNorm2d(c_out), nn.GELU())

    def forward(self, x):
        x1 = self.conv1(x)
        x2 = self.conv2(x1)
        if not self.is_res:
            return x2
        return ((x if self.same_channels else x1) + x2) / 1.414


class UnetDown(nn.Module):
    def __init__(self, c_in, c_out):
        super().__init__()
        self.model = nn.Sequential(ResidualConvBlock(c_in, c_out), ResidualConvBlock(c_out, c_out), nn.MaxPool2d(2))

    def forward(self, x):
        return self.model(x)


class UnetUp(nn.Module):
    def __init__(self, c_in, c_out):
        super().__init__()
        self.model = nn.Sequential(
            nn.ConvTranspose2d(c_in, c_out, 2, 2), ResidualConvBlock(c_out, c_out), ResidualConvBlock(c_out, c_out)
        )

    def forward(self, x, skip):
        return self.model(torch.cat((x, skip), 1))


class EmbedFC(nn.Module):
    def __init__(self, d_in, d_emb):
        super().__init__()
        self.input_dim = d_in
        self.model = nn.Sequential(nn.Linear(d_in, d_emb), nn.GELU(), nn.Linear(d_emb, d_emb))

    def forward(self, x):
        return self.model(x.view(-1, self.input_dim))


class ContextUnet(nn.Module):
    """x [B, C, h, h]; t [B] in (0, 1] (or [1], shared); c [B, n_cfeat] or None (zeros). h is 16, 20, 24 or 28."""

    def __init__(self, in_channels=3, n_feat=64, n_cfeat=5, height=16):
        super().__init__()
        n = n_feat
        self.in_channels, self.n_feat, self.n_cfeat, self.h = in_channels, n_feat, n_cfeat, height
        self.init_conv = ResidualConvBlock(in_channels, n, is_res=True)
        self.down1, self.down2 = UnetDown(n, n), UnetDown(n, 2 * n)
        self.to_vec = nn.Sequential(nn.AvgPool2d(4), nn.GELU())
        self.timeembed1, self.timeembed2 = EmbedFC(1, 2 * n), EmbedFC(1, n)
        self.contextembed1, self.contextembed2 = EmbedFC(n_cfeat, 2 * n), EmbedFC(n_cfeat, n)
        self.up0 = nn.Sequential(
            nn.ConvTranspose2d(2 * n, 2 * n, height // 4, height // 4), nn.GroupNorm(8, 2 * n), nn.ReLU()
        )
        self.up1, self.up2 = UnetUp(4 * n, n), UnetUp(2 * n, n)
        self.out = nn.Sequential(
            nn.Conv2d(2 * n, n, 3, 1, 1), nn.GroupNorm(8, n), nn.ReLU(), nn.Conv2d(n, in_channels, 3, 1, 1)
        )

    def forward(self, x, t, c=None):
        x = self.init_conv(x)
        down1 = self.down1(x)
        down2 = self.down2(down1)
        hidden = self.to_vec(down2)
        if c is None:
            c = torch.zeros(x.shape[0], self.n_cfeat).to(x)
        n = self.n_feat
        c1, t1 = self.contextembed1(c).view(-1, 2 * n, 1, 1), self.timeembed1(t).view(-1, 2 * n, 1, 1)
        c2, t2 = self.contextembed2(c).view(-1, n, 1, 1), self.timeembed2(t).view(-1, n, 1, 1)
        up1 = self.up0(hidden)
        up2 = self.up1(c1 * up1 + t1, down2)
        up3 = self.up2(c2 * up2 + t2, down1)
        return self.out(torch.cat((up3, x), 1))


class SpriteSchedule:
    """Linear betas over T+1 points, alphas_cumprod[0] = 1; the network sees t/T."""

    def __init__(self, timesteps=500, beta1=1e-4, beta2=0.02, dtype=torch.float32):
        self.T = timesteps
        self.b = (beta2 - beta1) * torch.linspace(0, 1, timesteps + 1, dtype=dtype) + beta1
        self.a = 1 - self.b
        self.ab = torch.cumsum(self.a.log(), 0).exp()
        self.ab[0] = 1

    def add_noise(self, x, t, noise):  # t: LongTensor [B]; the DDPM forward process (with both square roots)
        s = lambda v: v[:, None, None, None]
        return s(self.ab[t].sqrt()) * x + s((1 - self.ab[t]).sqrt()) * noise

    def ddpm_step(self, x, t, eps, z):
        """Ancestral step of DDPM, variance beta_t. z = 0 reproduces the collapse without extra noise."""
        mean = (x - eps * ((1 - self.a[t]) / (1 - self.ab[t]).sqrt())) / self.a[t].sqrt()
        return mean + self.b[t].sqrt() * z

    def ddim_step(self, x, t, t_prev, eps):
        ab, abp = self.ab[t], self.ab[t_prev]
        return abp.sqrt() / ab.sqrt() * (x - (1 - ab).sqrt() * eps) + (1 - abp).sqrt() * eps


class Generator(nn.Module):
    """z [batch, z_dim, 1, 1] -> images [batch, channels, 64, 64] in (-1, 1): 4x4 transposed convolutions, batch norm, ReLU."""

    def __init__(self, z_dim=20, width=64, channels=1):
        super().__init__()
        widths = [z_dim, width * 8, width * 4, width * 2, width]
        blocks = [
            nn.Sequential(nn.ConvTranspose2d(i, o, 4, *((1, 0) if n == 0 else (2, 1))), nn.BatchNorm2d(o), nn.ReLU())
            for n, (i, o) in enumerate(zip(widths, widths[1:]))
        ]
        last = nn.Sequential(nn.ConvTranspose2d(width, channels, 4, 2, 1), nn.Tanh())
        self.generator_network = nn.Sequential(*blocks, last)

    def forward(self, z):
        return self.generator_network(z)


class Discriminator(nn.Module):
    """images [batch, channels, 64, 64] -> logit [batch, 1, 1, 1] and the fourth block's output [batch, 128 * width].

    Batch norm on every block, the first included, and leaky ReLU of 0.1; `norm=False` is the critic of WGAN-GP.
    """

    def __init__(self, width=64, channels=1, norm=True):
        super().__init__()
        widths = [channels, width, width * 2, width * 4, width * 8]
        self.feature_network = nn.Sequential(*[
            nn.Sequential(nn.Conv2d(i, o, 4, 2, 1), *([nn.BatchNorm2d(o)] if norm else []), nn.LeakyReLU(0.1))
            for i, o in zip(widths, widths[1:])
        ])
        self.critic_network = nn.Conv2d(width * 8, 1, 4, 1)

    def forward(self, x):
        h = self.feature_network(x)
        return self.critic_network(h), h.flatten(1)


def anomaly_score(x, twin, discriminator, weight=0.1):
    """AnoGAN's A(x) = (1 - weight) sum|x - G(z)| + weight sum|f(x) - f(G(z))|: score, residual, discrimination, each [batch]."""
    residual = (x - twin).abs().flatten(1).sum(1)
    discrimination = (discriminator(x)[1] - discriminator(twin)[1]).abs().sum(1)
    return (1 - weight) * residual + weight * discrimination, residual, discrimination
